"""`branching score`."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier import BranchScorer, __version__, cli
from classifier.batch import score_files
from classifier.errors import ModelError, OptionError, ProviderError
from classifier.loading import scorer_loader
from classifier.row_stream import LoadedScorer
from tests.cli_runner import CommandLine, python
from tests.example_traces import TRACES
from tests.fake_scorer import fake_columns, fake_rate, names_in, read_lines, write_lines


@pytest.fixture
def branching(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in.jsonl", [{"trace": "One step."}, {"trace": "Another step."}])


def test_all_rows_scored(branching: CommandLine, tmp_path: Path, source: Path) -> None:
    result = branching("score", source, "-o", tmp_path / "out.jsonl")
    assert result.code == 0
    assert result.stdout == ""
    assert "Scored 2 of 2 rows" in result.stderr
    assert "model fake 1 (fp32, SHA-256 aaaaaaaaaaaa…)" in result.stderr
    rows = read_lines(tmp_path / "out.jsonl")
    assert rows == [{"trace": text} | fake_columns(text) for text in ("One step.", "Another step.")]


def test_some_rows_not_scored(branching: CommandLine, tmp_path: Path) -> None:
    lines: list[str | dict[str, Any]] = [
        "{oops",
        *({"n": n} for n in range(12)),
        {"trace": "Good."},
        "",
        {"trace": None},
        {"trace": ""},
    ]
    source = write_lines(tmp_path / "in.jsonl", lines)
    result = branching("score", source, "-o", tmp_path / "out.parquet")
    assert result.code == 1
    assert "Scored 1 of 16 rows" in result.stderr
    assert "Blank lines passed over: 1" in result.stderr
    assert "Rows without a score: 15 (schema 12, format 1, type 1, empty 1)" in result.stderr
    assert f"{source} line 1: format: not JSON" in result.stderr
    assert f"{source} line 10: schema: " in result.stderr
    assert "… and 5 more" in result.stderr
    errors = pq.read_table(tmp_path / "out.parquet").column("branch_error").to_pylist()
    assert [error is None for error in errors].index(True) == 13
    assert sum(error is None for error in errors) == 1


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_summary_for_machines(branching: CommandLine, tmp_path: Path, arguments: list[str]) -> None:
    lines = ['{"trace": "Good.", "x": 1}', "{oops", '{"trace": "\\ud83d", "x": "y"}']
    source = write_lines(tmp_path / "in.jsonl", lines)
    result = branching("score", source, "-o", tmp_path / "out.parquet", *arguments)
    assert result.code == 1
    if not arguments:
        assert "Stored as JSON text, as rows disagree in type: x" in result.stderr
        assert "Rows with lone surrogates, which Parquet cannot hold: 1 " in result.stderr
        return
    assert result.stderr == ""
    summary = json.loads(result.stdout)
    assert summary["rows"] == 3
    assert (summary["scored"], summary["traces"], summary["errors"]) == (2, 2, 1)
    assert summary["errors_by_type"] == {"format": 1}
    assert summary["first_errors"][0]["place"] == f"{source} line 2"
    assert summary["mean_branch_rate"] == (fake_rate("Good.") + fake_rate("\ud83d")) / 2
    assert summary["provenance"]["model"]["sha256"] == "a" * 64
    assert (summary["json_text_columns"], summary["replaced_rows"]) == (["x"], 1)
    assert (summary["inputs"], summary["output"]) == ([str(source)], str(tmp_path / "out.parquet"))
    assert summary["seconds"] > 0
    assert summary["traces_per_second"] > 0


def test_standard_input_and_output(branching: CommandLine) -> None:
    result = branching("score", "-", "-o", "-", stdin=b'{"trace": "One."}\n\n{"trace": "Two."}')
    assert result.code == 0
    assert [json.loads(line)["branch_rate"] for line in result.stdout.splitlines()] == [
        fake_rate("One."),
        fake_rate("Two."),
    ]


def test_standard_input_to_parquet(branching: CommandLine, tmp_path: Path) -> None:
    result = branching("score", "-", "-o", tmp_path / "out.parquet", stdin=b'{"trace": "One."}\n{oops\n')
    assert result.code == 1
    assert "standard input line 2: format: " in result.stderr
    assert pq.read_table(tmp_path / "out.parquet").column("branch_rate").to_pylist() == [
        fake_rate("One."),
        None,
    ]


def test_options_reach_the_model(branching: CommandLine, tmp_path: Path, source: Path) -> None:
    options = ["--batch-size", "1", "--threads", "2", "--provider", "cpu", "--precision", "int8"]
    options += ["--model", "folder", "--cache", "folder", "--column", "trace", "--schema", "trace", "--steps"]
    assert branching("score", source, "-o", tmp_path / "out.jsonl", *options).code == 0
    assert branching.loads == [
        {
            "model": "folder",
            "provider": "cpu",
            "precision": "int8",
            "threads": 2,
            "batch_size": 1,
            "schema": "trace",
            "column": "trace",
            "steps": True,
            "cache": "folder",
        }
    ]
    step = {"start": 0, "end": 9, "probability": 0.5, "kind": "restart"}
    assert read_lines(tmp_path / "out.jsonl")[0]["branch_steps"] == [step]


def test_limit_and_explode(branching: CommandLine, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"generations": ["A.", "B."], "ok": [True, False], "uuid": "u", "messages": [{"a": 1}, {"a": 2}]},
        {"generations": ["C."]},
        {"generations": ["D."]},
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    expected: list[dict[str, Any]] = [
        rows[0] | {"generations": ["A."], "ok": [True]},
        rows[0] | {"generations": ["B."], "ok": [False]},
        rows[1],
    ]
    assert branching("score", source, "-o", tmp_path / "out.jsonl", "--limit", "2", "--explode").code == 0
    assert branching("score", source, "-o", tmp_path / "out.parquet", "--limit", "2", "--explode").code == 0
    for result in (read_lines(tmp_path / "out.jsonl"), pq.read_table(tmp_path / "out.parquet").to_pylist()):
        for row, old, text in zip(result, expected, ("A.", "B.", "C."), strict=True):
            assert {name: row[name] for name in old} == old
            assert row["branch_rate"] == fake_rate(text)
            assert row["branch_rates"] == [fake_rate(text)]


def test_explode_saves_the_good_traces_of_a_row(branching: CommandLine, tmp_path: Path) -> None:
    table = pa.table({"generations": [["A.", None, "C."], [], None], "n": [1, 2, 3]})
    pq.write_table(table, tmp_path / "in.parquet")
    result = branching("score", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", "--explode")
    assert result.code == 1
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["generations"] for row in rows] == [["A."], [None], ["C."], [], None]
    assert [row["n"] for row in rows] == [1, 1, 1, 2, 3]
    assert [row["branch_rate"] for row in rows] == [fake_rate("A."), None, fake_rate("C."), None, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "none.jsonl", "-o", "out.jsonl"], "none.jsonl does not exist"),
        (["score", "in.jsonl", "-o", "in.jsonl", "--overwrite"], "in.jsonl is an input as well"),
        (["score", "in.jsonl", "-o", "old.jsonl"], "old.jsonl exists: give --overwrite"),
        (
            ["score", "scored.jsonl", "-o", "out.jsonl"],
            "line 1 already has the column branch_rate",
        ),
        (["score", "in.jsonl", "-o", "-", "--json"], "both write to standard output"),
        (["score", "in.jsonl"], "No output was given"),
        (["score", "in.jsonl", "-o", "out.jsonl", "--threads", "0"], "--threads"),
        (["score", "in.jsonl", "-o", "out.jsonl", "--precision", "fp8"], "--precision"),
        (["score", "in.jsonl", "-o", "out.jsonl", "--schema", "mesages"], "Did you mean messages?"),
        (["skore"], "score"),
    ],
)
def test_wrong_calls(
    branching: CommandLine,
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "old.jsonl", [])
    write_lines(tmp_path / "scored.jsonl", [{"trace": "One.", "branch_rate": 0.5}])
    before = names_in(tmp_path)
    result = branching(*arguments)
    assert result.code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert names_in(tmp_path) == before


@pytest.mark.parametrize("error", [ModelError("the model is broken"), ProviderError("no such device")])
def test_a_model_that_cannot_be_loaded(
    branching: CommandLine, tmp_path: Path, source: Path, error: ModelError
) -> None:
    def fail(options: dict[str, Any]) -> LoadedScorer:
        raise error

    branching.load = fail
    result = branching("score", source, "-o", tmp_path / "out.jsonl")
    assert (result.code, result.stderr) == (2, f"Error: {error}\n")
    assert names_in(tmp_path) == {"in.jsonl"}


def test_messages_that_no_file_can_hold(branching: CommandLine, tmp_path: Path, source: Path) -> None:
    class Quoting:
        def score_rows(self, rows: Any) -> list[dict[str, Any]]:
            nothing = dict.fromkeys(("branch_rate", "branch_count", "step_count"))
            return [nothing | {"branch_error": "row: \ud83d – no"} for _ in rows]

    branching.load = lambda options: LoadedScorer(Quoting(), {"model": {}})
    for name in ("out.jsonl", "out.parquet"):
        assert branching("score", source, "-o", tmp_path / name).code == 1
    assert read_lines(tmp_path / "out.jsonl")[0]["branch_error"] == "row: \\ud83d – no"
    assert pq.read_table(tmp_path / "out.parquet").column("branch_error")[0].as_py() == "row: \\ud83d – no"


SLOW = """
import time
import classifier.loading
from tests.fake_scorer import FakeRowScorer, loader

class Slow(FakeRowScorer):
    def score_rows(self, rows):
        print("scoring", flush=True)
        time.sleep({seconds})
        return super().score_rows(rows)

classifier.loading.scorer_loader = lambda **options: loader(Slow())
from classifier.cli import main
import sys
sys.argv = ["branching", "score", {source!r}, "-o", {output!r}]
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.parquet"])
def test_a_stopped_run_leaves_nothing(
    tmp_path: Path, source: Path, number: int, code: int, name: str
) -> None:
    process = python(SLOW.format(seconds=30, source=str(source), output=str(tmp_path / name)))
    assert process.stdout is not None
    assert process.stdout.readline() == "scoring\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert names_in(tmp_path) == {"in.jsonl"}


def test_ctrl_c_while_waiting_for_standard_input(tmp_path: Path) -> None:
    code = SLOW.format(seconds=0, source="-", output=str(tmp_path / "out.jsonl"))
    loaded = 'lambda **options: print("loaded", flush=True) or loader'
    process = python(code.replace("lambda **options: loader", loaded), stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "loaded\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == (
        "Error: Stopped before the end; no file was left half-written. A run with standard input cannot go "
        "on from where it was stopped: start it again\n"
    )
    assert names_in(tmp_path) == set()


def test_a_reader_that_wants_no_more(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "A step. " * 100} for _ in range(3000)])
    code = SLOW.format(seconds=0, source=str(source), output="-").replace('print("scoring", flush=True)', "")
    process = python(code)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["branch_error"] is None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=20) == 141


def test_the_shipped_model_gives_the_same_bytes_however_it_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": trace} for trace in TRACES])
    results = set()
    for number, options in enumerate(([], ["--batch-size", "1"], ["--threads", "1"], ["--threads", "2"])):
        output = tmp_path / f"{number}.parquet"
        with pytest.raises(SystemExit) as stop:
            cli.app(["score", str(source), "-o", str(output), "--json", *options])
        assert stop.value.code == 0
        results.add(output.read_bytes())
    assert len(results) == 1
    scorer = BranchScorer()
    rows = pq.read_table(tmp_path / "0.parquet").to_pylist()
    assert [row["branch_rate"] for row in rows] == [score.branch_rate for score in scorer.score_batch(TRACES)]
    provenance = json.loads(capfd.readouterr().out.split("\n}\n")[0] + "}")["provenance"]
    assert provenance == {
        "model": {
            "name": scorer.model.name,
            "version": scorer.model.version,
            "sha256": scorer.model.sha256,
            "precision": "fp32",
        },
        "package_version": __version__,
        "threshold": scorer.threshold,
        "provider": scorer.providers[0],
        "options": {"schema": None, "column": None, "steps": False},
    }


def test_an_unknown_schema_is_found_before_anything_is_written(tmp_path: Path, source: Path) -> None:
    load = scorer_loader(schema="mesages")
    with pytest.raises(OptionError, match="Did you mean messages"):
        score_files([str(source)], str(tmp_path / "out.jsonl"), load)
    assert names_in(tmp_path) == {"in.jsonl"}


def test_output_to_a_pipe_is_whole(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "One."}, {"trace": "Two."}])
    command = [sys.executable, "-m", "classifier", "score", str(source), "-o", "-"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [json.loads(line)["trace"] for line in result.stdout.splitlines()] == ["One.", "Two."]
    assert "Scored 2 of 2 rows" in result.stderr
