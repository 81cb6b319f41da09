"""A few rows to look at: which ones, and their traces cut to a size that a page can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifier.columns import STEPS
from classifier.files import ADDED_COLUMNS, BatchLimits, read_batches
from classifier.files.table_inputs import read_tables, table_rows
from classifier.kinds import KINDS
from classifier.report.scored_files import begins_trace

if TYPE_CHECKING:
    from classifier.files import InputFile
    from classifier.report.aggregate import Aggregate
    from classifier.row_stream import RowOptions

SHOWN_CHARACTERS: Final = 6000
"""How much of a trace is shown; of a longer one, the steps that branch and those beside them."""

STRIP_CELLS: Final = 100
"""Into how many cells the strip along a trace is cut at most."""

_LONGEST_STEP: Final = 1200
_SHOWN_COLUMNS: Final = 6
_LONGEST_VALUE: Final = 160
_LIMITS: Final = BatchLimits(rows=8192, characters=8_000_000)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a trace.

    Parameters
    ----------
    text
        What it says; where steps are left out, nothing.
    kind, probability
        What its step is; None for a text that is no step.
    omitted, omitted_branches
        How many steps are left out here, and how many of them branch.
    cut
        Characters that are left out at its end.
    """

    text: str = ""
    kind: str | None = None
    probability: float | None = None
    omitted: int = 0
    omitted_branches: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the strip along a trace: the likeliest branch among its steps."""

    kind: str
    probability: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A row to look at.

    Parameters
    ----------
    place
        The file and the row.
    rate, branch_count, step_count
        Its scores.
    characters
        The length of its traces.
    columns
        Short values out of its other columns, by their names.
    traces
        The pieces of each of its traces.
    strip
        The cells along its traces; empty where the row has no steps.
    """

    place: str
    rate: float
    branch_count: int
    step_count: int
    characters: int
    columns: dict[str, str]
    traces: list[list[Piece]]
    strip: list[Cell]


def most_branching(aggregate: Aggregate, count: int) -> list[int]:
    """Return the numbers of the rows with the highest rates, the highest first."""
    return _lowest(-aggregate.rates, count)


def least_branching(aggregate: Aggregate, count: int) -> list[int]:
    """Return the numbers of the rows with the lowest rates, the lowest first."""
    return _lowest(aggregate.rates, count)


def closest_to(aggregate: Aggregate, rate: float, count: int) -> list[int]:
    """Return the numbers of the rows whose rates are closest to one, in the order of their rates."""
    found = _lowest(np.abs(aggregate.rates - rate), count)
    return sorted(found, key=lambda row: (-aggregate.rates[row], row))


def read_samples(
    sources: Sequence[InputFile], numbers: Iterable[int], aggregate: Aggregate
) -> dict[int, Sample]:
    """Read some rows again, to show them.

    Parameters
    ----------
    sources
        The files.
    numbers
        The numbers of the rows, counted from 0 over all files.
    aggregate
        Says where the traces of the rows are.

    Returns
    -------
    dict
        The rows by their numbers.
    """
    return {
        number: sample_of(place, row, aggregate.options_of[source.name])
        for number, source, place, row in _rows_at(sources, set(numbers))
    }


def sample_of(place: str, row: Mapping[str, Any], options: RowOptions) -> Sample:
    """Make a sample of a row.

    Parameters
    ----------
    place
        What to call it.
    row
        The row with its score columns, of which the rate is no null.
    options
        Where its traces are.
    """
    own = {name: value for name, value in row.items() if name not in ADDED_COLUMNS}
    texts = [trace.text for trace in options.traces(own)]
    steps = row.get(STEPS) or []
    parts = _by_trace(steps)
    fits = len(parts) == len(texts)
    limit = SHOWN_CHARACTERS // max(1, len(texts))
    return Sample(
        place=place,
        rate=row["branch_rate"],
        branch_count=row.get("branch_count") or 0,
        step_count=row.get("step_count") or 0,
        characters=sum(map(len, texts)),
        columns=_short_values(own, texts),
        traces=[pieces_of(text, parts[index] if fits else [], limit) for index, text in enumerate(texts)],
        strip=strip_of(steps),
    )


def pieces_of(text: str, steps: Sequence[Mapping[str, Any]], limit: int = SHOWN_CHARACTERS) -> list[Piece]:
    """Cut a trace into its steps and what is between them.

    Parameters
    ----------
    text
        The trace.
    steps
        Its steps, as in `branch_steps`; where they do not fit the trace, it is shown without them.
    limit
        How many characters to show.
    """
    if not steps or not _fit(text, steps):
        return [Piece(text[:limit], cut=max(0, len(text) - limit))]
    shown = _chosen(steps, limit) if len(text) > limit else set(range(len(steps)))
    pieces: list[Piece] = []
    end = left_out = branches = 0
    for index, step in enumerate(steps):
        if index not in shown:
            left_out += 1
            branches += step["kind"] != KINDS[0]
            end = step["end"]
            continue
        if left_out:
            pieces.append(Piece(omitted=left_out, omitted_branches=branches))
            left_out = branches = 0
        elif step["start"] > end:
            pieces.append(_piece(text[end : step["start"]]))
        pieces.append(_piece(text[step["start"] : step["end"]], step["kind"], step["probability"]))
        end = step["end"]
    if left_out:
        pieces.append(Piece(omitted=left_out, omitted_branches=branches))
    elif end < len(text):
        pieces.append(_piece(text[end:]))
    return pieces


def strip_of(steps: Sequence[Mapping[str, Any]], cells: int = STRIP_CELLS) -> list[Cell]:
    """Return the strip along the steps: a cell for each, or for several the likeliest branch among them."""
    if not steps:
        return []
    count = min(cells, len(steps))
    edges = [round(at * len(steps) / count) for at in range(count + 1)]
    strip = []
    for start, end in pairwise(edges):
        best = max(steps[start:end], key=lambda step: step["probability"])
        strip.append(Cell(best["kind"], best["probability"]))
    return strip


def _piece(text: str, kind: str | None = None, probability: float | None = None) -> Piece:
    return Piece(text[:_LONGEST_STEP], kind, probability, cut=max(0, len(text) - _LONGEST_STEP))


def _lowest(values: Any, count: int) -> list[int]:
    # NaN, of a row without a rate, sorts last.
    scored = int((~np.isnan(values)).sum())
    return [int(row) for row in np.argsort(values, kind="stable")[: min(count, scored)]]


def _rows_at(
    sources: Sequence[InputFile], numbers: set[int]
) -> Iterator[tuple[int, InputFile, str, dict[str, Any]]]:
    left = len(numbers)
    first = 0
    for source in sources:
        for read, place, rows in _batches(source):
            wanted = [index for index in range(read) if first + index in numbers]
            for index, row in zip(wanted, rows(wanted), strict=True):
                left -= 1
                yield first + index, source, place(index), row if isinstance(row, dict) else {}
            first += read
            if not left:
                return


def _batches(source: InputFile) -> Iterator[tuple[int, Any, Any]]:
    """Give for each batch its number of rows, a function that names one, and one that takes some."""
    if source.is_table:
        for table, numbers, _ in read_tables(source, _LIMITS):
            yield (
                len(table),
                lambda index, numbers=numbers: f"{source.name} row {numbers[index]}",
                lambda wanted, table=table: table_rows(table.take(wanted)) if wanted else [],
            )
        return
    for batch in read_batches(source, _LIMITS):
        yield (
            len(batch.rows),
            batch.place,
            lambda wanted, batch=batch: [batch.rows[index] for index in wanted],
        )


def _by_trace(steps: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Part the steps of a row into those of its traces."""
    parts: list[list[Mapping[str, Any]]] = []
    starts = np.array([step["start"] for step in steps], dtype=np.int64)
    for step, begins in zip(steps, begins_trace(starts), strict=True):
        if begins:
            parts.append([])
        parts[-1].append(step)
    return parts


def _fit(text: str, steps: Sequence[Mapping[str, Any]]) -> bool:
    end = 0
    for step in steps:
        if not end <= step["start"] <= step["end"] <= len(text):
            return False
        end = step["end"]
    return True


def _chosen(steps: Sequence[Mapping[str, Any]], limit: int) -> set[int]:
    """Choose what to show of a long trace: first and last step, the likeliest branches and those beside."""
    order = sorted(range(len(steps)), key=lambda index: -steps[index]["probability"])
    around = [beside for index in order for beside in (index, index - 1, index + 1)]
    shown: set[int] = set()
    used = 0
    for index in [0, len(steps) - 1, *around]:
        if index in shown or not 0 <= index < len(steps):
            continue
        used += min(steps[index]["end"] - steps[index]["start"], _LONGEST_STEP)
        if used > limit and shown:
            break
        shown.add(index)
    return shown


def _short_values(row: dict[str, Any], texts: list[str]) -> dict[str, str]:
    """Return the values of a few columns that say which row it is."""
    shown: dict[str, str] = {}
    for name, value in row.items():
        if value is None or isinstance(value, list | dict) or value in texts:
            continue
        text = str(value)
        shown[str(name)] = text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
        if len(shown) == _SHOWN_COLUMNS:
            break
    return shown
