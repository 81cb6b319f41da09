"""Documents whose steps people or language models have labelled, read from gzip or plain JSONL."""

import gzip
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.errors import InputFileError
from classifier.kinds import KIND_CODES


@dataclass(frozen=True, slots=True)
class GoldStep:
    """One labelled step: character offsets into the trace, whether it branches, its kind's code if known."""

    start: int
    end: int
    branches: bool
    kind: str | None


@dataclass(frozen=True, slots=True)
class GoldDocument:
    """One trace of which some steps, in order, are labelled."""

    id: str
    trace: str
    steps: tuple[GoldStep, ...]
    model: str
    group: str
    problem_id: str
    source: str
    licence: str = ""

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Return the labelled steps' character offsets."""
        return [(step.start, step.end) for step in self.steps]


def read_gold(paths: Iterable[Path | str]) -> list[GoldDocument]:
    """Read labelled documents from files in the documented schema.

    Parameters
    ----------
    paths
        JSONL files, plain or with the ending `.gz`. A row needs `trace` and `steps` with `start`, `end`
        and `label`; `id`, `model`, `group`, `problem_id`, `source` and each step's `kind` may be absent. A
        row without `id` gets one made of its trace.

    Returns
    -------
    list of GoldDocument
        In the order of the files and their lines.

    Raises
    ------
    InputFileError
        If a file is missing or a row does not have the schema; it names the file and the line.
    """
    return [document for path in paths for document in _read_file(Path(path))]


def _read_file(path: Path) -> Iterator[GoldDocument]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as lines
        ):
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parse(line, f"{path}, line {number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputFileError(f"{path}: the gold file cannot be read ({error})") from error


def _parse(line: str, place: str) -> GoldDocument:
    try:
        row = json.loads(line)
        trace = row["trace"]
        identifier = _text(row, "id") or _default_id(trace)
        steps = tuple(_parse_step(step, len(trace), place) for step in row["steps"])
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputFileError(
            f"{place}: expected a JSON object with `trace` and `steps` "
            f"(a list of objects with `start`, `end`, `label`), but {error!r}"
        ) from error
    if any(left.end > right.start for left, right in itertools.pairwise(steps)):
        raise InputFileError(f"{place}: the steps overlap or are out of order; sort them by `start`")
    return GoldDocument(
        id=identifier,
        trace=trace,
        steps=steps,
        model=_text(row, "model"),
        group=_text(row, "group") or _text(row, "model"),
        problem_id=_text(row, "problem_id"),
        source=_text(row, "source"),
        licence=_text(row, "licence"),
    )


def _default_id(trace: str) -> str:
    # Training deals documents out by their identifiers, so that these must not depend on where the file is.
    return hashlib.sha256(trace.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _parse_step(step: Mapping[str, Any], length: int, place: str) -> GoldStep:
    start, end, label, kind = int(step["start"]), int(step["end"]), step["label"], step.get("kind")
    if not 0 <= start < end <= length:
        raise InputFileError(f"{place}: step {start}..{end} lies outside the trace of {length} characters")
    if kind is not None and kind not in KIND_CODES:
        raise InputFileError(f"{place}: kind {kind!r} is not one of {', '.join(KIND_CODES)}")
    if kind is not None and bool(label) != (kind != "C"):
        raise InputFileError(f"{place}: step {start}..{end} has label {label!r} but kind {kind!r}")
    return GoldStep(start=start, end=end, branches=bool(label), kind=kind)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)
