"""Rows in files: found, read in batches, and written whole or not at all."""

from collections.abc import Generator

from classifier.files.inputs import InputFile, find_inputs
from classifier.files.jsonl import count_json_rows, read_json_batches
from classifier.files.outputs import OutputTarget, plan_output
from classifier.files.rows import ADDED_COLUMNS, RAW_COLUMN, SCORE_COLUMNS, BatchLimits, Row, RowBatch

__all__ = [
    "ADDED_COLUMNS",
    "RAW_COLUMN",
    "SCORE_COLUMNS",
    "BatchLimits",
    "InputFile",
    "OutputTarget",
    "Row",
    "RowBatch",
    "count_rows",
    "find_inputs",
    "plan_output",
    "read_batches",
]


def read_batches(
    source: InputFile, limits: BatchLimits | None = None, *, skip: int = 0
) -> Generator[RowBatch, None, None]:
    """Read the rows of one input in batches.

    Parameters
    ----------
    source
        The file.
    limits
        When a batch is full.
    skip
        Rows to pass over first.

    Yields
    ------
    RowBatch
        A few rows, in order.

    Raises
    ------
    InputFileError
        If the file cannot be read to its end.
    """
    limits = limits or BatchLimits()
    if not source.is_table:
        yield from read_json_batches(source, limits, skip)
        return
    from classifier.files.table_inputs import read_table_batches  # JSON needs no pyarrow

    yield from read_table_batches(source, limits, skip)


def count_rows(source: InputFile) -> int:
    """Count the rows of one input that can be read twice.

    Raises
    ------
    InputFileError
        If the file cannot be read to its end.
    """
    if not source.is_table:
        return count_json_rows(source)
    from classifier.files.table_inputs import count_table_rows  # JSON needs no pyarrow

    return count_table_rows(source)
