"""Find the input files a call names, and open them as streams of bytes."""

import glob
import gzip
import io
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

import zstandard

from classifier.errors import InputFileError
from classifier.files.names import (
    STANDARD_STREAM,
    TABLE_FORMATS,
    Format,
    format_by_name,
    is_url,
    traces_below,
)

READ_ERRORS: Final = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a damaged or unreadable stream raises."""

_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PAR1": "parquet"}
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_LOCAL_URL: Final = re.compile(r"(file|local)://", re.IGNORECASE)
_CHUNK: Final = 1 << 18


class InputFile:
    """One input: a file, a pipe or standard input.

    Parameters
    ----------
    name
        What messages call it: the path as it was given, its URL, or "standard input".
    path
        Where it is; None for standard input and for what is no local file.
    row_format
        How its rows are stored.
    ending_compression
        The compression that its name promises, if any.
    size
        Its bytes on disk; None where they are not known beforehand.
    """

    def __init__(
        self,
        name: str,
        path: Path | None,
        row_format: Format,
        ending_compression: str | None,
        size: int | None,
    ) -> None:
        self.name = name
        self.path = path
        self.format = row_format
        self.ending_compression = ending_compression
        self.size = size
        self._spooled: IO[bytes] | None = None
        self._raw: BinaryIO | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it can be read only once."""
        return self.size is None

    @property
    def is_table(self) -> bool:
        """Whether its rows are Arrow data, and not JSON."""
        return self.format in TABLE_FORMATS

    @property
    def identity(self) -> str:
        """Return what tells it from every other input."""
        return STANDARD_STREAM if self.path is None else os.path.realpath(self.path)

    def read_beside(self, ending: str) -> bytes | None:
        """Read the file whose name is this one's with some ending; None where there is none.

        Parameters
        ----------
        ending
            Such as `MANIFEST_ENDING`.
        """
        if self.path is None:
            return None
        try:
            return self.path.with_name(self.path.name + ending).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def spool(self) -> None:
        """Copy a stream to a temporary file, so that it can be read more than once.

        Raises
        ------
        InputFileError
            If reading it or writing the copy fails.
        """
        if not self.is_stream:
            return
        spooled = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        try:
            with self.open_raw() as raw:
                while chunk := raw.read(_CHUNK):
                    spooled.write(chunk)
            spooled.flush()
            self.size = spooled.tell()
        except OSError as error:
            spooled.close()
            raise InputFileError(
                f"{self.name} must be read twice, and copying it to {tempfile.gettempdir()} failed: "
                f"{error.strerror or error}. Free some space, or set TMPDIR to a folder that has more"
            ) from error
        self._spooled = spooled

    def close(self) -> None:
        """Give a temporary copy back."""
        if self._spooled is not None:
            self._spooled.close()

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the decompressed bytes from the start.

        Yields
        ------
        BinaryIO
            A buffered stream; reading it may raise any of `READ_ERRORS`, for `unreadable` to put in words.

        Raises
        ------
        InputFileError
            If the content is not what the name promises.
        """
        with self.open_raw() as raw:
            self._raw = raw
            try:
                yield _decompressed(raw, self)
            finally:
                self._raw = None

    def open_raw(self) -> BinaryIO:
        """Open the bytes as they are stored; reading them may raise any of `READ_ERRORS`."""
        if self._spooled is not None:
            os.lseek(self._spooled.fileno(), 0, os.SEEK_SET)
            return os.fdopen(os.dup(self._spooled.fileno()), "rb")
        return self._open_place()

    def unreadable(self, error: Exception, place: str = "") -> InputFileError:
        """Put an error met while reading into words.

        Parameters
        ----------
        error
            One of `READ_ERRORS`.
        place
            How far reading came, such as "after line 17".
        """
        where = f" {place}" if place else ""
        if isinstance(error, OSError) and error.strerror:
            return InputFileError(
                f"{self.name} cannot be read{where}: {error.strerror}. Check the path and its permissions"
            )
        return InputFileError(
            f"{self.name} is damaged or ends early{where}: {error}. Copy or download it again"
        )

    def share_read(self) -> float | None:
        """Tell the share of the file's bytes that were read so far, or None for a stream."""
        if self.size is None or self._raw is None:
            return None
        return min(1.0, self._raw.tell() / self.size) if self.size else 1.0

    def _open_place(self) -> BinaryIO:
        if self.path is None:
            # Not sys.stdin.buffer: its lock would be fought over when the interpreter stops while a
            # thread still waits for input.
            return open(0, "rb", closefd=False)
        return self.path.open("rb")


def find_inputs(patterns: Sequence[str]) -> list[InputFile]:
    """Find the files that paths, URLs, folders and glob patterns name, in the order given.

    A folder stands for the .jsonl, .ndjson and .parquet files below it and for the data that `datasets` has
    saved there (for its .json files where it has none of those), sorted by path; names that start with a dot
    or an underscore are left out.

    Parameters
    ----------
    patterns
        Paths, URLs such as s3://bucket/name, glob patterns of either, or "-" for standard input.

    Returns
    -------
    list[InputFile]
        At least one file.

    Raises
    ------
    InputFileError
        If a path is missing, unreadable, of an unknown ending or named twice, or a folder holds no traces.
    DependencyError
        If a URL needs a package that is not installed.
    """
    if not patterns:
        raise InputFileError("No input was given: name files, folders, patterns, or - for standard input")
    found: list[InputFile] = []
    seen: dict[str, str] = {}
    for pattern in patterns:
        for source in _expand(pattern):
            if source.identity in seen:
                raise InputFileError(
                    f"{source.name} is named twice (by {seen[source.identity]} and by {pattern}), "
                    "so its rows would come out twice: name it once"
                )
            seen[source.identity] = pattern
            found.append(source)
    return found


def _expand(pattern: str) -> list[InputFile]:
    if pattern == STANDARD_STREAM:
        return [InputFile("standard input", None, "jsonl", None, None)]
    if is_url(pattern):
        if local := _LOCAL_URL.match(pattern):
            raise InputFileError(f"{pattern} is a local file: give its path, {pattern[local.end() :]}")
        from classifier.files.remote import find_remote  # local files need no fsspec

        return find_remote(pattern)
    path = Path(pattern)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        is_pattern = glob.has_magic(pattern)
        matches = sorted(glob.glob(pattern, recursive=True)) if is_pattern else []  # noqa: PTH207 - any root
        if matches:
            return [source for match in matches for source in _expand(match)]
        raise InputFileError(_why_missing(pattern, error)) from error
    if stat.S_ISDIR(mode):
        return _in_folder(path)
    return [_input_file(path, mode)]


def _why_missing(pattern: str, error: OSError) -> str:
    if glob.has_magic(pattern):
        return f"No file matches {pattern}: check the pattern"
    if isinstance(error, FileNotFoundError):
        return f"{pattern} does not exist: check the path"
    return f"{pattern} cannot be read: {error.strerror or error}. Check the path and its permissions"


def _in_folder(folder: Path) -> list[InputFile]:
    below = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names = traces_below(str(folder), below, lambda name: (folder / name).read_bytes())
    return [_input_file(folder / name, (folder / name).stat().st_mode) for name in names]


def _input_file(path: Path, mode: int) -> InputFile:
    name = str(path)
    if not stat.S_ISREG(mode):
        return InputFile(name, path, "jsonl", None, None)
    known = format_by_name(name)
    if not os.access(path, os.R_OK):
        raise InputFileError(f"{name} cannot be read: permission denied. Check it with ls -l {name}")
    return InputFile(name, path, *known, path.stat().st_size)


def _decompressed(raw: BinaryIO, source: InputFile) -> BinaryIO:
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
    start = buffered.peek(4)[:4]
    content = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    expected = source.ending_compression
    if content == "parquet" and not source.is_table:
        raise InputFileError(
            f"{source.name} holds Parquet, not JSON: give it as a file that ends in .parquet"
        )
    if start.startswith(_UTF16_MARKS):
        raise InputFileError(
            f"{source.name} is UTF-16 text, and JSON lines are read as UTF-8. Convert it: "
            "iconv -f UTF-16 -t UTF-8 OLD > NEW"
        )
    if expected is not None and content != expected:
        held = "is empty" if not start else "holds something else"
        raise InputFileError(
            f"{source.name} is named as {expected} data but {held}: copy or download it again"
        )
    if content == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
    if content == "zstd":
        return cast(BinaryIO, io.BufferedReader(_ZstdReader(cast(BinaryIO, buffered)), _CHUNK))
    return cast(BinaryIO, buffered)


class _ZstdReader(io.RawIOBase):
    """Decompress Zstandard frames, and notice a missing end, which zstandard's own reader does not."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        while not self._ready:
            left = b"" if self._frame is None or not self._frame.eof else self._frame.unused_data
            if self._frame is not None and self._frame.eof:
                self._frame = None
            chunk = left or self._raw.read(_CHUNK // 4)
            if not chunk:
                if self._frame is not None:
                    raise EOFError("the Zstandard data stop before the end of their frame")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._ready = self._frame.decompress(chunk)
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
