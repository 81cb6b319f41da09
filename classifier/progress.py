"""Show how far reading and scoring have come: on a terminal only, and on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from classifier.files.inputs import InputFile
    from classifier.files.rows import RowBatch


class Progress:
    """Takes note of progress and shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""

    def start(self, stage: str, sources: Sequence[InputFile]) -> None:
        """Begin to go through some inputs.

        Parameters
        ----------
        stage
            What is done with them, in a word or two.
        sources
            The inputs.
        """

    def advance(self, batch: RowBatch, traces: int = 0) -> None:
        """Count a batch.

        Parameters
        ----------
        batch
            The rows that are done.
        traces
            How many traces this run has scored in them.
        """


class ProgressBar(Progress):
    """A bar on standard error with rows, traces a second and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar: RichProgress = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None
        self._sizes: dict[str, int] = {}
        self._read: dict[str, float] = {}
        self._rows = self._traces = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def start(self, stage: str, sources: Sequence[InputFile]) -> None:
        """Begin a bar; its length is the inputs' bytes, which are known where rows are not."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        sizes = {source.name: source.size for source in sources}
        known = [size for size in sizes.values() if size is not None]
        self._sizes = {name: size or 0 for name, size in sizes.items()}
        self._read = {}
        self._rows = self._traces = 0
        self._began = time.monotonic()
        total = sum(known) if len(known) == len(sizes) else None
        self._task = self._bar.add_task(stage, total=total, rows=0, speed="")

    def advance(self, batch: RowBatch, traces: int = 0) -> None:
        """Count a batch."""
        if self._task is None:
            return
        self._rows += len(batch.rows)
        self._traces += traces
        self._read[batch.source.name] = batch.share_read or 0.0
        done = sum(self._sizes[name] * share for name, share in self._read.items())
        seconds = time.monotonic() - self._began
        speed = f"{self._traces / seconds:,.1f} traces/s" if self._traces and seconds else ""
        self._bar.update(self._task, completed=done, rows=self._rows, speed=speed)


def terminal_progress() -> Progress:
    """Return a bar if standard error is a terminal, else something that shows nothing."""
    return ProgressBar() if sys.stderr.isatty() else Progress()
