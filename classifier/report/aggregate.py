"""What a report needs to know of all rows, in a few numbers for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifier.errors import OptionError
from classifier.files.manifest import Provenance
from classifier.kinds import KINDS
from classifier.report.options import USUAL_GROUPS
from classifier.report.scored_files import (
    FloatArray,
    IntArray,
    StepColumns,
    begins_trace,
    read_scored,
)
from classifier.scored_sources import ScoredSources

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from classifier.files import InputFile, RowBatch
    from classifier.progress import Progress
    from classifier.report.options import ReportOptions
    from classifier.report.scored_files import ScoredBatch
    from classifier.row_stream import RowOptions

POSITIONS: Final = 10
"""Into how many parts of equal length traces are cut to see where in them branching happens."""

NO_LABEL: Final = "(none)"
"""Stands for a null among the values of a column."""

_SHOWN_ERRORS: Final = 10


class Labels:
    """The values that rows have in one column, each value by a number.

    Parameters
    ----------
    column
        The column's name.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.names: list[str] = []
        self.found = False
        """Whether any row has the column."""
        self._numbers: dict[str, int] = {}
        self._codes: list[IntArray] = []

    def add(self, batch: RowBatch) -> None:
        """Take in the values of a batch of rows.

        Raises
        ------
        OptionError
            If a value is a list or an object.
        """
        codes = np.empty(len(batch.rows), dtype=np.int64)
        for index, row in enumerate(batch.rows):
            value = None
            if isinstance(row, dict) and self.column in row:
                value = row[self.column]
                self.found = True
            if isinstance(value, list | dict):
                raise OptionError(
                    f"{batch.place(index)} holds a {type(value).__name__} in {self.column!r}; group and pair "
                    "rows by a column of texts or numbers"
                )
            name = NO_LABEL if value is None else str(value)
            codes[index] = self._numbers.setdefault(name, len(self._numbers))
        self._codes.append(codes)

    def finish(self) -> None:
        """Make the names and numbers final."""
        self.names = list(self._numbers)
        self.codes: IntArray = np.concatenate(self._codes) if self._codes else np.empty(0, dtype=np.int64)
        self._codes.clear()


@dataclass(slots=True)
class StepSums:
    """What the steps of all rows add up to.

    Parameters
    ----------
    rows
        How many rows have their steps.
    kinds
        Steps of each kind at each position, int64 [positions, kinds].
    probability
        Sum of their probabilities at each position, float64 [positions].
    """

    rows: int = 0
    kinds: IntArray = field(default_factory=lambda: np.zeros((POSITIONS, len(KINDS)), dtype=np.int64))
    probability: FloatArray = field(default_factory=lambda: np.zeros(POSITIONS))

    def add(self, steps: StepColumns) -> IntArray:
        """Add the steps of a batch; return the number of each kind in each row, int64 [rows, kinds]."""
        rows = np.repeat(np.arange(len(steps.counts)), steps.counts)
        part = _positions(rows, steps.starts)
        bins = part * len(KINDS) + steps.kinds
        self.kinds += np.bincount(bins, minlength=self.kinds.size).reshape(self.kinds.shape)
        self.probability += np.bincount(part, weights=steps.probabilities, minlength=POSITIONS)
        self.rows += int((steps.counts > 0).sum())
        cells = len(steps.counts) * len(KINDS)
        counts = np.bincount(rows * len(KINDS) + steps.kinds, minlength=cells)
        return counts.reshape(-1, len(KINDS)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """All rows of some scored files, in numbers.

    Parameters
    ----------
    names
        The files.
    provenance, unknown_provenance
        What scored them, and the files of which nothing says so.
    rates
        Branch rate of each row, float64; NaN where it has none.
    lengths
        Characters of its traces, float64.
    branch_counts, step_counts
        Its counts, int64.
    groups
        The columns that rows are grouped by.
    pairs
        The column that pairs rows of two files, if any.
    steps
        What the steps add up to; None where no row has its steps.
    kinds
        Steps of each kind of each row, int64 [rows, kinds]; None where no row has its steps.
    errors
        How many rows have no score, by the kind of error.
    first_errors
        The first of them.
    without_trace
        How many rows have a rate, but no trace where it was looked for; their lengths are 0.
    options_of
        Where the traces of each file are, by its name.
    """

    names: list[str]
    provenance: Provenance | None
    unknown_provenance: list[str]
    rates: FloatArray
    lengths: FloatArray
    branch_counts: IntArray
    step_counts: IntArray
    groups: list[Labels]
    pairs: Labels | None
    steps: StepSums | None
    kinds: IntArray | None
    errors: Counter[str]
    first_errors: list[dict[str, str]]
    without_trace: int
    options_of: dict[str, RowOptions]

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.rates)

    @property
    def scored(self) -> FloatArray:
        """Return the rates of the rows that have one."""
        return self.rates[~np.isnan(self.rates)]


def aggregate(sources: Sequence[InputFile], options: ReportOptions, progress: Progress) -> Aggregate:
    """Read scored files once, and keep a few numbers of each row.

    Parameters
    ----------
    sources
        The files.
    options
        What the report shows.
    progress
        Is told how far it is.

    Raises
    ------
    UsageError
        If a file cannot be read, has no scores, lacks a column that was asked for, or was scored by another
        model than the one before.
    """
    scored_sources = ScoredSources.of(sources, options.rows)
    without_trace = 0
    parts: list[tuple[FloatArray, FloatArray, IntArray, IntArray]] = []
    kinds: list[IntArray] = []
    sums = StepSums()
    groups = [Labels(name) for name in dict.fromkeys(USUAL_GROUPS if options.by is None else options.by)]
    pairs = None if options.pair_by is None else Labels(options.pair_by)
    errors: Counter[str] = Counter()
    first_errors: list[dict[str, str]] = []
    progress.start("Reading scores", sources)
    for scored in _with_columns(sources, options):
        batch = scored.batch
        for labels in [*groups, *([pairs] if pairs else [])]:
            labels.add(batch)
        row_options = scored_sources.options[batch.source.name]
        traces = [row_options.traces(row) for row in batch.rows]
        lengths = [sum(len(trace.text) for trace in of_row) for of_row in traces]
        has_rate = ~np.isnan(scored.rates)
        without_trace += sum(not of_row for of_row, has in zip(traces, has_rate, strict=True) if has)
        parts.append(
            (scored.rates, np.array(lengths, dtype=np.float64), scored.branch_counts, scored.step_counts)
        )
        no_kinds = np.zeros((len(batch.rows), len(KINDS)), dtype=np.int64)
        kinds.append(no_kinds if scored.steps is None else sums.add(scored.steps))
        _note_errors(scored, errors, first_errors)
        progress.advance(batch, int(has_rate.sum()))
    for labels in [*groups, *([pairs] if pairs else [])]:
        labels.finish()
    columns: list[Any] = [np.concatenate(part) for part in zip(*parts, strict=True)]
    rates, characters, branch_counts, step_counts = columns or [np.empty(0)] * 4
    return Aggregate(
        names=[source.name for source in sources],
        provenance=scored_sources.provenance,
        unknown_provenance=scored_sources.unknown,
        rates=rates,
        lengths=characters,
        branch_counts=branch_counts,
        step_counts=step_counts,
        groups=[labels for labels in groups if labels.found],
        pairs=pairs,
        steps=sums if sums.rows else None,
        kinds=np.concatenate(kinds) if sums.rows else None,
        errors=errors,
        first_errors=first_errors,
        without_trace=without_trace,
        options_of=scored_sources.options,
    )


def _with_columns(sources: Sequence[InputFile], options: ReportOptions) -> Iterator[ScoredBatch]:
    """Read scored rows, and refuse a file in which no row has a column that was asked for."""
    for source in sources:
        columns: dict[str, None] | None = None
        for scored in read_scored([source]):
            columns = columns or {}
            for row in scored.batch.rows:
                if isinstance(row, dict):
                    columns |= dict.fromkeys(row)
            if source.is_table:
                # All rows of a table have the same columns: no need to read it to its end.
                _check_columns(source, columns, options)
            yield scored
        # A file without rows lacks nothing.
        if columns is not None:
            _check_columns(source, columns, options)


def _check_columns(source: InputFile, columns: Collection[str], options: ReportOptions) -> None:
    asked = [("--by", name) for name in options.by or ()]
    asked += [("--pair-by", options.pair_by)] if options.pair_by else []
    for option, name in asked:
        if name not in columns:
            raise OptionError(
                f"{source.name} has no column {name!r} for {option} (columns: {', '.join(columns) or 'none'})"
            )


def _positions(rows: IntArray, starts: IntArray) -> IntArray:
    """Return in which part of its trace each step is; steps of several traces follow each other in a row."""
    if not len(rows):
        return rows
    begins = begins_trace(starts)
    begins[1:] |= rows[1:] != rows[:-1]
    first = np.flatnonzero(begins)
    counts = np.diff(np.append(first, len(rows)))
    within = np.arange(len(rows)) - np.repeat(first, counts)
    parts: IntArray = ((within + 0.5) / np.repeat(counts, counts) * POSITIONS).astype(np.int64)
    return parts


def _note_errors(scored: ScoredBatch, errors: Counter[str], first_errors: list[dict[str, str]]) -> None:
    for index in np.flatnonzero(np.isnan(scored.rates)):
        message = scored.errors[index] or ""
        errors[message.split(":", 1)[0]] += 1
        if len(first_errors) < _SHOWN_ERRORS:
            first_errors.append({"place": scored.batch.place(int(index)), "error": message})
