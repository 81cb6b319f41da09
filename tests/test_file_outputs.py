"""Outputs: written whole or not at all."""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from classifier.batch import ScoreOptions, score_files
from classifier.errors import OutputFileError
from classifier.files import BatchLimits, find_inputs, plan_output, table_writer
from classifier.files.outputs import FinishedFile, NewFile
from classifier.filtering import FilterOptions, filter_files
from classifier.row_stream import RowOptions
from tests.fake_scorer import FakeRowScorer, loader, names_in, refuse_to_load, score, write_lines

ENDINGS = [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in.jsonl", [{"trace": f"Step {n}."} for n in range(50)])


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, source: Path, ending: str) -> None:
    for number, rows in enumerate((1, 7, 256)):
        limits = BatchLimits(rows=rows)
        score([source], tmp_path / f"out{number}{ending}", rows=RowOptions(limits=limits))
    first, second, third = ((tmp_path / f"out{number}{ending}").read_bytes() for number in range(3))
    assert first == second == third


def test_an_output_gets_the_permissions_of_a_new_file(tmp_path: Path, source: Path) -> None:
    old = os.umask(0o027)
    try:
        score([source], tmp_path / "out.jsonl")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == 0o640


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_output_that_exists(tmp_path: Path, source: Path, ending: str) -> None:
    output = tmp_path / f"out{ending}"
    output.write_bytes(b"precious")
    with pytest.raises(OutputFileError, match=rf"out{ending} exists: give --overwrite"):
        score_files([str(source)], str(output), refuse_to_load)
    assert output.read_bytes() == b"precious"
    assert score([source], output, overwrite=True).counts.scored == 50
    assert len(output.read_bytes()) > 100


def test_overwriting_through_a_link_writes_the_file_it_leads_to(tmp_path: Path, source: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "out.jsonl").write_bytes(b"old")
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "real" / "out.jsonl")
    score([source], tmp_path / "out.jsonl", overwrite=True)
    assert (tmp_path / "out.jsonl").is_symlink()
    assert (tmp_path / "real" / "out.jsonl").stat().st_size > 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.csv", r"out\.csv has an ending that cannot be written: expected \.jsonl, .* or \.parquet"),
        ("out.json", r"out\.json has an ending that cannot be written"),
        ("out", r"out has an ending that cannot be written"),
        ("none/out.jsonl", r"none/out\.jsonl cannot be written: there is no folder .*none\. Create it"),
        ("folder.jsonl", r"folder\.jsonl is no regular file"),
        ("pipe.jsonl", r"pipe\.jsonl is no regular file"),
        ("in.jsonl", r"in\.jsonl is an input as well"),
        ("link.jsonl", r"link\.jsonl is an input as well"),
    ],
)
def test_what_cannot_be_an_output(tmp_path: Path, source: Path, name: str, message: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "link.jsonl").symlink_to(source)
    before = source.read_bytes()
    options = ScoreOptions(overwrite=True)
    with pytest.raises(OutputFileError, match=message):
        score_files([str(source)], str(tmp_path / name), refuse_to_load, options)
    assert source.read_bytes() == before


def test_a_folder_that_holds_the_output_already(tmp_path: Path, source: Path) -> None:
    score([source], tmp_path / "out.jsonl")
    with pytest.raises(OutputFileError, match=r"out\.jsonl is an input as well"):
        score_files(
            [str(tmp_path)], str(tmp_path / "out.jsonl"), refuse_to_load, ScoreOptions(overwrite=True)
        )


def test_a_folder_without_permission(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = find_inputs([str(source)])
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputFileError, match=r"out\.jsonl cannot be written: permission denied in"):
        plan_output(str(tmp_path / "out.jsonl"), overwrite=False, inputs=inputs)


def test_a_folder_that_takes_no_new_file(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    target = plan_output(str(tmp_path / "out.jsonl"), overwrite=False, inputs=[])
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputFileError, match=r"out\.jsonl cannot be written: Read-only file system"):
        NewFile(target)


class FullDisk:
    """Makes a new file fail like a full disk once some bytes are written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, method: str = "write") -> None:
        self.room = room
        original: Callable[..., Any] = Path.open

        def open_full(path: Path, *arguments: Any, **options: Any) -> Any:
            file = original(path, *arguments, **options)
            return Limited(file, self, method) if path.name.endswith(".tmp") else file

        monkeypatch.setattr(Path, "open", open_full)


class Limited:
    """A file on a full disk."""

    def __init__(self, file: Any, disk: FullDisk, method: str) -> None:
        self._file = file
        self._disk = disk
        self._method = method

    def __getattr__(self, name: str) -> Any:
        if name == self._method and name != "write":
            return self._fail
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        self._disk.room -= len(data)
        if self._method == "write" and self._disk.room < 0:
            self._fail()
        return int(self._file.write(data))

    def _fail(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("room", "method"), [(0, "write"), (600, "write"), (10**9, "flush")])
def test_a_full_disk(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, ending: str, room: int, method: str
) -> None:
    monkeypatch.setattr(table_writer, "_GROUP_ROWS", 10)
    output, options = tmp_path / f"out{ending}", {"rows": RowOptions(limits=BatchLimits(rows=5))}
    with monkeypatch.context() as full:
        FullDisk(full, room, method)
        with pytest.raises(
            OutputFileError, match=rf"out{ending}(\.manifest\.json)? cannot be written: No space left on"
        ):
            score([source], output, **options)
    assert names_in(tmp_path) <= {"in.jsonl", f".out{ending}.journal"}
    score([source], output, **options)
    score([source], tmp_path / f"whole{ending}", **options)
    assert output.read_bytes() == (tmp_path / f"whole{ending}").read_bytes()


def test_a_full_disk_while_a_column_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, Any]] = [{"trace": f"Step {n}."} for n in range(30)] + [
        {"generations": ["A.", "B."]}
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    limits = BatchLimits(rows=5)
    score([source], tmp_path / "out.parquet", rows=RowOptions(limits=limits))
    size = (tmp_path / "out.parquet").stat().st_size
    for name in ("out.parquet", "out.parquet.manifest.json"):
        (tmp_path / name).unlink()
    FullDisk(monkeypatch, size)
    with pytest.raises(OutputFileError, match="No space left on device"):
        score([source], tmp_path / "out.parquet", rows=RowOptions(limits=limits))
    assert names_in(tmp_path) == {"in.jsonl", ".out.parquet.journal"}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("failing", ["out", "out.manifest"])
def test_none_of_two_outputs_is_left_where_one_fails(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, ending: str, failing: str
) -> None:
    finish = NewFile.finish
    name = f"out{ending}" + (".manifest.json" if failing == "out.manifest" else "")

    def fail(file: NewFile, rows: int) -> FinishedFile:
        if file.path is not None and file.path.name.startswith(f".{name}."):
            raise OutputFileError(f"{name} cannot be written: No space left on device")
        return finish(file, rows)

    monkeypatch.setattr(NewFile, "finish", fail)
    options = FilterOptions(keep=0.5)
    with pytest.raises(OutputFileError, match="No space left on device"):
        filter_files(
            [str(source)],
            str(tmp_path / f"out{ending}"),
            loader(),
            options,
            dropped=str(tmp_path / "dropped.jsonl"),
        )
    assert names_in(tmp_path) == {"in.jsonl"}


class Stopping(FakeRowScorer):
    """Raises in its third batch."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
        """Score two batches, then raise."""
        if len(self.batches) == 2:
            raise self.error
        return super().score_rows(rows)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_a_run_that_stops_leaves_its_scores_and_no_output(
    tmp_path: Path, source: Path, ending: str, kind: type[BaseException]
) -> None:
    error = kind()
    options = ScoreOptions(rows=RowOptions(limits=BatchLimits(rows=5)), overwrite=True)
    output = tmp_path / f"out{ending}"
    output.write_bytes(b"old")
    with pytest.raises(kind):
        score_files([str(source)], str(output), loader(Stopping(error)), options)
    assert error.__notes__ == ["10 rows are scored; the same command goes on from there"]
    assert names_in(tmp_path) == {"in.jsonl", output.name, f".{output.name}.journal"}
    assert output.read_bytes() == b"old"


def test_a_new_run_replaces_what_was_said_about_the_old_one(tmp_path: Path, source: Path) -> None:
    score_files([str(source)], str(tmp_path / "out.jsonl"), loader(name="old"), ScoreOptions())
    score_files([str(source)], str(tmp_path / "out.jsonl"), loader(name="new"), ScoreOptions(overwrite=True))
    assert '"new"' in (tmp_path / "out.jsonl.manifest.json").read_text()


def test_a_table_is_written_in_the_order_of_its_rows(tmp_path: Path, source: Path) -> None:
    score([source], tmp_path / "out.parquet", rows=RowOptions(limits=BatchLimits(rows=3)))
    assert pq.read_table(tmp_path / "out.parquet").column("trace").to_pylist() == [
        f"Step {n}." for n in range(50)
    ]
