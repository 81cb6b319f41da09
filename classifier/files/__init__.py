"""Rows in files: found, read in batches, and written whole or not at all."""

from collections.abc import Generator

from classifier.files.inputs import InputFile, find_inputs
from classifier.files.jsonl import read_json_batches
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
    "find_inputs",
    "plan_output",
    "read_batches",
]


def read_batches(source: InputFile, limits: BatchLimits | None = None) -> Generator[RowBatch, None, None]:
    """Read the rows of one input in batches.

    Parameters
    ----------
    source
        The file.
    limits
        When a batch is full.

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
    if source.format != "parquet":
        yield from read_json_batches(source, limits)
        return
    from classifier.files.parquet import read_parquet_batches  # JSON needs no pyarrow

    yield from read_parquet_batches(source, limits)
