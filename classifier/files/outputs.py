"""Write rows to a temporary file that takes its final name only when it is complete."""

from __future__ import annotations

import errno
import glob
import gzip
import hashlib
import io
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import zstandard

from classifier.errors import OutputFileError
from classifier.files.inputs import InputFile
from classifier.files.names import MANIFEST_ENDING, STANDARD_STREAM, Format, format_of, is_url

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_KNOWN: Final = ".jsonl, .jsonl.gz, .jsonl.zst or .parquet"


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """Where rows go.

    Parameters
    ----------
    name
        What messages call it: the path as it was given, or "standard output".
    path
        The file, links followed; None for standard output.
    format
        How rows are stored.
    compression
        What JSON lines are compressed with, if anything.
    """

    name: str
    path: Path | None
    format: Format
    compression: str | None


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """What a complete output holds.

    Parameters
    ----------
    rows, bytes
        How many there are.
    sha256
        Of the bytes, in hexadecimal.
    """

    rows: int
    bytes: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON can hold them."""
        return asdict(self)


def plan_output(name: str, *, overwrite: bool, inputs: Sequence[InputFile]) -> OutputTarget:
    """Check that an output can be written, without touching it.

    Parameters
    ----------
    name
        A path whose ending names the format, or "-" for JSON lines on standard output.
    overwrite
        Whether a file that exists may be replaced.
    inputs
        The inputs, of which the output must be none.

    Raises
    ------
    OutputFileError
        If the ending is not known, the file exists or is an input, or its folder cannot be written to.
    """
    if name == STANDARD_STREAM:
        return OutputTarget("standard output", None, "jsonl", None)
    known = format_of(Path(name).name)
    if known is None or known[0] == "json":
        raise OutputFileError(f"{name} has an ending that cannot be written: expected {_KNOWN}, or - alone")
    target = OutputTarget(name, Path(os.path.realpath(name)), known[0], known[1])
    check_target(target, overwrite=overwrite, inputs=inputs)
    return target


def check_target(target: OutputTarget, *, overwrite: bool, inputs: Sequence[InputFile]) -> None:
    """Check that a file can be written, whatever its format, without touching it.

    Parameters
    ----------
    target
        The file.
    overwrite
        Whether a file that exists may be replaced.
    inputs
        The inputs, of which the output must be none.

    Raises
    ------
    OutputFileError
        If the file exists or is an input, or its folder cannot be written to.
    """
    name, path = target.name, target.path
    if path is None:
        return
    if is_url(name):
        raise OutputFileError(f"{name} is a URL, and outputs are local files: name one, and copy it there")
    for source in inputs:
        if source.path is not None and os.path.realpath(source.path) == str(path):
            raise OutputFileError(f"{name} is an input as well: give the output another name")
    if not path.parent.is_dir():
        raise OutputFileError(
            f"{name} cannot be written: there is no folder {Path(name).parent}. Create it with mkdir -p"
        )
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise OutputFileError(f"{name} is no regular file, and only such a one can be replaced: name another")
    if not os.access(path.parent, os.W_OK):
        raise OutputFileError(
            f"{name} cannot be written: permission denied in the folder {Path(name).parent}"
        )
    if not overwrite:
        refuse_existing(target)


def refuse_existing(target: OutputTarget) -> None:
    """Refuse an output that exists.

    Raises
    ------
    OutputFileError
        If there is a file of that name.
    """
    if target.path is not None and target.path.exists():
        raise OutputFileError(f"{target.name} exists: give --overwrite to replace it, or another name")


def remove_leftovers(output: Path) -> None:
    """Remove the temporary files of an output and its manifest that a killed run left behind."""
    for name in (output.name, output.name + MANIFEST_ENDING):
        for path in output.parent.glob(f".{glob.escape(name)}.{'[0-9a-f]' * 8}.tmp"):
            path.unlink(missing_ok=True)


@contextmanager
def write_errors(name: str) -> Iterator[None]:
    """Put what the system says about a file that cannot be written into words.

    Parameters
    ----------
    name
        What messages call the file.

    Raises
    ------
    OutputFileError
        In place of an OSError; a broken pipe stays what it is.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        advice = "Free some space" if error.errno in _NO_ROOM else "Check its folder"
        raise OutputFileError(
            f"{name} cannot be written: {error.strerror or error}. {advice} and start again"
        ) from error


class NewFile(io.BufferedIOBase):
    """A file under a temporary name in its final folder, or standard output.

    Parameters
    ----------
    target
        Where the content goes.

    Raises
    ------
    OutputFileError
        If it cannot be created, and from every method if writing fails, as on a full disk.
    """

    def __init__(self, target: OutputTarget) -> None:
        super().__init__()
        self._target = target
        self._discarding = False
        self._temporary: Path | None = None
        self._file: BinaryIO
        # A pipe cannot tell its position, so the bytes are counted here.
        self._size = 0
        self._digest = hashlib.sha256()
        with write_errors(self._target.name):
            if target.path is None:
                self._file = open(1, "wb", closefd=False)  # noqa: SIM115 - closed by commit or discard
            else:
                name = f".{target.path.name}.{secrets.token_hex(4)}.tmp"
                self._temporary = target.path.with_name(name)
                self._file = self._temporary.open("xb")

    @property
    def path(self) -> Path | None:
        """Where the content is while it is not complete."""
        return self._temporary

    def writable(self) -> bool:
        """Tell that bytes can be written."""
        return True

    def write(self, data: Any) -> int:
        """Write all of some bytes."""
        if self._discarding:
            return len(data)
        with write_errors(self._target.name):
            count = self._file.write(data)
        self._digest.update(data)
        self._size += count
        return count

    def flush(self) -> None:
        """Hand what was written to the system."""
        if not self._discarding and not self._file.closed:
            with write_errors(self._target.name):
                self._file.flush()

    def tell(self) -> int:
        """Tell how many bytes were written."""
        return 0 if self._discarding else self._size

    def finish(self, rows: int) -> FinishedFile:
        """Hand the whole content to the system, and return what it is.

        Parameters
        ----------
        rows
            How many rows were written.
        """
        self.flush()
        return FinishedFile(rows, self._size, self._digest.hexdigest())

    def commit(self) -> None:
        """Put the content in its final place, safe from a power cut."""
        with write_errors(self._target.name):
            self._file.flush()
            if self._temporary is None or self._target.path is None:
                return
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._target.path)
            self._discarding = True
            folder = os.open(self._target.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Remove the content; later writes go nowhere."""
        self._discarding = True
        with suppress(OSError):
            self._file.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)


class LineFile:
    """Write lines of text, compressed if the target's name says so."""

    def __init__(self, target: OutputTarget) -> None:
        self._file = NewFile(target)
        self._rows = 0
        try:
            self._stream = _compressed(self._file, target.compression)
        except BaseException:
            self._file.discard()
            raise

    def write(self, lines: Sequence[str]) -> None:
        """Write lines."""
        if lines:
            self._stream.write(("\n".join(lines) + "\n").encode())
            self._rows += len(lines)

    def flush(self) -> None:
        """Hand what was written to the reader at the other end."""
        self._stream.flush()

    def finish(self) -> FinishedFile:
        """Write what is left, and return what the file holds."""
        if self._stream is not cast(BinaryIO, self._file):
            self._stream.close()
        return self._file.finish(self._rows)

    def commit(self) -> None:
        """Put the finished file in its place."""
        self._file.commit()

    def discard(self) -> None:
        """Remove the file."""
        self._file.discard()
        if self._stream is not cast(BinaryIO, self._file):
            self._stream.close()


def _compressed(file: NewFile, compression: str | None) -> BinaryIO:
    raw = cast(BinaryIO, file)
    if compression == "gzip":
        # Neither name nor time go into the header: the same rows give the same bytes.
        return cast(BinaryIO, gzip.GzipFile("", "wb", 6, raw, mtime=0))
    if compression == "zstd":
        compressor = zstandard.ZstdCompressor(write_checksum=True)
        return cast(BinaryIO, compressor.stream_writer(raw, closefd=False))
    return raw
