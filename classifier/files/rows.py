"""Rows on their way from an input to an output, and the columns that scoring adds to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from classifier.errors import OptionError, RowFormatError
from classifier.files.inputs import InputFile

Row = dict[str, Any] | RowFormatError
"""A row's columns by name, or why it could not be read."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

SCORE_COLUMNS: Final = ("branch_rate", "branch_count", "step_count", "branch_error")
"""The columns that scoring adds to every row."""

ADDED_COLUMNS: Final = (*SCORE_COLUMNS, "branch_rates", "branch_steps")
"""All columns that scoring may add; an input that has one of them was scored before."""

RAW_COLUMN: Final = "branch_raw"
"""Holds the text of a line that could not be stored as a row."""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """A few consecutive rows of one input.

    Parameters
    ----------
    source
        The file they come from.
    rows
        The rows as Python values; an unreadable one is a `RowFormatError`.
    numbers
        The line or row number of each, counted from 1.
    lines
        The JSON text of each row as it stands in the file; None for Parquet.
    table
        The rows as Arrow data; None for JSON.
    blank_lines
        Blank lines that were passed over.
    blank_after
        How many of them stand after the last row.
    share_read
        The share of the file that was read after this batch; None if the file's size is not known.
    """

    source: InputFile
    rows: list[Row]
    numbers: Sequence[int]
    lines: list[str] | None = None
    table: pa.RecordBatch | None = None
    blank_lines: int = 0
    blank_after: int = 0
    share_read: float | None = None

    def place(self, index: int) -> str:
        """Name the file and the line or row of one row, for messages."""
        unit = "row" if self.lines is None or self.source.format == "json" else "line"
        return f"{self.source.name} {unit} {self.numbers[index]}"

    def take(self, indices: Sequence[int]) -> RowBatch:
        """Return the rows at some indices."""
        if len(indices) == len(self.rows) and list(indices) == list(range(len(self.rows))):
            return self
        return replace(
            self,
            rows=[self.rows[index] for index in indices],
            numbers=[self.numbers[index] for index in indices],
            lines=None if self.lines is None else [self.lines[index] for index in indices],
            table=None if self.table is None else _take(self.table, indices),
        )

    def head(self, count: int) -> RowBatch:
        """Return the first so many of the rows, and blank lines up to the last of them only."""
        later = self.numbers[-1] - self.numbers[count - 1] - (len(self.rows) - count)
        blank = self.blank_lines - self.blank_after - later
        return replace(self.take(range(count)), blank_lines=blank, blank_after=0)


def _take(table: pa.RecordBatch, indices: Sequence[int]) -> pa.RecordBatch:
    # Arrow cannot tell what an empty list is a list of.
    return table.take(list(indices)) if indices else table.slice(0, 0)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How many rows are read at a time, whichever limit is met first."""

    rows: int = 256
    characters: int = 250_000


def scored_names(names: Iterable[str]) -> list[str]:
    """Return those of some column names that scoring adds."""
    return [name for name in names if name in ADDED_COLUMNS]


def refuse_scored(names: Iterable[str], place: str) -> None:
    """Refuse rows that already have columns which scoring adds.

    Raises
    ------
    OptionError
        If there are any.
    """
    present = scored_names(names)
    if present:
        raise OptionError(
            f"{place} already has the column{'s' if len(present) > 1 else ''} {', '.join(present)}. "
            "Give --overwrite-columns to replace the columns that scoring adds"
        )
