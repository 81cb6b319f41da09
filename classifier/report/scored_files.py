"""Scored rows out of files, a batch at a time, with their scores as arrays."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from classifier.columns import COLUMN_TYPES, STEPS
from classifier.errors import InputFileError, OptionError, RowFormatError
from classifier.files import ADDED_COLUMNS, SCORE_COLUMNS, BatchLimits, InputFile, RowBatch, read_batches
from classifier.files.table_inputs import read_tables, table_rows
from classifier.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    Batches = Generator[tuple[RowBatch, dict[str, pa.Array[Any]]], None, None]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_LIMITS: Final = BatchLimits(rows=8192, characters=8_000_000)
_COLUMNS: Final = (*SCORE_COLUMNS, STEPS)


@dataclass(frozen=True, slots=True)
class StepColumns:
    """The steps of the rows of a batch, all of them one after the other.

    Parameters
    ----------
    counts
        How many steps each row has, int64 [rows].
    starts
        Where each step begins in its trace, int64 [steps].
    probabilities
        Probability that each branches, float64 [steps].
    kinds
        Kind of each as an index into `KINDS`, int64 [steps].
    """

    counts: IntArray
    starts: IntArray
    probabilities: FloatArray
    kinds: IntArray


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """A few consecutive scored rows.

    Parameters
    ----------
    batch
        The rows, of which those out of Parquet lack the score columns.
    rates
        Branch rate of each, float64; NaN where it has none.
    branch_counts, step_counts
        Its counts, int64; 0 where it has none.
    errors
        Why it has no score; None where it has one.
    steps
        The steps; None where the rows have none.
    """

    batch: RowBatch
    rates: FloatArray
    branch_counts: IntArray
    step_counts: IntArray
    errors: list[str | None]
    steps: StepColumns | None


def read_scored(sources: Sequence[InputFile]) -> Iterator[ScoredBatch]:
    """Read scored rows in batches.

    Parameters
    ----------
    sources
        The files.

    Yields
    ------
    ScoredBatch
        A few rows, in order.

    Raises
    ------
    OptionError
        If the rows have no scores.
    InputFileError
        If a file cannot be read, or has scores that scoring never writes.
    """
    for source in sources:
        batches = _parquet(source) if source.is_table else _json(source)
        with closing(batches):
            for batch, columns in batches:
                if batch.rows:
                    yield _checked(batch, columns)


def begins_trace(starts: IntArray) -> BoolArray:
    """Tell which steps of a row begin a trace.

    Parameters
    ----------
    starts
        Where each step begins in its trace, int64 [steps]; the traces of the row follow each other.

    Returns
    -------
    array
        bool [steps].
    """
    begins = np.ones(len(starts), dtype=np.bool_)
    # Starts ascend within a trace: an equal one is that of a new trace too.
    begins[1:] = starts[1:] <= starts[:-1]
    return begins


def _parquet(source: InputFile) -> Batches:
    for table, numbers, share in read_tables(source, _LIMITS):
        if "branch_rate" not in table.schema.names:
            raise _unscored(source, table.schema.names)
        columns = {name: table.column(name) for name in _COLUMNS if name in table.schema.names}
        own = table.select([name for name in table.schema.names if name not in ADDED_COLUMNS])
        # A table of no columns has no rows either.
        rows = table_rows(own) if own.num_columns else [{} for _ in numbers]
        yield RowBatch(source, rows, numbers, table=table, share_read=share), columns


def _json(source: InputFile) -> Batches:
    scored = False
    for batch in read_batches(source, _LIMITS):
        readable = [row for row in batch.rows if isinstance(row, dict)]
        if not scored and readable:
            if not any("branch_rate" in row for row in readable):
                raise _unscored(source, list(readable[0]))
            scored = True
        columns = {}
        for name in _COLUMNS:
            values = [_json_value(row, name) for row in batch.rows]
            if name == STEPS and all(value is None for value in values):
                continue
            try:
                columns[name] = pa.array(values, type=COLUMN_TYPES[name])
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise _impossible(batch, _first_impossible(values, name), name, str(error)) from error
        yield batch, columns


def _json_value(row: object, name: str) -> object:
    if isinstance(row, RowFormatError):
        return row.column_text if name == "branch_error" else None
    return row.get(name) if isinstance(row, dict) else None


def _first_impossible(values: list[object], name: str) -> int:
    for index, value in enumerate(values):
        try:
            pa.array([value], type=COLUMN_TYPES[name])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return index
    return 0


def _checked(batch: RowBatch, columns: dict[str, pa.Array[Any]]) -> ScoredBatch:
    arrays: dict[str, pa.Array[Any]] = {}
    for name in _COLUMNS:
        column = columns.get(name)
        if column is None:
            if name == STEPS:
                continue
            column = pa.array([None] * len(batch.rows), type=COLUMN_TYPES[name])
        try:
            arrays[name] = column.cast(COLUMN_TYPES[name])
        except pa.ArrowException as error:
            raise _impossible(batch, 0, name, str(error)) from error
    rates: FloatArray = arrays["branch_rate"].fill_null(np.nan).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero((rates < 0) | (rates > 1))
    if len(wrong):
        raise _impossible(
            batch, int(wrong[0]), "branch_rate", f"{rates[wrong[0]]} is no number between 0 and 1"
        )
    errors: list[str | None] = arrays["branch_error"].to_pylist()
    for index in np.flatnonzero(np.isnan(rates)):
        errors[index] = errors[index] or "row: the row has no score"
    return ScoredBatch(
        batch=batch,
        rates=rates,
        branch_counts=_integers(arrays["branch_count"]),
        step_counts=_integers(arrays["step_count"]),
        errors=errors,
        steps=_steps(batch, arrays[STEPS]) if STEPS in arrays else None,
    )


def _steps(batch: RowBatch, lists: pa.Array[Any]) -> StepColumns:
    counts = _integers(pc.list_value_length(lists))
    flat = pc.list_flatten(lists)
    starts, ends, probabilities, kinds = (
        pc.struct_field(flat, name) for name in ("start", "end", "probability", "kind")
    )
    likely: FloatArray = probabilities.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    known = _integers(pc.index_in(kinds, value_set=pa.array(KINDS)), null=-1)
    first, last = _integers(starts, null=-1), _integers(ends, null=-1)
    wrong = np.flatnonzero(~((likely >= 0) & (likely <= 1)) | (known < 0) | (first < 0) | (last < first))
    if len(wrong):
        row = int(np.searchsorted(np.cumsum(counts), wrong[0], side="right"))
        raise _impossible(batch, row, STEPS, f"step {flat[int(wrong[0])].as_py()}")
    return StepColumns(counts, first, likely, known)


def _integers(array: pa.Array[Any], null: int = 0) -> IntArray:
    numbers: IntArray = array.cast(pa.int64()).fill_null(null).to_numpy(zero_copy_only=False)
    return numbers


def _unscored(source: InputFile, columns: Sequence[str]) -> OptionError:
    return OptionError(
        f"{source.name} has no scores (columns: {', '.join(columns) or 'none'}). Score it first: "
        f"branching score {source.name} -o scored.parquet --steps"
    )


def _impossible(batch: RowBatch, index: int, name: str, why: str) -> InputFileError:
    return InputFileError(
        f"{batch.place(index)} has a {name} that scoring never writes ({why:.200}). Score the rows again: "
        "branching score --overwrite-columns"
    )
