"""Read Parquet in batches of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from classifier.errors import InputFileError, RowFormatError
from classifier.files.rows import BatchLimits, Row, RowBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from classifier.files.inputs import InputFile

_READ_BUFFER: Final = 1 << 20
_READ_ERRORS: Final = (OSError, pa.ArrowException)


def parquet_schema(source: InputFile) -> pa.Schema:
    """Read the schema of a Parquet file.

    Raises
    ------
    InputFileError
        If the file is no Parquet, damaged, or has two columns of one name.
    """
    with _open(source) as file:
        schema = file.schema_arrow
    for name in schema.names:
        if len(schema.get_all_field_indices(name)) > 1:
            raise InputFileError(f"{source.name} has two columns named {name!r}: rename one")
    return schema


def read_parquet_batches(source: InputFile, limits: BatchLimits, skip: int = 0) -> Iterator[RowBatch]:
    """Read the rows of a Parquet file in batches.

    Parameters
    ----------
    source
        The file.
    limits
        When a batch is full; its characters are estimated from the file's own figures.
    skip
        Rows to pass over first.

    Yields
    ------
    RowBatch
        Rows with their Arrow data.

    Raises
    ------
    InputFileError
        If the file cannot be read to its end.
    """
    for table, numbers, share in read_parquet_tables(source, limits, skip):
        yield RowBatch(source, table_rows(table), numbers, table=table, share_read=share)


def read_parquet_tables(
    source: InputFile, limits: BatchLimits, skip: int = 0
) -> Iterator[tuple[pa.RecordBatch, range, float]]:
    """Read a Parquet file in batches of Arrow data, for what needs no Python value of every row.

    Parameters
    ----------
    source
        The file.
    limits
        When a batch is full; its characters are estimated from the file's own figures.
    skip
        Rows to pass over first.

    Yields
    ------
    tuple
        The data, the numbers of their rows from 1, and the share of the file that was read after them.

    Raises
    ------
    InputFileError
        If the file cannot be read to its end.
    """
    with _open(source) as file:
        groups = range(file.metadata.num_row_groups)
        done = 0
        while groups and done + file.metadata.row_group(groups[0]).num_rows <= skip:
            done += file.metadata.row_group(groups[0]).num_rows
            groups = groups[1:]
        total = file.metadata.num_rows
        size = sum(file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups))
        rows = max(1, min(limits.rows, limits.characters * total // size if size else limits.rows))
        batches = file.iter_batches(batch_size=rows, row_groups=list(groups))
        while True:
            try:
                table = next(batches, None)
            except _READ_ERRORS as error:
                raise InputFileError(
                    f"{source.name} is damaged after row {done}: {error}. Copy or download it again"
                ) from error
            if table is None:
                return
            passed = max(0, min(skip - done, len(table)))
            done += len(table)
            table = table.slice(passed)
            if not len(table):
                continue
            numbers = range(done - len(table) + 1, done + 1)
            yield table, numbers, done / total


def count_parquet_rows(source: InputFile) -> int:
    """Return the number of rows that a Parquet file states.

    Raises
    ------
    InputFileError
        If the file is no Parquet or damaged.
    """
    with _open(source) as file:
        return int(file.metadata.num_rows)


def table_rows(table: pa.RecordBatch | pa.Table) -> list[Row]:
    """Turn Arrow data into rows; a row whose text is not UTF-8 becomes an error."""
    columns = [_values(table.column(at)) for at in range(table.num_columns)]
    names = table.schema.names
    return [_row(names, [column[at] for column in columns]) for at in range(table.num_rows)]


def _row(names: list[str], values: list[Any]) -> Row:
    for name, value in zip(names, values, strict=True):
        if isinstance(value, RowFormatError):
            return RowFormatError(f"column {name!r} cannot be read: {value}")
    return dict(zip(names, values, strict=True))


def _values(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> list[Any]:
    # Dates and times become text: not every one fits a Python object, and no trace is one.
    if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
        column = column.cast(pa.string())
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar[Any]) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError) as error:
        return RowFormatError(str(error))


def _open(source: InputFile) -> pq.ParquetFile:
    try:
        # Small reads ahead instead of whole row groups keep memory bounded, whatever the group's size.
        return pq.ParquetFile(source.path or "", buffer_size=_READ_BUFFER, pre_buffer=False)
    except _READ_ERRORS as error:
        raise InputFileError(
            f"{source.name} is no Parquet file, or a damaged one: {error}. Copy or download it again"
        ) from error
