"""Find one table schema for rows of JSON, and for files whose schemas differ."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

import pyarrow as pa

_EXACT_IN_FLOAT: Final = 1 << 53
_LARGEST_INT: Final = (1 << 63) - 1
_MOST_FIELDS: Final = 200
_DEEPEST: Final = 24


class JsonType:
    """The types that a JSON value has had over many rows.

    Examples
    --------
    >>> seen = JsonType()
    >>> seen.add(1)
    >>> seen.add(None)
    >>> seen.arrow()
    DataType(int64)
    """

    __slots__ = ("_fields", "_item", "_kinds", "_wide")

    def __init__(self) -> None:
        self._kinds: set[type] = set()
        self._wide = 0
        self._item: JsonType | None = None
        self._fields: dict[str, JsonType] = {}

    def add(self, value: object, depth: int = 0) -> None:
        """Take note of one more value."""
        if value is None:
            return
        self._kinds.add(type(value))
        if isinstance(value, int):
            self._wide = max(self._wide, abs(value))
        elif isinstance(value, list | dict) and depth >= _DEEPEST:
            self._kinds.add(object)
        elif isinstance(value, list):
            item = self._item = self._item or JsonType()
            for element in value:
                item.add(element, depth + 1)
        elif isinstance(value, dict):
            for key, element in value.items():
                self._field(key).add(element, depth + 1)

    def arrow(self) -> pa.DataType | None:
        """Return the Arrow type that holds every value seen without loss, or None if there is none."""
        match sorted(kind.__name__ for kind in self._kinds):
            case []:
                return pa.null()
            case ["bool"]:
                return pa.bool_()
            case ["int"] if self._wide <= _LARGEST_INT:
                return pa.int64()
            case ["float"]:
                return pa.float64()
            case ["float", "int"] if self._wide <= _EXACT_IN_FLOAT:
                return pa.float64()
            case ["str"]:
                return pa.string()
            case ["list"]:
                item = (self._item or JsonType()).arrow()
                return None if item is None else pa.list_(item)
            case ["dict"] if 0 < len(self._fields) <= _MOST_FIELDS:
                fields = [(name, seen.arrow()) for name, seen in self._fields.items()]
                known = [(name, kind) for name, kind in fields if kind is not None]
                return pa.struct(known) if len(known) == len(fields) else None
        return None

    def _field(self, key: str) -> JsonType:
        seen = self._fields.get(key)
        if seen is None:
            seen = JsonType()
            if len(self._fields) <= _MOST_FIELDS:
                self._fields[key] = seen
        return seen


def merge_types(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return a type that holds the values of both without loss, or None if there is none."""
    types = pa.types
    if one.equals(other) or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    for is_same_kind in (types.is_signed_integer, types.is_unsigned_integer, types.is_floating):
        if is_same_kind(one) and is_same_kind(other):
            return max(one, other, key=lambda kind: kind.bit_width)
    if _is_text(one) and _is_text(other):
        return (
            pa.large_string() if types.is_large_string(one) or types.is_large_string(other) else pa.string()
        )
    if _is_list(one) and _is_list(other):
        item = merge_types(one.value_type, other.value_type)
        large = types.is_large_list(one) or types.is_large_list(other)
        return None if item is None else (pa.large_list(item) if large else pa.list_(item))
    if isinstance(one, pa.StructType) and isinstance(other, pa.StructType):
        merged = merge_fields([list(one), list(other)])
        kinds = [(name, kind) for name, kind in merged.items() if kind is not None]
        return pa.struct(kinds) if len(kinds) == len(merged) else None
    return None


def merge_fields(groups: list[list[pa.Field[Any]]]) -> dict[str, pa.DataType | None]:
    """Merge the fields of several schemas by name, in the order they are first met.

    Returns
    -------
    dict[str, pa.DataType | None]
        The type of each field; None where the schemas disagree.
    """
    merged: dict[str, pa.DataType | None] = {}
    for group in groups:
        for field in group:
            known = merged.get(field.name, pa.null())
            merged[field.name] = None if known is None else merge_types(known, field.type)
    return merged


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if isinstance(kind, pa.DictionaryType) else kind
    return pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner)


def _is_list(kind: pa.DataType) -> TypeGuard[pa.ListType[Any]]:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)
