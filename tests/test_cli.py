"""What all commands share: help, version, completion, and commands of other packages."""

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from classifier import __version__, cli
from classifier.command_group import PLUGIN_COMMANDS, PluginCommand
from classifier.row_stream import LoadedScorer
from tests.cli_runner import CommandLine, python
from tests.fake_scorer import write_lines

Plugin = Callable[..., None]


@pytest.fixture
def branching(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in.jsonl", [{"trace": "One step."}, {"trace": "Another step."}])


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


def test_a_stopped_command_of_another_package_promises_nothing(
    branching: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train() -> None:
        error = KeyboardInterrupt()
        error.add_note("Its checkpoints are in run")
        raise error

    install(monkeypatch, train)
    result = branching("train")
    assert (result.code, result.stderr) == (
        130,
        "Error: Stopped before the end. Its checkpoints are in run\n",
    )


def test_a_missing_module_of_our_own_is_no_advice(
    branching: CommandLine, tmp_path: Path, source: Path
) -> None:
    def fail(options: dict[str, Any]) -> LoadedScorer:
        raise ModuleNotFoundError("No module named 'lost'", name="lost")

    branching.load = fail
    with pytest.raises(ModuleNotFoundError, match="lost"):
        branching("score", source, "-o", tmp_path / "out.jsonl")


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
        env={**environment, "COMP_WORDS": "branching serve --", "COMP_CWORD": "2"},
    )
    _, errors = process.communicate()
    assert errors == ""


def test_the_project_registers_the_command_and_its_plugins() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"branching": f"{cli.main.__module__}:{cli.main.__name__}"}
    known = {command.name: command.extra for command in PLUGIN_COMMANDS}
    assert project["entry-points"]["branching.commands"].keys() == known.keys()
    assert set(known.values()) <= project["optional-dependencies"].keys()


def test_data_cannot_steer_the_terminal_by_a_message(branching: CommandLine, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [{"trace": "One step.", "\u001b[2Jname": 1}])
    result = branching("report", path, "--by", "\u001b[31mother", "-o", tmp_path / "report.html")
    assert result.code == 2
    assert "name" in result.stderr
    assert "\u001b" not in result.stderr
