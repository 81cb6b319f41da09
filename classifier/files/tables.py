"""Turn batches of rows into Arrow columns of one schema, and Arrow rows into JSON."""

from __future__ import annotations

import base64
import datetime
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa

from classifier.errors import InputFileError, RowFormatError
from classifier.files.jsonl import dump, members, read_json_batches
from classifier.files.rows import ADDED_COLUMNS, RAW_COLUMN, BatchLimits, Row, RowBatch, refuse_scored
from classifier.files.schema import JsonType, merge_fields
from classifier.files.table_inputs import table_schema
from classifier.surrogates import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from classifier.files.inputs import InputFile

_Metadata = dict[bytes | str, bytes | str]
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89abAB]")
_CONVERSION_ERRORS: Final = (pa.ArrowException, TypeError, ValueError, OverflowError)


@dataclass(frozen=True)
class TablePlan:
    """The columns of a Parquet output, the added ones aside.

    Parameters
    ----------
    schema
        The inputs' own columns, and `branch_raw` where some line needs it.
    json_text
        Columns whose rows disagree in type, stored as JSON text.
    replaced_rows
        Rows whose lone surrogates are replaced, with the line as it was in `branch_raw`.
    """

    schema: pa.Schema
    json_text: frozenset[str] = field(default_factory=frozenset)
    replaced_rows: int = 0


def plan_table(
    sources: Sequence[InputFile],
    limits: BatchLimits,
    *,
    drop: Sequence[str] = (),
    tick: Callable[[RowBatch], None] = lambda batch: None,
) -> TablePlan:
    """Find one schema for all rows of some inputs; JSON is read once for it.

    Parameters
    ----------
    sources
        The inputs; a stream is copied to a temporary file.
    limits
        How many rows are read at a time.
    drop
        Columns to leave out: the scores of an earlier run.
    tick
        Called with every batch of JSON that was looked at.

    Raises
    ------
    InputFileError
        If an input cannot be read.
    OptionError
        If a row has columns that scoring adds, and they are not dropped.
    """
    groups: list[list[pa.Field[Any]]] = []
    disagreeing: set[str] = set()
    metadata: _Metadata = {}
    replaced_rows = 0
    for source in sources:
        if source.is_table:
            schema = table_schema(source)
            if not drop:
                refuse_scored(schema.names, source.name)
            groups.append([one for one in schema if one.name not in drop])
            metadata = {**cast("_Metadata", schema.metadata or {}), **metadata}
        else:
            source.spool()
            seen, replaced = _json_types(source, limits, drop, tick)
            replaced_rows += replaced
            kinds = {name: kind.arrow() for name, kind in seen.items()}
            disagreeing |= {name for name, kind in kinds.items() if kind is None}
            groups.append([pa.field(name, kind or pa.string()) for name, kind in kinds.items()])
    merged = merge_fields(groups)
    disagreeing |= {name for name, kind in merged.items() if kind is None}
    fields = [_field(name, None if name in disagreeing else kind, groups) for name, kind in merged.items()]
    return TablePlan(pa.schema(fields, metadata or None), frozenset(disagreeing), replaced_rows)


def _field(name: str, kind: pa.DataType | None, groups: Sequence[Sequence[pa.Field[Any]]]) -> pa.Field[Any]:
    if kind is None:
        return pa.field(name, pa.string())
    same = [one for group in groups for one in group if one.name == name and one.type.equals(kind)]
    # A field that all inputs share keeps its metadata, and stays without nulls if it is so in all.
    if len(same) < len(groups):
        return pa.field(name, kind)
    return same[0].with_nullable(any(one.nullable for one in same))


def own_columns(batch: RowBatch, plan: TablePlan) -> list[pa.Array[Any]]:
    """Return a batch's own columns as the plan has them.

    Raises
    ------
    InputFileError
        If the rows do not fit the plan, because the file has changed since it was made.
    """
    try:
        if batch.table is not None:
            return [_converted(batch.table, one, plan) for one in plan.schema]
        return _from_json(batch, plan)
    except _CONVERSION_ERRORS as error:
        raise InputFileError(
            f"{batch.source.name} does not hold what it held in the first reading ({error}). "
            "Start again when nothing writes to it any more"
        ) from error


def json_rows(batch: RowBatch, drop: Sequence[str] = ()) -> list[str]:
    """Return a batch of Arrow rows as JSON objects, one a row, without some columns.

    Times become ISO text, bytes Base64 text (UTF-8 text where they are), and numbers that JSON lacks null.
    """
    assert batch.table is not None  # noqa: S101 - only called for Arrow rows
    rows = (
        _readable(batch.table, at) if isinstance(row, RowFormatError) else row
        for at, row in enumerate(batch.rows)
    )
    return [_as_json({name: value for name, value in row.items() if name not in drop}) for row in rows]


def _json_types(
    source: InputFile, limits: BatchLimits, drop: Sequence[str], tick: Callable[[RowBatch], None]
) -> tuple[dict[str, JsonType], int]:
    seen: dict[str, JsonType] = {}
    replaced = 0
    for batch in read_json_batches(source, limits):
        assert batch.lines is not None  # noqa: S101 - JSON has lines
        for at, (row, line) in enumerate(zip(batch.rows, batch.lines, strict=True)):
            fields, raw = _storable(row, line)
            if not drop:
                refuse_scored(fields, batch.place(at))
            for name, value in fields.items():
                if name not in drop:
                    seen.setdefault(name, JsonType()).add(value)
            if raw is not None:
                seen.setdefault(RAW_COLUMN, JsonType()).add(raw)
                replaced += isinstance(row, dict)
        tick(batch)
    return seen, replaced


def _storable(row: Row, line: str) -> tuple[dict[str, Any], str | None]:
    """Return what Arrow can hold of a row, and the line's text where that is not all of it."""
    if isinstance(row, RowFormatError):
        return {}, line
    if _SURROGATE_ESCAPE.search(line):
        clean = _without_surrogates(row)
        if clean != row:
            return clean, row.get(RAW_COLUMN) or line
    return row, None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _from_json(batch: RowBatch, plan: TablePlan) -> list[pa.Array[Any]]:
    assert batch.lines is not None  # noqa: S101 - JSON has lines
    names = set(plan.schema.names)
    rows: list[dict[str, Any]] = []
    for row, line in zip(batch.rows, batch.lines, strict=True):
        fields, raw = _storable(row, line)
        unknown = fields.keys() - names - set(ADDED_COLUMNS)
        if unknown:
            raise ValueError(f"column {min(unknown)!r} is new")
        fields = {name: value for name, value in fields.items() if value is not None}
        if fields.keys() & plan.json_text:
            texts = {_without_surrogates(one.key): line[one.value_start : one.end] for one in members(line)}
            fields.update({name: texts[name] for name in fields.keys() & plan.json_text})
        if raw is not None:
            fields[RAW_COLUMN] = raw
        rows.append(fields)
    return [pa.array([row.get(one.name) for row in rows], type=one.type) for one in plan.schema]


def _converted(table: pa.RecordBatch, wanted: pa.Field[Any], plan: TablePlan) -> pa.Array[Any]:
    at = table.schema.get_field_index(wanted.name)
    if at < 0:
        return cast("pa.Array[Any]", pa.nulls(table.num_rows, wanted.type))
    column = table.column(at)
    if wanted.name in plan.json_text:
        values = [None if value is None else _as_json(value) for value in column.to_pylist()]
        return pa.array(values, type=pa.string())
    same = column.type.equals(wanted.type)
    return cast("pa.Array[Any]", column if same else column.cast(wanted.type))


def _readable(table: pa.RecordBatch, at: int) -> dict[str, Any]:
    """Return a row some of whose text is not UTF-8, with such bytes written as escapes."""
    row = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        scalar = column[at]
        try:
            row[name] = scalar.as_py()
        except (ValueError, OverflowError):
            is_text = pa.types.is_string(scalar.type) or pa.types.is_large_string(scalar.type)
            row[name] = (
                scalar.as_buffer().to_pybytes().decode("utf-8", "backslashreplace") if is_text else None
            )
    return row


def _as_json(value: Any) -> str:
    return dump(_json_value(value))


def _json_value(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _json_value(item) for key, item in value.items()}
        case list() | tuple():
            return [_json_value(item) for item in value]
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return base64.b64encode(value).decode()
        case datetime.date() | datetime.time():
            return value.isoformat()
    return str(value)
