"""Turn a row that holds several traces into one row a trace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from classifier.errors import OptionError
from classifier.files.jsonl import elements, with_values

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from classifier.files.rows import Row, RowBatch


def explode(batch: RowBatch, column_of: Callable[[Row], str | None]) -> tuple[RowBatch, list[int]]:
    """Give every trace of a batch a row of its own.

    The list that holds the traces, and every list of plain values of the same length beside it, is cut down
    to the one item that belongs to the trace; all other columns are repeated.

    Parameters
    ----------
    batch
        The rows.
    column_of
        Names the column, or path, with the list of traces of a row; None where a row has a single trace.

    Returns
    -------
    tuple
        The new batch, and for each of its rows the index of the row that it comes from.

    Raises
    ------
    OptionError
        If the list is inside a column, where a path leads to it.
    """
    origins: list[int] = []
    changes: list[dict[str, int]] = []
    for origin, row in enumerate(batch.rows):
        name = column_of(row)
        if name is None or not isinstance(row, dict):
            origins.append(origin)
            changes.append({})
            continue
        if name not in row:
            raise OptionError(
                f"{batch.place(origin)} holds several traces in {name!r}, which is inside a column, and only "
                "a column that is itself the list can be divided into rows. Copy the list to a column of its "
                "own and name that with --column, or leave out --explode and --best-of"
            )
        count = len(row[name])
        names = [other for other in row if other == name or _is_parallel(row[other], count)]
        origins += [origin] * count
        changes += [dict.fromkeys(names, item) for item in range(count)]
    if len(origins) == len(batch.rows):
        return batch, origins
    taken = batch.take(origins)
    rows: list[Row] = [
        {name: [value[change[name]]] if name in change else value for name, value in row.items()}
        if isinstance(row, dict)
        else row
        for row, change in zip(taken.rows, changes, strict=True)
    ]
    return replace(
        taken,
        rows=rows,
        lines=None
        if taken.lines is None
        else [_cut_line(line, change) for line, change in zip(taken.lines, changes, strict=True)],
        table=None if taken.table is None else _cut_table(taken.table, rows, changes),
    ), origins


def _is_parallel(value: object, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and not any(isinstance(item, list | dict) for item in value)
    )


def _cut_line(line: str, change: dict[str, int]) -> str:
    def item(index: int) -> Callable[[str], str]:
        return lambda text: f"[{elements(text)[index]}]"

    return with_values(line, {name: item(index) for name, index in change.items()}) if change else line


def _cut_table(table: pa.RecordBatch, rows: list[Row], changes: list[dict[str, int]]) -> pa.RecordBatch:
    import pyarrow as pa

    columns: list[Any] = list(table.columns)
    for at, field in enumerate(table.schema):
        if any(field.name in change for change in changes):
            pieces = [
                pa.array([row[field.name]], type=field.type)
                if isinstance(row, dict) and field.name in change
                else columns[at].slice(index, 1)
                for index, (row, change) in enumerate(zip(rows, changes, strict=True))
            ]
            columns[at] = pa.concat_arrays(pieces)
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
