"""Unlabelled traces from folders of JSONL files in the documented schema."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from classifier.errors import InputFileError

RAW_KIND = "raw_cot"
"""The `kind` of rows that are raw chains of thought, neither summaries nor direct answers."""


@dataclass(frozen=True, slots=True)
class UnlabelledTrace:
    """A trace and where it comes from."""

    trace: str
    source: str
    licence: str
    model: str
    problem_id: str


def read_raw_traces(folders: Iterable[Path | str]) -> Iterator[UnlabelledTrace]:
    """Read the raw chains of thought of folders of `.jsonl` and `.jsonl.gz` files.

    Parameters
    ----------
    folders
        Folders or files. A row needs `trace`; one whose `kind` is there and is not `raw_cot` is left out.

    Yields
    ------
    UnlabelledTrace
        In the order of the sorted file names and their lines.

    Raises
    ------
    InputFileError
        If a folder holds no such file or a row has no string `trace`; it names the file and the line.
    """
    for folder in folders:
        for path in _files(Path(folder)):
            yield from _read_file(path)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")])
    if not files:
        raise InputFileError(f"{path} holds no .jsonl or .jsonl.gz file; give a folder of trace files")
    return files


def _read_file(path: Path) -> Iterator[UnlabelledTrace]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as lines
        ):
            for number, line in enumerate(lines, start=1):
                row = json.loads(line)
                if not isinstance(row, dict) or not isinstance(row.get("trace"), str):
                    raise InputFileError(
                        f"{path}, line {number}: expected an object with a string `trace`; "
                        "see the documented schema of trace files"
                    )
                if row.get("kind", RAW_KIND) == RAW_KIND and row["trace"].strip():
                    names = ("source", "licence", "model", "problem_id")
                    yield UnlabelledTrace(row["trace"], **{name: str(row.get(name) or "") for name in names})
    except (OSError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputFileError(f"{path}: the trace file cannot be read ({error})") from error
