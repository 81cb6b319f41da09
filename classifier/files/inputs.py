"""Find the input files a call names, and open them as streams of bytes."""

import glob
import gzip
import io
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, Literal, cast

import zstandard

from classifier.errors import InputFileError

STANDARD_STREAM: Final = "-"
"""What stands for standard input or output on the command line."""

MANIFEST_ENDING: Final = ".manifest.json"
"""How the file ends that stands beside an output and says what it holds and which model scored it."""

READ_ERRORS: Final = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a damaged or unreadable stream raises."""

Format = Literal["jsonl", "json", "parquet"]

_ROW_ENDINGS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSION_ENDINGS: Final = {".gz": "gzip", ".zst": "zstd"}
_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PAR1": "parquet"}
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_KNOWN: Final = ".jsonl, .ndjson, .json (each also with .gz or .zst) and .parquet"
_CHUNK: Final = 1 << 18


class InputFile:
    """One input: a file, a pipe or standard input.

    Parameters
    ----------
    name
        What messages call it: the path as it was given, or "standard input".
    path
        Where it is; None for standard input.
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
            with self._open_raw() as raw:
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
        with self._open_raw() as raw:
            self._raw = raw
            try:
                yield _decompressed(raw, self)
            finally:
                self._raw = None

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

    def _open_raw(self) -> BinaryIO:
        if self._spooled is not None:
            os.lseek(self._spooled.fileno(), 0, os.SEEK_SET)
            return os.fdopen(os.dup(self._spooled.fileno()), "rb")
        if self.path is None:
            # Not sys.stdin.buffer: its lock would be fought over when the interpreter stops while a
            # thread still waits for input.
            return open(0, "rb", closefd=False)
        return self.path.open("rb")


def find_inputs(patterns: Sequence[str]) -> list[InputFile]:
    """Find the files that paths, folders and glob patterns name, in the order given.

    A folder stands for the .jsonl, .ndjson and .parquet files below it (for its .json files where it
    has none of those), sorted by path; names that start with a dot or an underscore are left out.

    Parameters
    ----------
    patterns
        Paths, glob patterns, or "-" for standard input.

    Returns
    -------
    list[InputFile]
        At least one file.

    Raises
    ------
    InputFileError
        If a path is missing, unreadable, of an unknown ending or named twice, or a folder holds no traces.
    """
    if not patterns:
        raise InputFileError("No input was given: name files, folders, patterns, or - for standard input")
    found: list[InputFile] = []
    seen: dict[str, str] = {}
    for pattern in patterns:
        for source in _expand(pattern):
            identity = STANDARD_STREAM if source.path is None else os.path.realpath(source.path)
            if identity in seen:
                raise InputFileError(
                    f"{source.name} is named twice (by {seen[identity]} and by {pattern}), "
                    "so its rows would come out twice: name it once"
                )
            seen[identity] = pattern
            found.append(source)
    return found


def format_of(name: str) -> tuple[Format, str | None] | None:
    """Tell the row format and the compression that a file name stands for, or None if it names no format."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    compression = _COMPRESSION_ENDINGS.get(suffixes[-1]) if suffixes else None
    if compression is not None:
        suffixes.pop()
    row_format = _ROW_ENDINGS.get(suffixes[-1]) if suffixes else None
    if row_format is None or (row_format == "parquet" and compression is not None):
        return None
    return row_format, compression


def _expand(pattern: str) -> list[InputFile]:
    if pattern == STANDARD_STREAM:
        return [InputFile("standard input", None, "jsonl", None, None)]
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
    found: dict[bool, list[Path]] = {False: [], True: []}
    for path in sorted(folder.rglob("*")):
        known = format_of(path.name)
        hidden = any(part[0] in "._" for part in path.relative_to(folder).parts)
        if known is None or hidden or path.name.endswith(MANIFEST_ENDING) or not path.is_file():
            continue
        found[known[0] == "json"].append(path)
    chosen = found[False] or found[True]
    if not chosen:
        raise InputFileError(f"{folder} holds no traces: it has no file that ends in {_KNOWN}")
    return [_input_file(path, path.stat().st_mode) for path in chosen]


def _input_file(path: Path, mode: int) -> InputFile:
    name = str(path)
    if not stat.S_ISREG(mode):
        return InputFile(name, path, "jsonl", None, None)
    # A bare .gz or .zst is taken for JSON lines where it is named outright.
    known = format_of(path.name) or format_of(f"x.jsonl{path.suffix}" if len(path.suffixes) == 1 else "")
    if known is None:
        raise InputFileError(
            f"{name} has an ending that is not known: expected {_KNOWN}. "
            f"If it holds JSON lines, rename it or pipe it in: branching score - < {name}"
        )
    if not os.access(path, os.R_OK):
        raise InputFileError(f"{name} cannot be read: permission denied. Check it with ls -l {name}")
    return InputFile(name, path, known[0], known[1], path.stat().st_size)


def _decompressed(raw: BinaryIO, source: InputFile) -> BinaryIO:
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
    start = buffered.peek(4)[:4]
    content = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    expected = source.ending_compression
    if content == "parquet" and source.format != "parquet":
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
