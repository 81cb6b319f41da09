"""Write batches of rows with their score columns, as JSON lines or as Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from classifier.errors import RowFormatError
from classifier.files.jsonl import dump, with_members, without_members
from classifier.files.outputs import FinishedFile, LineFile, OutputTarget
from classifier.files.rows import ADDED_COLUMNS, RAW_COLUMN, Row, RowBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.files.manifest import Provenance
    from classifier.files.tables import TablePlan


class RowWriter(Protocol):
    """Writes rows in order; the output appears when it is committed."""

    target: OutputTarget

    def write(self, batch: RowBatch, added: Sequence[dict[str, Any]]) -> None:
        """Write some rows, each with its added columns in place of earlier ones."""

    def finish(self) -> FinishedFile:
        """Write what is left, and return what the output holds."""

    def commit(self) -> None:
        """Put the finished output in its place."""

    def discard(self) -> None:
        """Leave nothing behind."""


class JsonWriter:
    """Write rows as JSON lines; rows that were JSON keep their text.

    Parameters
    ----------
    target
        Where they go.
    """

    def __init__(self, target: OutputTarget) -> None:
        self.target = target
        self._file = LineFile(target)

    def write(self, batch: RowBatch, added: Sequence[dict[str, Any]]) -> None:
        """Write some rows, each with its added columns in place of earlier ones."""
        if batch.lines is None:
            from classifier.files.tables import json_rows  # JSON needs no pyarrow

            lines = [
                with_members(line, columns)
                for line, columns in zip(json_rows(batch, ADDED_COLUMNS), added, strict=True)
            ]
        else:
            lines = [
                _json_line(row, line, columns)
                for row, line, columns in zip(batch.rows, batch.lines, added, strict=True)
            ]
        self._file.write(lines)
        if self.target.path is None:
            self._file.flush()

    def finish(self) -> FinishedFile:
        """Write what is left, and return what the output holds."""
        return self._file.finish()

    def commit(self) -> None:
        """Put the finished output in its place."""
        self._file.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.discard()


def open_writer(
    target: OutputTarget,
    plan: TablePlan | None,
    columns: Sequence[str],
    provenance: Provenance | None,
) -> RowWriter:
    """Start an output.

    Parameters
    ----------
    target
        Where rows go.
    plan
        The rows' own columns; needed for Parquet.
    columns
        The columns that are added to each row; may be none.
    provenance
        What scored the rows; goes into Parquet's metadata.
    """
    if plan is None:
        return JsonWriter(target)
    from classifier.files.table_writer import TableWriter

    return TableWriter(target, plan, columns, provenance)


def _json_line(row: Row, line: str, columns: dict[str, Any]) -> str:
    if isinstance(row, RowFormatError):
        return dump({RAW_COLUMN: line, **columns})
    present = [name for name in ADDED_COLUMNS if name in row]
    if present and len(present) == len(columns) and all(row[name] == columns[name] for name in present):
        return line
    return with_members(without_members(line, present) if present else line, columns)
