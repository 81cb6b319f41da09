"""A stream of rows: read ahead, score, count, and write behind."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from sys import maxsize
from typing import TYPE_CHECKING, Any, Final, Protocol

from classifier.column_paths import follow
from classifier.errors import OptionError, RowError, RowFormatError
from classifier.files import ADDED_COLUMNS, RAW_COLUMN, BatchLimits, InputFile, Row, RowBatch, read_batches
from classifier.files.explode import explode
from classifier.files.manifest import put_in_place
from classifier.files.rows import refuse_scored
from classifier.files.shards import Slice
from classifier.overlap import WriteBehind
from classifier.traces import read_traces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from classifier.files.manifest import Described, Provenance
    from classifier.files.names import Format
    from classifier.files.tables import TablePlan
    from classifier.files.writers import RowWriter
    from classifier.progress import Progress
    from classifier.traces import Trace

_SHOWN_ERRORS: Final = 20
_ALTERNATIVES_COLUMN: Final = "generations"
_ALTERNATIVES_SCHEMAS: Final = (None, "openr1")


class ScoresRows(Protocol):
    """Scores rows, as `classifier.columns.RowScorer` does."""

    def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
        """Return the columns to add to each row, in order."""


@dataclass(frozen=True, slots=True)
class LoadedScorer:
    """A scorer that is ready, and what is to be said about it.

    Parameters
    ----------
    rows
        Scores rows.
    provenance
        Model, versions and options, as they are kept with the scores.
    """

    rows: ScoresRows
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How rows are read.

    Parameters
    ----------
    schema, column
        Where the trace is; found by itself by default.
    explode
        Whether each of several traces in a row gets a row of its own.
    limit
        Stop after this many rows of the inputs.
    limits
        How many rows are read at a time.
    """

    schema: str | None = None
    column: str | None = None
    explode: bool = False
    limit: int | None = None
    limits: BatchLimits = field(default_factory=BatchLimits)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"The limit is {self.limit}, but it must be 1 row or more")

    def traces(self, row: object) -> tuple[Trace, ...]:
        """Return the traces of a row; none where it holds none."""
        try:
            return read_traces(row, schema=self.schema, column=self.column).traces
        except RowError:
            return ()

    def several(self, row: Row) -> str | None:
        """Return the column, or path, that holds several traces of a row, None where it has one or none."""
        name = self.column or _ALTERNATIVES_COLUMN
        if self.schema not in _ALTERNATIVES_SCHEMAS or not isinstance(row, dict):
            return None
        found = [value for _, value in follow(row, name) if value is not None]
        # What stands in several places is read as one trace.
        value = found[0] if len(found) == 1 else None
        if not isinstance(value, list) or len(value) < 2:
            return None
        try:
            several = read_traces(row, schema=self.schema, column=self.column).several
        except RowError:
            # One bad trace fails the whole row, and the others are to be had all the same.
            several = self._are_alternatives(name, value)
        return name if several else None

    def _are_alternatives(self, name: str, items: list[object]) -> bool:
        """Tell whether a list would be read as alternatives if each of its items were a trace."""
        if self.schema is None and name != _ALTERNATIVES_COLUMN and isinstance(items[0], dict):
            return False  # a list of messages
        return read_traces({name: ["A trace."]}, schema=self.schema, column=name).several


@dataclass(slots=True)
class RowCounts:
    """What became of the rows of a run."""

    rows: int = 0
    scored: int = 0
    traces: int = 0
    blank_lines: int = 0
    rate_sum: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    first_errors: list[dict[str, str]] = field(default_factory=list)

    def add(self, batch: RowBatch, added: Sequence[dict[str, Any]]) -> int:
        """Count a scored batch and return its number of scored traces."""
        traces = 0
        self.blank_lines += batch.blank_lines
        for index, columns in enumerate(added):
            self.rows += 1
            error, rate = columns["branch_error"], columns["branch_rate"]
            if error is None and rate is not None:
                self.scored += 1
                self.rate_sum += rate
                traces += len(columns.get("branch_rates") or [rate])
                continue
            message = error or "no score"
            self.errors[message.split(":", 1)[0]] += 1
            if len(self.first_errors) < _SHOWN_ERRORS:
                self.first_errors.append({"place": batch.place(index), "error": message})
        self.traces += traces
        return traces

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON can hold them."""
        return {
            "rows": self.rows,
            "scored": self.scored,
            "traces": self.traces,
            "mean_branch_rate": self.rate_sum / self.scored if self.scored else None,
            "errors": sum(self.errors.values()),
            "errors_by_type": dict(self.errors.most_common()),
            "first_errors": self.first_errors,
            "blank_lines": self.blank_lines,
        }


def read_rows(
    sources: Sequence[InputFile | Slice],
    options: RowOptions,
    *,
    scored: bool | None = None,
    options_of: Mapping[str, RowOptions] | None = None,
) -> Iterator[tuple[RowBatch, list[int]]]:
    """Read the rows of inputs, one after the other.

    Parameters
    ----------
    sources
        The inputs, or slices of them.
    options
        How to read them.
    scored
        Whether the rows must have scores already, or must not; None takes either.
    options_of
        Where the traces of each input are, by its name, if inputs differ in that.

    Yields
    ------
    tuple
        A batch, and for each of its rows the number, from 0, of the input row that it comes from.

    Raises
    ------
    UsageError
        If an input cannot be read to its end, or its rows have scores and should not, or the other way round.
    """
    done = 0
    for part in sources:
        source, skip, take = part if isinstance(part, Slice) else Slice(part)
        end = min(maxsize if take is None else done + take, options.limit or maxsize)
        for batch in read_batches(source, options.limits, skip=skip):
            if done + len(batch.rows) > end:
                batch = batch.head(end - done)
            if scored is not None:
                _check_scored(batch, scored)
            origins = list(range(len(batch.rows)))
            if options.explode:
                own_options = options if options_of is None else options_of[source.name]
                exploded, origins = explode(batch, own_options.several)
            else:
                exploded = batch
            yield exploded, [done + origin for origin in origins]
            done += len(batch.rows)
            if done == options.limit:
                return
            if done == end:
                break


def score_rows(scorer: ScoresRows, batch: RowBatch) -> list[dict[str, Any]]:
    """Score a batch and return the columns to add to each row."""
    added = scorer.score_rows([scorable(row) for row in batch.rows])
    for columns in added:
        error = columns["branch_error"]
        # A message may quote what no file can hold.
        if error is not None and not error.isascii():
            columns["branch_error"] = error.encode("utf-8", "backslashreplace").decode()
    return added


def refuse_scored_tables(sources: Sequence[InputFile]) -> None:
    """Refuse Parquet inputs that have scores already; JSON shows it row by row.

    Raises
    ------
    UsageError
        If there is one, or one that cannot be read.
    """
    for source in sources:
        if source.is_table:
            from classifier.files.table_inputs import table_schema  # JSON needs no pyarrow

            refuse_scored(table_schema(source).names, source.name)


def make_plan(
    sources: Sequence[InputFile], output: Format, options: RowOptions, drop: Sequence[str], progress: Progress
) -> TablePlan | None:
    """Find the schema of a Parquet output; None for JSON, which needs none.

    Raises
    ------
    UsageError
        If an input cannot be read to its end, or has a column that scoring adds and that is not dropped.
    """
    if output != "parquet":
        return None
    from classifier.files.tables import plan_table  # JSON needs no pyarrow

    progress.start("Reading", [source for source in sources if not source.is_table])
    return plan_table(sources, options.limits, drop=drop, tick=progress.advance)


Written = tuple["RowWriter", RowBatch, list[dict[str, Any]]]
"""A writer, rows for it, and the columns to add to them."""


@contextmanager
def written(*outputs: Described) -> Iterator[WriteBehind[Written]]:
    """Write in the background; outputs appear when all are complete, and none does on an error before.

    Yields
    ------
    WriteBehind
        Takes a writer, a batch for it, and the columns to add.
    """
    behind: WriteBehind[Written] = WriteBehind(lambda item: item[0].write(item[1], item[2]))
    try:
        yield behind
        behind.finish()
        put_in_place(*outputs)
    except BaseException:
        behind.stop()
        for writer, _ in outputs:
            writer.discard()
        raise


def _check_scored(batch: RowBatch, scored: bool) -> None:
    for index, row in enumerate(batch.rows):
        if isinstance(row, dict) and not scored:
            refuse_scored(row, batch.place(index))
        elif isinstance(row, dict) and "branch_rate" not in row:
            raise OptionError(
                f"{batch.place(index)} has no branch_rate, though rows before it have. "
                "Give --overwrite-columns to score every row again"
            )


def scorable(row: Row) -> Row:
    """Replace a row that is an unreadable line of an earlier run by its error."""
    if isinstance(row, dict) and isinstance(row.get(RAW_COLUMN), str):
        own = (value for name, value in row.items() if name not in (RAW_COLUMN, *ADDED_COLUMNS))
        if all(value is None for value in own):
            return RowFormatError(f"an earlier run could not read this line; its text is in {RAW_COLUMN}")
    return row
