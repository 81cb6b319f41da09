"""Read Parquet and Arrow files in batches of rows."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from classifier.errors import InputFileError, RowFormatError
from classifier.files.rows import BatchLimits, Row, RowBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from classifier.files.inputs import InputFile

_READ_BUFFER: Final = 1 << 20
_READ_ERRORS: Final = (OSError, pa.ArrowException)
_ARROW_FILE: Final = b"ARROW1"
_Part = tuple[pa.RecordBatch, int, float | None]
_STREAM_END: Final = b"\xff\xff\xff\xff\0\0\0\0"


def table_schema(source: InputFile) -> pa.Schema:
    """Read the schema of a table.

    Raises
    ------
    InputFileError
        If the file is none, damaged, or has two columns of one name.
    """
    if source.format == "arrow":
        with _open_arrow(source) as reader:
            schema = reader.schema
    else:
        with _open_parquet(source) as file:
            schema = file.schema_arrow
    for name in schema.names:
        if len(schema.get_all_field_indices(name)) > 1:
            raise InputFileError(f"{source.name} has two columns named {name!r}: rename one")
    return schema


def read_table_batches(source: InputFile, limits: BatchLimits, skip: int = 0) -> Iterator[RowBatch]:
    """Read the rows of a table in batches.

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
    for table, numbers, share in read_tables(source, limits, skip):
        yield RowBatch(source, table_rows(table), numbers, table=table, share_read=share)


def read_tables(
    source: InputFile, limits: BatchLimits, skip: int = 0
) -> Iterator[tuple[pa.RecordBatch, range, float | None]]:
    """Read a table in batches of Arrow data, for what needs no Python value of every row.

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
    read = _read_arrow if source.format == "arrow" else _read_parquet
    for table, done, share in read(source, limits, skip):
        passed = max(0, min(skip - (done - len(table)), len(table)))
        table = table.slice(passed)
        if len(table):
            yield table, range(done - len(table) + 1, done + 1), share


def count_table_rows(source: InputFile) -> int:
    """Return the number of rows of a table.

    Raises
    ------
    InputFileError
        If the file is none, or damaged.
    """
    if source.format == "arrow":
        return sum(len(table) for table, _, _ in _read_arrow(source, BatchLimits(), 0))
    with _open_parquet(source) as file:
        return int(file.metadata.num_rows)


def batch_rows(limits: BatchLimits, rows: int, size: int) -> int:
    """Return how many rows of a table fit into a batch.

    Parameters
    ----------
    limits
        When a batch is full.
    rows, size
        How many rows there are, and their bytes.
    """
    return max(1, min(limits.rows, limits.characters * rows // size if size else limits.rows))


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


def _read_parquet(source: InputFile, limits: BatchLimits, skip: int) -> Iterator[_Part]:
    """Give batches with the number of their last row, and the share of the rows up to there."""
    with _open_parquet(source) as file:
        groups = range(file.metadata.num_row_groups)
        done = 0
        while groups and done + file.metadata.row_group(groups[0]).num_rows <= skip:
            done += file.metadata.row_group(groups[0]).num_rows
            groups = groups[1:]
        total = file.metadata.num_rows
        size = sum(file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups))
        batches = file.iter_batches(batch_size=batch_rows(limits, total, size), row_groups=list(groups))
        for table in _until_damaged(source, batches):
            done += len(table)
            yield table, done, done / total


def _read_arrow(source: InputFile, limits: BatchLimits, skip: int) -> Iterator[_Part]:
    """Give batches with the number of their last row; an Arrow stream does not say how many there are."""
    with _open_arrow(source) as reader:
        batches: Iterator[pa.RecordBatch]
        if isinstance(reader, pa.ipc.RecordBatchFileReader):
            batches = map(reader.get_batch, range(reader.num_record_batches))
        else:
            batches = reader
        done = 0
        for table in _until_damaged(source, batches):
            rows = batch_rows(limits, len(table), table.nbytes)
            for start in range(0, len(table), rows):
                part = table.slice(start, rows)
                done += len(part)
                yield part, done, None


def _until_damaged(source: InputFile, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    done = 0
    while True:
        try:
            table = next(batches, None)
        except _READ_ERRORS as error:
            raise source.unreadable(error, f"after row {done}") from error
        if table is None:
            return
        done += len(table)
        yield table


@contextmanager
def _open_parquet(source: InputFile) -> Iterator[pq.ParquetFile]:
    with _open_bytes(source) as raw:
        try:
            # Small reads ahead instead of whole row groups keep memory bounded, whatever the group's size.
            file = pq.ParquetFile(source.path or raw, buffer_size=_READ_BUFFER, pre_buffer=False)
        except _READ_ERRORS as error:
            raise InputFileError(
                f"{source.name} is no Parquet file, or a damaged one: {error}. Copy or download it again"
            ) from error
        with file:
            yield file


@contextmanager
def _open_arrow(
    source: InputFile,
) -> Iterator[pa.ipc.RecordBatchStreamReader | pa.ipc.RecordBatchFileReader]:
    with _open_bytes(source) as raw:
        reader: pa.ipc.RecordBatchStreamReader | pa.ipc.RecordBatchFileReader
        try:
            if raw.read(len(_ARROW_FILE)) == _ARROW_FILE:
                raw.seek(0)
                reader = pa.ipc.open_file(cast(io.IOBase, raw))
            else:
                # A stream that was cut between two batches looks complete but for this.
                raw.seek(-min(len(_STREAM_END), raw.seek(0, io.SEEK_END)), io.SEEK_END)
                if raw.read() != _STREAM_END:
                    raise pa.ArrowInvalid("it does not end as an Arrow stream does")
                raw.seek(0)
                reader = pa.ipc.open_stream(cast(io.IOBase, raw))
        except _READ_ERRORS as error:
            raise InputFileError(
                f"{source.name} is no Arrow file, or a damaged one: {error}. Copy or download it again"
            ) from error
        with reader:
            yield reader


@contextmanager
def _open_bytes(source: InputFile) -> Iterator[BinaryIO]:
    try:
        raw = source.open_raw()
    except OSError as error:
        raise source.unreadable(error) from error
    with raw:
        yield raw
