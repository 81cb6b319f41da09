"""`branching score`, and what all commands share."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from classifier import BranchScorer, __version__, cli
from classifier.batch import score_files
from classifier.command_group import PLUGIN_COMMANDS, PluginCommand
from classifier.errors import ModelError, OptionError, ProviderError
from classifier.loading import scorer_loader
from classifier.row_stream import LoadedScorer
from tests.cli_runner import CommandLine
from tests.example_traces import TRACES
from tests.fake_scorer import fake_columns, fake_rate, names_in, read_lines, write_lines

Plugin = Callable[..., None]


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
    options += ["--model", "folder", "--column", "trace", "--schema", "trace", "--steps"]
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
        (["score", "in.jsonl"], "Missing option"),
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


def test_version_and_help(branching: CommandLine) -> None:
    assert branching("--version").stdout == f"branching {__version__}\n"
    result = branching("--help")
    assert result.code == 0
    for name in ("score", "filter", *(command.name for command in PLUGIN_COMMANDS)):
        assert f" {name} " in result.stdout


@pytest.mark.parametrize("name", ["score", "filter"])
def test_help_has_an_example(branching: CommandLine, name: str) -> None:
    result = branching(name, "--help")
    assert result.code == 0
    assert f"branching {name} " in result.stdout.split("Example", 1)[1]


@pytest.mark.parametrize("command", PLUGIN_COMMANDS, ids=lambda command: command.name)
def test_commands_of_other_packages_say_what_to_install(
    branching: CommandLine, monkeypatch: pytest.MonkeyPatch, command: PluginCommand
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **which: [])
    result = branching(command.name, "--help")
    assert result.code == 2
    assert f"pip install 'branching-classifier[{command.extra}]'" in result.stderr


class FakeEntryPoint:
    """An entry point that gives a function or fails to."""

    def __init__(self, function: Plugin | None) -> None:
        self.function = function

    def load(self) -> Plugin:
        if self.function is None:
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return self.function


def install(monkeypatch: pytest.MonkeyPatch, function: Plugin | None) -> None:
    def entry_points(group: str, name: str) -> list[FakeEntryPoint]:
        assert group == "branching.commands"
        return [FakeEntryPoint(function)] if name == "train" else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_a_command_of_another_package_runs(branching: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(folder: str, epochs: int = 3) -> None:
        """Train on a folder."""
        typer.echo(f"{folder} for {epochs} epochs")
        raise typer.Exit(7)

    install(monkeypatch, train)
    result = branching("train", "traces", "--epochs", "2")
    assert (result.code, result.stdout) == (7, "traces for 2 epochs\n")
    assert "Train on a folder." in branching("train", "--help").stdout
    assert branching("train", "--epoch", "2").code == 2


def test_a_package_that_is_missing_at_import_or_later(
    branching: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    for function in (None, train):
        install(monkeypatch, function)
        result = branching("train")
        assert result.code == 2
        assert "needs the package torch" in result.stderr
        assert "pip install 'branching-classifier[train]'" in result.stderr


def test_a_missing_module_of_our_own_is_no_advice(
    branching: CommandLine, tmp_path: Path, source: Path
) -> None:
    def fail(options: dict[str, Any]) -> LoadedScorer:
        raise ModuleNotFoundError("No module named 'lost'", name="lost")

    branching.load = fail
    with pytest.raises(ModuleNotFoundError, match="lost"):
        branching("score", source, "-o", tmp_path / "out.jsonl")


def python(code: str, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        **options,
    )


def test_help_imports_nothing_heavy() -> None:
    process = python(
        """
        import sys
        from classifier.cli import app
        for arguments in (["--help"], ["score", "--help"], ["filter", "--help"], ["--version"]):
            try:
                app(arguments)
            except SystemExit as stop:
                assert stop.code == 0
        heavy = {"numpy", "pyarrow", "onnxruntime", "tokenizers", "torch", "training", "serving"}
        sys.stderr.write(",".join(sorted(heavy & set(sys.modules))))
        """
    )
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


def test_scoring_json_lines_imports_no_pyarrow_of_its_own(tmp_path: Path, source: Path) -> None:
    process = python(
        f"""
        import sys
        from tests.fake_scorer import score
        score([{str(source)!r}], {str(tmp_path / "out.jsonl")!r})
        sys.stderr.write(str("pyarrow" in sys.modules))
        """
    )
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "False")


def test_running_the_package() -> None:
    command = [sys.executable, "-m", "classifier", "--version"]
    root = Path(__file__).parents[1]
    result = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert result.stdout == f"branching {__version__}\n"


def test_completion_names_commands_and_values() -> None:
    environment = {**os.environ, "_BRANCHING_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    found = {}
    for words, number in (
        ("branching fi", "1"),
        ("branching score --precision f", "3"),
        ("branching tra", "1"),
    ):
        process = python(
            "from classifier.cli import main; main()",
            env={**environment, "COMP_WORDS": words, "COMP_CWORD": number},
        )
        found[words], _ = process.communicate()
    assert found["branching fi"].split() == ["filter"]
    assert found["branching score --precision f"].split() == ["fp32", "fp16"]
    assert found["branching tra"].split() == ["train"]


def test_completion_is_silent_about_what_is_not_installed() -> None:
    environment = {**os.environ, "_BRANCHING_COMPLETE": "complete_bash"}
    process = python(
        """
        import importlib.metadata
        importlib.metadata.entry_points = lambda **which: []
        from classifier.cli import main
        main()
        """,
        env={**environment, "COMP_WORDS": "branching sft --", "COMP_CWORD": "2"},
    )
    _, errors = process.communicate()
    assert errors == ""


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
    assert errors == "Error: Stopped before the end; no output was left behind\n"
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


def test_the_project_registers_the_command_and_its_plugins() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"branching": f"{cli.main.__module__}:{cli.main.__name__}"}
    known = {command.name: command.extra for command in PLUGIN_COMMANDS}
    assert project["entry-points"]["branching.commands"].keys() <= known.keys()
    assert set(known.values()) <= project["optional-dependencies"].keys()


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
