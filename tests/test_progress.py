"""Progress: shown on a terminal, and nowhere else."""

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from classifier.files import BatchLimits, find_inputs, read_batches
from classifier.overlap import WriteBehind, read_ahead
from classifier.progress import Progress, ProgressBar, terminal_progress
from tests.fake_scorer import write_lines


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_bar_shows_rows_and_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    paths = [write_lines(tmp_path / f"{name}.jsonl", [{"trace": "A."}] * 1500) for name in "ab"]
    sources = find_inputs([str(path) for path in paths])
    with terminal_progress() as progress:
        assert isinstance(progress, ProgressBar)
        progress.start("Reading", sources)
        progress.start("Scoring", sources)
        for source in sources:
            for batch in read_batches(source, BatchLimits(rows=500)):
                progress.advance(batch, 500)
        (task,) = progress._bar.tasks
        assert task.completed == task.total == sum(path.stat().st_size for path in paths)
        assert task.fields["rows"] == 3000
        assert task.fields["speed"].endswith(" traces/s")
        progress._bar.refresh()
    assert "Scoring" in terminal.getvalue()
    assert "3,000 rows" in terminal.getvalue()


def test_the_length_of_a_stream_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    with ProgressBar() as progress:
        progress.start("Scoring", find_inputs(["-"]))
        (task,) = progress._bar.tasks
        assert task.total is None


def test_nothing_is_shown_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = find_inputs([str(write_lines(tmp_path / "in.jsonl", [{"trace": "A."}]))])
    (batch,) = read_batches(sources[0])
    bar = ProgressBar()
    bar.advance(batch, 1)
    with terminal_progress() as progress:
        assert type(progress) is Progress
        progress.start("Scoring", sources)
        progress.advance(batch, 1)
    assert capsys.readouterr() == ("", "")


def test_reading_ahead_keeps_order_and_raises_in_place() -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise ZeroDivisionError

    ahead = read_ahead(items())
    assert [next(ahead) for _ in range(10)] == list(range(10))
    with pytest.raises(ZeroDivisionError):
        next(ahead)


def test_reading_stays_only_a_little_ahead() -> None:
    made = []
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            for item in range(1000):
                made.append(item)
                yield item
        finally:
            closed.set()

    ahead = read_ahead(items())
    assert next(ahead) == 0
    time.sleep(0.2)
    assert len(made) <= 5
    ahead.close()
    assert closed.wait(5)
    assert len(made) <= 6


def test_writing_behind_keeps_order_and_waits() -> None:
    written: list[int] = []

    def write(item: int) -> None:
        time.sleep(0.01)
        written.append(item)

    behind = WriteBehind(write)
    for item in range(20):
        behind.put(item)
        assert len(written) >= item - 4
    behind.finish()
    assert written == list(range(20))


def test_an_error_in_writing_is_raised_where_items_come_from() -> None:
    started = threading.Event()

    def write(item: int) -> None:
        started.set()
        raise ZeroDivisionError(item)

    behind = WriteBehind(write)
    behind.put(1)
    started.wait(5)
    with pytest.raises(ZeroDivisionError, match="1"):
        behind.finish()


def test_stopping_drops_what_is_not_written() -> None:
    go_on = threading.Event()
    written: list[int] = []

    def write(item: int) -> None:
        go_on.wait(5)
        written.append(item)

    behind = WriteBehind(write)
    for item in range(3):
        behind.put(item)
    threading.Timer(0.3, go_on.set).start()
    behind.stop()
    assert written == [0]
