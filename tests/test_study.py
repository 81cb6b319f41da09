"""The comparison: arms, statistics, and a study from teachers to report."""

import json
import os
import queue
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from classifier.errors import OptionError
from classifier.model_folder import read_model_folder
from classifier.scorer import BranchScorer
from tests.cli_runner import CommandLine
from tests.service_process import running_service
from tests.toy_language_model import sft_rows, write_language_model

pytest.importorskip("trl", reason="fine-tuning needs the extra sft")

from training.json_files import read_rows
from training.study.arms import SourceRow, kept_numbers, three_word_share
from training.study.config import Arm, EvaluationConfig, load_study_config
from training.study.evaluate import evaluate_benchmarks
from training.study.results import collect_results
from training.study.run import PlannedRun, check_runs, planned_runs, run_study, visible_gpus
from training.study.statistics import accuracy, compare, holm
from training.study.step_losses import KINDS
from training.study.verifiers import BenchmarkProblem
from training.study.workers import begin_worker


def source_rows(count: int = 50) -> list[SourceRow]:
    rng = random.Random(1)
    return [
        SourceRow(
            problem=str(number),
            trace=" ".join(["Perhaps."] * rng.randint(0, 3) + ["So."] * 3),
            answer="1",
            tokens=rng.randint(10, 15),
            branch_rate=rng.choice((0.1, 0.2, 0.3)),
        )
        for number in range(count)
    ]


def test_every_filter_drops_the_same_number_from_the_top() -> None:
    rows = source_rows()
    kept = {
        kind: kept_numbers(Arm(name=kind, kind=kind, keep=0.8), rows, seed=1)
        for kind in ("branch_rate", "three_words", "length", "random", "convergent_random")
    }
    assert {len(numbers) for numbers in kept.values()} == {40}
    assert all(numbers == sorted(set(numbers)) for numbers in kept.values())
    keys: dict[str, Any] = {
        "branch_rate": lambda row: row.branch_rate,
        "three_words": lambda row: three_word_share(row.trace),
        "length": lambda row: row.tokens,
    }
    for kind, key in keys.items():
        dropped = [rows[number] for number in set(range(50)) - set(kept[kind])]
        assert min(key(row) for row in dropped) >= max(key(rows[number]) for number in kept[kind])
    assert kept_numbers(Arm(name="random", kind="random", keep=0.8), rows, seed=2) != kept["random"]
    assert len(kept_numbers(Arm(name="divergent", kind="divergent", keep=0.8), rows, seed=1)) == 50
    with pytest.raises(OptionError, match=r"keeping 0.99 of 10 rows leaves 10"):
        kept_numbers(Arm(name="random", kind="random", keep=0.99), source_rows(10), seed=1)


def run_record(arm: str, rows: int, **changes: Any) -> dict[str, Any]:
    config = {"model": "m", "data": [arm], "trainer": {"seed": 1, "learning_rate": 1.0}} | changes
    return {
        "arm": arm,
        "kind": arm,
        "keep": 0.9,
        "seed": 1,
        "rows": 9,
        "sft": {"config": config, "rows_trained": rows},
    }


def test_runs_that_differ_in_more_than_their_data_are_not_compared() -> None:
    check_runs([run_record("random", 9), run_record("length", 9)])
    with pytest.raises(OptionError, match="arm length, seed 1: the trainer saw 8 of 9 rows"):
        check_runs([run_record("random", 9), run_record("length", 8)])
    with pytest.raises(OptionError, match="made with different settings"):
        check_runs([run_record("random", 9), run_record("length", 9, max_length=5)])
    with pytest.raises(OptionError, match="different numbers of rows"):
        check_runs([run_record("random", 9), {**run_record("length", 8), "rows": 8}])


def test_intervals_and_tests() -> None:
    rng = np.random.default_rng(1)
    low = (rng.random((3, 200)) < 0.4).astype(float)
    high = np.maximum(low, rng.random((3, 200)) < 0.3)
    estimate = accuracy(low, 2_000, seed=0)
    assert estimate.low < estimate.value == low.mean() < estimate.high
    better = compare(high, low, 2_000, seed=0)
    assert better.estimate.low > 0
    assert better.p_value < 0.01
    other = (rng.random((3, 200)) < 0.4).astype(float)
    same = compare(other, low, 2_000, seed=0)
    assert same.estimate.low < 0 < same.estimate.high
    assert same.p_value > 0.05
    assert compare(low, low, 2_000, seed=0).p_value == 1.0
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_built_in_settings_are_whole() -> None:
    small = load_study_config("small")
    assert len(small.arms) == 7
    assert len(small.seeds) >= 3
    assert {0.95, 0.5} <= {small.keep, *small.sweep}
    assert small.world is not None
    trained = small.world.train
    assert any(one.min_terms > trained.max_terms for one in small.world.benchmarks.values())
    published = load_study_config("published")
    assert published.sources is not None
    assert set(published.arms) == set(small.arms)
    assert len(published.benchmarks or {}) == 5
    with pytest.raises(OptionError, match="there is no such file; built in are"):
        load_study_config("huge")
    with pytest.raises(OptionError, match="either world and base, or sources"):
        load_study_config("tiny", ["model=some-model"])
    with pytest.raises(OptionError, match=r"comparisons\.pairs names 'best'"):
        load_study_config("tiny", ['comparisons.pairs=[["best","random"]]'])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("math_verify", reason="checking answers needs the extra study")
    pytest.importorskip("reasoning_gym", reason="its problems need the extra study, and a C compiler")
    folder = tmp_path_factory.mktemp("study")
    run_study(tiny(), folder)
    return folder


def tiny() -> Any:
    arms = ["divergent", "convergent", "branch_rate", "random"]
    return load_study_config("tiny", [f"arms={json.dumps(arms)}", "sweep=[]"])


def test_a_study_from_teachers_to_report(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    assert results["finished"] == results["planned"] == 4
    assert -1 <= results["prepared"]["divergent"]["rank_correlation_with_departures"] <= 1
    assert results["prepared"]["divergent"]["mean_departures"] > 0
    arms = results["arms"]
    assert arms["branch_rate"]["rows"] == arms["random"]["rows"] == 32
    assert arms["divergent"]["rows"] == arms["convergent"]["rows"] == 40
    loss = arms["divergent"]["loss"]["divergent"]
    assert loss["all"] > 0
    assert loss["branching"] > 0
    for name in ("held_out", "harder", "mean"):
        greedy = arms["divergent"]["benchmarks"][name]["greedy"]
        assert 0 <= greedy["low"] <= greedy["value"] <= greedy["high"] <= 1
    record = json.loads((finished / "arms" / "random" / "seed-1" / "result.json").read_text())
    assert 0 < record["sft"]["cpu_seconds"] < record["cpu_seconds"]
    report = (finished / "report.md").read_text()
    assert "All 4 runs are finished." in report
    assert "| convergent − divergent |" in report
    for plot in (finished / "plots").iterdir():
        assert f"](plots/{plot.name})" in report


def test_a_stopped_study_goes_on(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (finished / "results.json").read_text()
    ran: list[str] = []
    monkeypatch.setattr("training.study.run.run_one", lambda run, *others: ran.append(run.arm.name))
    result = finished / "arms" / "random" / "seed-1" / "result.json"
    kept = result.read_text()
    result.unlink()
    partial = run_study(tiny(), finished)
    assert ran == ["random"]
    assert "**Partial: 3 of 4 runs are finished**" in (finished / "report.md").read_text()
    assert [test["first"] for test in partial["tests"]] == ["convergent"]
    result.write_text(kept)
    run_study(tiny(), finished, only_report=True)
    assert (finished / "results.json").read_text() == before
    with pytest.raises(OptionError, match="holds a study with other settings"):
        run_study(load_study_config("tiny"), finished)


def test_a_study_scores_to_its_end_with_the_model_it_began_with(finished: Path) -> None:
    frozen = read_model_folder(finished / "classifier").info
    assert frozen == read_model_folder().info
    results = json.loads((finished / "results.json").read_text())
    assert results["classifier"] == [frozen.sha256]
    assert results["prepared"]["classifier"] == {"name": frozen.name, "sha256": frozen.sha256}
    marker = finished / "classifier" / "of-before"
    marker.touch()
    run_study(tiny(), finished)
    assert marker.exists()


def study_record(run: PlannedRun) -> dict[str, Any]:
    """Return the record of a run that answers one of two problems, or both with seed 2."""
    return {
        "arm": run.arm.name,
        "kind": run.arm.kind,
        "keep": run.arm.keep,
        "seed": run.seed,
        "rows": 1,
        "model": {"sha256": "0"},
        "sft": {
            "tokens_an_epoch": 1,
            "seconds": 1.0,
            "cpu_seconds": 1.0,
            "steps": 1,
            "mean_loss": 1.0,
            "loss": [],
        },
        "cpu_seconds": 2.0,
        "load_average": 1.0,
        "loss": {"trained": {kind: {"tokens": 1, "mean": 1.0} for kind in ("all", *KINDS)}},
        "benchmarks": {
            "held_out": {
                "greedy": [float(run.seed == 2), 1.0],
                "sampled": None,
                "tokens": 1.0,
                "finished": 1.0,
                "branch_rate": 0.0,
            }
        },
    }


def test_the_sweep_may_have_fewer_seeds_and_is_drawn_on_those_it_has() -> None:
    config = load_study_config("tiny", ["seeds=[1,2]", "sweep_seeds=[2]"])
    runs = planned_runs(config, Path("study"))
    assert len(runs) == 7 * 2 + 1
    assert [run.seed for run in runs if run.arm.name == "branch_rate_0.5"] == [2]
    results = collect_results(config, {}, [study_record(run) for run in runs])
    assert results["planned"] == results["finished"] == 15
    assert results["sweep"]["seeds"] == [2]
    points = {point["keep"]: point["value"] for point in results["sweep"]["points"]}
    assert points == {0.5: 1.0, 0.8: 1.0, 1.0: 1.0}
    assert results["arms"]["divergent"]["benchmarks"]["held_out"]["greedy"]["value"] == 0.75


def test_loss_is_set_against_accuracy_on_the_seeds_that_two_arms_share() -> None:
    config = load_study_config(
        "tiny",
        [
            "seeds=[1,2]",
            "sweep_seeds=[2]",
            'arms=["divergent","random"]',
            'comparisons.pairs=[["divergent","random"]]',
        ],
    )
    records = {(run.arm.name, run.seed): study_record(run) for run in planned_runs(config, Path("study"))}
    # Over its two seeds `divergent` has the higher loss, on the one that it shares with the sweep the lower.
    for key, loss, right in (
        (("divergent", 1), 9.0, [0.0] * 200),
        (("divergent", 2), 0.5, [0.0] * 200),
        (("random", 1), 9.5, [0.0] * 199 + [1.0]),
        (("random", 2), 0.6, [0.0] * 199 + [1.0]),
        (("branch_rate_0.5", 2), 1.0, [1.0] * 200),
    ):
        records[key]["loss"]["trained"]["all"]["mean"] = loss
        records[key]["benchmarks"]["held_out"]["greedy"] = right
    results = collect_results(config, {}, list(records.values()))
    assert results["tests"][0]["benchmarks"]["held_out"]["greedy"]["value"] == -0.005
    warnings = results["warnings"]
    assert [warning.split(" (")[0] for warning in warnings] == [
        "Loss and accuracy disagree: divergent has the lower training loss",
        "Loss and accuracy disagree: random has the lower training loss",
        "Pairs of arms in which the one with the lower training loss has the lower accuracy too, by so "
        "little that the interval holds 0: 1.",
    ]
    assert "(0.500 against 1.000 of branch_rate_0.5)" in warnings[0]
    with pytest.raises(OptionError, match="sweep_seeds must be some of seeds"):
        load_study_config("tiny", ["sweep_seeds=[5]"])


def test_runs_at_the_same_time_have_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert visible_gpus() == ["3", "5"]
    free: Any = queue.Queue()
    for gpu in ("5", ""):
        free.put(gpu)
        begin_worker(free)
        # Nothing to take: what was set stays.
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"


POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from training.study.workers import begin_worker

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    free = context.Queue()
    free.put("")
    with ProcessPoolExecutor(1, mp_context=context, initializer=begin_worker, initargs=(free,)) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 300).result()
"""


def test_workers_end_with_a_study_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as study:
        assert study.stdout is not None
        worker = psutil.Process(int(study.stdout.readline()))
        study.kill()
    worker.wait(timeout=60)


def test_sources_must_be_paired(tmp_path: Path) -> None:
    model = write_language_model(tmp_path / "model")
    (tmp_path / "benchmark.jsonl").write_text('{"problem": "1 + 1?", "answer": "2"}\n')
    rows = [json.dumps(row) + "\n" for row in sft_rows(4)]
    (tmp_path / "one.jsonl").write_text("".join(rows[:2]))
    (tmp_path / "other.jsonl").write_text("".join(rows[2:]))
    settings = {
        "sources": {
            "divergent": [str(tmp_path / "one.jsonl")],
            "convergent": [str(tmp_path / "other.jsonl")],
        },
        "benchmarks": {"sums": str(tmp_path / "benchmark.jsonl")},
        "model": str(model),
        "arms": ["divergent", "convergent"],
        "seeds": [1],
        "max_length": 200,
        "comparisons": {"pairs": []},
    }
    (tmp_path / "study.json").write_text(json.dumps(settings))
    with pytest.raises(OptionError, match="no problem is left: 4 problems, 0 of them solved by both sources"):
        run_study(load_study_config(str(tmp_path / "study.json")), tmp_path / "study")


def test_from_the_running_service_to_a_tested_model(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("math_verify", reason="checking answers needs the extra study")
    model = write_language_model(tmp_path / "model")
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in sft_rows(10)))
    settings = (
        "selection.keep=0.5",
        "completion={trace}\nAnswer: {answer}",
        "max_length=200",
        "trainer.max_steps=1",
        "trainer.save_strategy=no",
        "trainer.logging_steps=1",
    )
    branching = CommandLine(monkeypatch, capfd)
    with running_service(tmp_path / "service") as service:
        result = branching(
            *("sft", data, "--model", model, "--endpoint", service.url, "-o", tmp_path / "run", "--json"),
            *(word for setting in settings for word in ("--set", setting)),
        )
    assert result.code == 0, result.stderr
    record = json.loads(result.stdout)
    kept = record["manifest"]["selection"]
    assert kept["errors"] == 0
    assert 5 <= kept["kept"] == record["rows_trained"] < 10
    # The service scored: the same traces have the same rates here, and the most branching were dropped.
    local = BranchScorer(threads=1)
    rates = {row["trace"]: local.score(row["trace"]).branch_rate for row in sft_rows(10)}
    scores = read_rows(tmp_path / "run" / "scores.jsonl")
    assert sorted(row["branch_rate"] for row in scores) == pytest.approx(sorted(rates.values()), abs=1e-6)
    dropped = [row["branch_rate"] for row in read_rows(tmp_path / "run" / "dropped.jsonl")]
    assert min(dropped) > sorted(rates.values())[4] - 1e-6

    found = evaluate_benchmarks(
        tmp_path / "run" / "model",
        {"sums": [BenchmarkProblem("Add 1 and 2.", "3"), BenchmarkProblem("Add 4 and 2.", "6")]},
        EvaluationConfig(max_new_tokens=8, samples=2),
        1,
        local,
        tmp_path / "responses",
    )
    assert len(found["sums"]["greedy"]) == len(found["sums"]["sampled"]) == 2
    assert [row["answer"] for row in read_rows(tmp_path / "responses" / "sums.jsonl")] == ["3", "6"]


def test_the_command_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    branching = CommandLine(monkeypatch, capfd)
    result = branching("study", "--config", "tiny", "-o", tmp_path / "none", "--report")
    assert result.code == 2
    assert "holds no study to report" in result.stderr
