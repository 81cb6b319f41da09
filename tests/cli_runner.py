"""Runs the `branching` command in this process, with the fake scorer in place of the model."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from classifier.cli import app
from classifier.row_stream import LoadedScorer
from tests.fake_scorer import FakeRowScorer, loader


@dataclass
class Result:
    """What a call gave."""

    code: int
    stdout: str
    stderr: str


class CommandLine:
    """Calls `branching`; remembers what the model was to be loaded with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.loads: list[dict[str, Any]] = []
        self.load: Callable[[dict[str, Any]], LoadedScorer] = self._load_fake
        self._capfd = capfd
        monkeypatch.setattr("classifier.loading.scorer_loader", self._scorer_loader)

    def __call__(self, *arguments: Path | str, stdin: bytes | None = None) -> Result:
        """Run a command, with some bytes on standard input."""
        self._capfd.readouterr()
        with _standard_input(stdin):
            try:
                code = app([str(argument) for argument in arguments], prog_name="branching")
            except SystemExit as stop:
                code = stop.code
        out, err = self._capfd.readouterr()
        return Result(int(code or 0), out, err)

    def _scorer_loader(self, **options: Any) -> Callable[[], LoadedScorer]:
        def load() -> LoadedScorer:
            self.loads.append(options)
            return self.load(options)

        return load

    def _load_fake(self, options: dict[str, Any]) -> LoadedScorer:
        names = ("steps", "schema", "column")
        return loader(FakeRowScorer(**{name: options[name] for name in names}))()


@contextmanager
def _standard_input(data: bytes | None) -> Iterator[None]:
    if data is None:
        yield
        return
    kept = os.dup(0)
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def python(code: str, **options: Any) -> "subprocess.Popen[str]":
    """Start a Python process in the project's folder."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        **options,
    )
