"""An evaluation from files: baselines, notes, JSON, tables, the command."""

import json
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.model_folder import ModelInfo
from tests.toy_gold import DOCUMENTS, Oracle, toy_document, without_kinds, write_gold
from training.evaluate import FIGURES
from training.evaluate_command import evaluate
from training.evaluate_run import evaluate_model, find_train_gold
from training.evaluation_report import EvaluationReport
from training.kept_out import is_kept_out
from training.label_archive import write_archive

WRITTEN = """\
=== style: notes | domain: sums | problem: What is 2 + 2?
C Two and two is four.
R Let me count that again.
"""


def run(
    gold: Path,
    *,
    train_gold: Sequence[Path] = (),
    by: Sequence[str] = (),
    kept_out: Sequence[Path] = (),
    traces: Sequence[Path] = (),
    own_steps: bool = False,
    reliability_plot: Path | None = None,
) -> EvaluationReport:
    return evaluate_model(
        Oracle(),
        model={"name": "toy", "version": "1"},
        threshold=0.5,
        gold=[gold],
        train_gold=train_gold,
        by=by,
        kept_out=kept_out,
        traces=traces,
        own_steps=own_steps,
        reliability_plot=reliability_plot,
        resamples=20,
    )


def test_training_gold_beside_the_gold_file_is_found_and_named(tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "dev.jsonl.gz", DOCUMENTS)
    without = run(gold)
    assert "tfidf" not in without.overall.figures
    assert any("no TF-IDF baseline" in note for note in without.notes)

    train = write_gold(tmp_path / "train.jsonl.gz", [toy_document(seed) for seed in range(100, 140)])
    assert find_train_gold([gold, gold]) == [train]
    report = run(gold)
    assert report.overall.figures["tfidf"]["average_precision"].value > 0.9
    assert report.train_gold[0].documents == 40
    assert any("found beside the gold file" in note for note in report.notes)
    given = run(gold, train_gold=[train])
    assert not any("found beside" in note for note in given.notes)


def test_tfidf_does_not_learn_from_what_is_evaluated(tmp_path: Path) -> None:
    train = write_gold(tmp_path / "train.jsonl.gz", DOCUMENTS)
    everything = run(train)
    assert "tfidf" not in everything.overall.figures
    assert any("is evaluated on" in note for note in everything.notes)
    some = run(write_gold(tmp_path / "some.jsonl.gz", DOCUMENTS[:5]))
    assert some.train_gold[0].documents == 15
    assert any("5 of its documents are evaluated on" in note for note in some.notes)


def test_report_as_json_has_every_figure_of_every_scorer(tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "dev.jsonl.gz", [*DOCUMENTS, replace(DOCUMENTS[0], steps=())])
    write_gold(tmp_path / "train.jsonl.gz", [toy_document(seed) for seed in range(100, 140)])
    report = json.loads(
        json.dumps(run(gold, by=["model", "file"], own_steps=True).as_dict(), allow_nan=False)
    )
    assert list(report["scorers"]) == ["model", "three_words", "seal", "wide", "label_vote", "tfidf"]
    assert list(report["thresholds"]) == list(report["scorers"])
    for figures in report["scorers"].values():
        assert list(figures) == list(FIGURES)
        assert all(set(figure) == {"value", "low", "high"} for figure in figures.values())
    assert set(report["differences"]) == set(report["scorers"]) - {"model"}
    assert report["gold"][0]["documents"] == 21
    assert len(report["gold"][0]["sha256"]) == 64
    assert report["labels"]["documents"] == 20
    assert list(report["by"]["model"]) == ["model-0", "model-1"]
    whole_file = report["by"]["file"][str(gold)]["scorers"]["model"]
    assert whole_file == report["scorers"]["model"]
    assert report["own_steps"]["gold_steps"] == 240
    assert report["own_steps"]["own_steps"] == 240
    assert report["own_steps"]["rate_rank_correlation"]["low"] is not None
    assert sum(row["steps"] for row in report["reliability"]["width"]) == 240
    assert len(report["reliability"]["count"]) == 15
    assert any("1 documents without a labelled step" in note for note in report["notes"])


def test_tables_fit_80_columns_and_are_not_cut(tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "dev.jsonl.gz", [without_kinds(document) for document in DOCUMENTS])
    write_gold(tmp_path / "train.jsonl.gz", [toy_document(seed) for seed in range(100, 140)])
    out = StringIO()
    console = Console(file=out, width=80)
    report = run(gold, by=["group", "position"], own_steps=True)
    for renderable in report.renderables():
        console.print(renderable)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text.replace("Model minus …", "")
    for scorer in ("3 words", "SEAL list", "wide list", "vote", "TF-IDF", "calibration error", "model-1"):
        assert scorer in text
    assert "R against C" not in text  # no kinds, no row
    assert "too narrow" not in text
    assert "have no kind" in text


def test_small_parts_carry_a_warning(tmp_path: Path) -> None:
    out = StringIO()
    for renderable in run(write_gold(tmp_path / "dev.jsonl", DOCUMENTS[:3]), by=["model"]).renderables():
        Console(file=out, width=80).print(renderable)
    assert "Intervals from fewer than 10 documents are too narrow." in out.getvalue()


def test_calls_that_are_wrong_say_so_before_the_work(tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "dev.jsonl.gz", DOCUMENTS)
    with pytest.raises(OptionError, match="cannot split figures by 'colour'; expected one of group"):
        run(gold, by=["colour"])
    with pytest.raises(InputFileError, match="no labelled step"):
        run(write_gold(tmp_path / "empty.jsonl.gz", [replace(DOCUMENTS[0], steps=())]))
    with pytest.raises(InputFileError, match=r"nowhere\.jsonl"):
        run(tmp_path / "nowhere.jsonl")
    with pytest.raises(OutputFileError, match="exists already"):
        run(gold, reliability_plot=gold)


def test_only_the_kept_out_part_of_training_files_is_evaluated(tmp_path: Path) -> None:
    dev = write_gold(tmp_path / "dev.jsonl.gz", DOCUMENTS[:4])
    train = write_gold(tmp_path / "train.jsonl.gz", DOCUMENTS[4:10])
    traces = write_gold(tmp_path / "traces.jsonl", DOCUMENTS[10:])
    archive = tmp_path / "added.parquet"
    write_archive(DOCUMENTS[10:], archive)
    written = tmp_path / "written"
    written.mkdir()
    (written / "one.txt").write_text(WRITTEN, encoding="utf-8")
    report = run(dev, kept_out=[train, archive, written], traces=[traces], by=["file", "domain"])
    kept = [document.id for document in DOCUMENTS[4:] if is_kept_out(document)]
    assert [file.documents for file in report.gold[:3]] == [4, 1, 1]
    assert len(kept) == 2
    assert report.overall.documents == 6 + report.gold[3].documents
    assert len({file.sha256 for file in report.gold}) == 4
    # TF-IDF learns from what is left of the training file.
    assert report.train_gold[0].documents == 5
    assert any("The vote was weighed" in note for note in report.notes)
    assert "The vote was weighed" not in " ".join(run(dev).notes)


def test_reliability_is_drawn_on_request(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the reliability plot needs matplotlib")
    gold = write_gold(tmp_path / "dev.jsonl.gz", DOCUMENTS)
    run(gold, reliability_plot=tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


class FakeBranchScorer:
    """Stands in for the embedded model: gives every step the same probabilities."""

    threshold = 0.5
    model = ModelInfo("toy", "1", "0" * 64, "fp32")

    def __init__(
        self, model: Path | None = None, *, precision: str = "fp32", threads: int | None = None
    ) -> None:
        self.settings = (model, precision, threads)

    def score_steps_kinds(self, trace: str, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        return np.tile(np.array([0.4, 0.3, 0.2, 0.1], np.float32), (len(spans), 1))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr("classifier.scorer.BranchScorer", FakeBranchScorer)
    app = typer.Typer()
    app.command()(evaluate)
    return app


def test_command_prints_json_of_all_gold_files(app: typer.Typer, tmp_path: Path) -> None:
    first = write_gold(tmp_path / "a.jsonl.gz", DOCUMENTS[:10])
    second = write_gold(tmp_path / "b.jsonl.gz", DOCUMENTS[10:])
    arguments = ["--gold", str(first), str(second), "--json", "--resamples", "10", "--by", "file"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["model"] == {"name": "toy", "version": "1", "sha256": "0" * 64, "precision": "fp32"}
    assert [file["documents"] for file in report["gold"]] == [10, 10]
    assert report["scorers"]["model"]["recall"]["value"] == 1
    assert report["bootstrap"]["resamples"] == 10
    assert list(report["by"]["file"]) == [str(first), str(second)]


def test_command_prints_tables(app: typer.Typer, tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "a.jsonl.gz", DOCUMENTS)
    result = CliRunner().invoke(app, ["--gold", str(gold), "--resamples", "10"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "average precision" in result.stdout
    assert "no TF-IDF baseline" in " ".join(result.stdout.split())
