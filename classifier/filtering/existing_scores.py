"""The scores that rows have from an earlier run."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from classifier.errors import InputFileError, RowFormatError
from classifier.files import ADDED_COLUMNS, SCORE_COLUMNS, BatchLimits, InputFile, RowBatch, read_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

Added = list[dict[str, Any]]
"""The score columns of the rows of a batch."""


def has_scores(source: InputFile) -> bool | None:
    """Tell by its schema or first row whether an input has scores; None where it has no rows."""
    if source.is_table:
        from classifier.files.table_inputs import table_schema  # JSON needs no pyarrow

        return "branch_rate" in table_schema(source).names
    with closing(read_batches(source, BatchLimits(rows=8))) as batches:
        for batch in batches:
            for row in batch.rows:
                if isinstance(row, dict):
                    return "branch_rate" in row
    return None


def existing_scores(batch: RowBatch, origins: Sequence[int]) -> Added:
    """Read the scores that rows have.

    Parameters
    ----------
    batch
        Rows that were scored.
    origins
        For each the number of the input row that it comes from; several come from one that was exploded.

    Returns
    -------
    list of dict
        The score columns of each row.

    Raises
    ------
    InputFileError
        If a score is nothing that scoring writes.
    """
    repeated = {origin for origin, after in pairwise(origins) if origin == after}
    added = []
    for index, row in enumerate(batch.rows):
        if isinstance(row, RowFormatError):
            columns: dict[str, Any] = dict.fromkeys(SCORE_COLUMNS)
            columns["branch_error"] = row.column_text
        else:
            columns = {name: row.get(name) for name in SCORE_COLUMNS}
            columns |= {name: row[name] for name in ADDED_COLUMNS[4:] if row.get(name) is not None}
            if origins[index] in repeated:
                columns = _of_one_trace(columns)
            _check_scores(columns, batch.place(index))
        added.append(columns)
    return added


def _of_one_trace(columns: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of one of several traces: its rate is known, its counts are not."""
    rates = columns.get("branch_rates")
    if columns["branch_rate"] is None or not isinstance(rates, list) or len(rates) != 1:
        return columns
    return {**dict.fromkeys(SCORE_COLUMNS), "branch_rate": rates[0], "branch_rates": rates}


def _check_scores(columns: dict[str, Any], place: str) -> None:
    rate, error = columns["branch_rate"], columns["branch_error"]
    counts = (columns["branch_count"], columns["step_count"])
    is_rate = rate is None or (
        isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= 1
    )
    are_counts = all(count is None or type(count) is int for count in counts)
    if not is_rate or not are_counts or not isinstance(error, str | None):
        raise InputFileError(
            f"{place} has scores that scoring never writes (branch_rate {rate!r:.40}, branch_count "
            f"{counts[0]!r:.40}, step_count {counts[1]!r:.40}, branch_error {error!r:.40}). "
            "Give --overwrite-columns to score the rows again"
        )
    if rate is None and error is None:
        columns["branch_error"] = "row: the row has no score"
