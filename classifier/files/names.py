"""What the names of files promise, and which files a folder stands for."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from classifier.errors import InputFileError

STANDARD_STREAM: Final = "-"
"""What stands for standard input or output on the command line."""

MANIFEST_ENDING: Final = ".manifest.json"
"""How the file ends that stands beside an output and says what it holds and which model scored it."""

Format = Literal["jsonl", "json", "parquet", "arrow"]

_ROW_ENDINGS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
}
TABLE_FORMATS: Final = ("parquet", "arrow")
"""Formats whose rows are Arrow data, and not JSON."""

_COMPRESSION_ENDINGS: Final = {".gz": "gzip", ".zst": "zstd"}
KNOWN_ENDINGS: Final = ".jsonl, .ndjson, .json (each also with .gz or .zst), .parquet and .arrow"
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://")
# Beside the data of a folder that `datasets` has saved: which files hold them.
_SAVED_STATE: Final = "state.json"


def format_of(name: str) -> tuple[Format, str | None] | None:
    """Tell the row format and the compression that a file name stands for, or None if it names no format."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    compression = _COMPRESSION_ENDINGS.get(suffixes[-1]) if suffixes else None
    if compression is not None:
        suffixes.pop()
    row_format = _ROW_ENDINGS.get(suffixes[-1]) if suffixes else None
    if row_format is None or (row_format in TABLE_FORMATS and compression is not None):
        return None
    return row_format, compression


def format_by_name(name: str) -> tuple[Format, str | None]:
    """Tell the row format and the compression of a file that is named outright.

    Raises
    ------
    InputFileError
        If its ending is not known.
    """
    path = PurePosixPath(name)
    # A bare .gz or .zst is taken for JSON lines where it is named outright.
    known = format_of(path.name) or format_of(f"x.jsonl{path.suffix}" if len(path.suffixes) == 1 else "")
    if known is None:
        raise InputFileError(
            f"{name} has an ending that is not known: expected {KNOWN_ENDINGS}. "
            f"If it holds JSON lines, rename it or pipe it in: branching score - < {name}"
        )
    return known


def is_url(name: str) -> bool:
    """Tell whether a name is a URL and no path."""
    return _URL.match(name) is not None


def traces_below(folder: str, names: Iterable[str], read: Callable[[str], bytes]) -> list[str]:
    """Choose those files below a folder that it stands for as an input, sorted by path.

    Parameters
    ----------
    folder
        What messages call it.
    names
        The paths of all files below it, seen from there, with slashes.
    read
        Reads one of them.

    Raises
    ------
    InputFileError
        If there are none.
    """
    paths = [path for path in map(PurePosixPath, names) if not any(part[0] in "._" for part in path.parts)]
    found: dict[bool, list[PurePosixPath]] = {False: [], True: []}
    saved = {
        path.parent / name
        for path in paths
        if path.name == _SAVED_STATE
        for name in _saved_files(read(str(path)))
    }
    for path in sorted(paths):
        known = format_of(path.name)
        if (
            known is None
            or path.name.endswith(MANIFEST_ENDING)
            or (known[0] == "arrow" and path not in saved)
        ):
            continue
        found[known[0] == "json"].append(path)
    missing = sorted(str(path) for path in saved - set(paths))
    if missing:
        raise InputFileError(
            f"{folder} lacks {missing[0]}, which its {_SAVED_STATE} names: save or copy it again"
        )
    chosen = found[False] or found[True]
    if not chosen:
        raise InputFileError(f"{folder} holds no traces: it has no file that ends in {KNOWN_ENDINGS}")
    return [str(path) for path in chosen]


def _saved_files(state: bytes) -> list[str]:
    """Return the names of the data files that `Dataset.save_to_disk` has written down."""
    try:
        return [str(entry["filename"]) for entry in json.loads(state)["_data_files"]]
    except (ValueError, KeyError, TypeError):
        return []
