"""Paths into the nested values of a row, such as ``messages[-1].content``."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from classifier.errors import SchemaError
from classifier.trace_readers import ASSISTANT_ROLES, messages_of, plain, quoted, role_of

_STEP: Final = re.compile(r"\[(-?\d{1,9})\]|(?:^|\.)([^.\[\]]+)")


def follow(row: Mapping[Any, object], path: str) -> list[tuple[str, object]]:
    """Return the values that a path leads to, each with its place.

    Parameters
    ----------
    row
        The row's columns.
    path
        A column's name, or names joined by dots with ``[0]`` or ``[-1]`` for one item of a list. A name
        that follows a list is looked up in every item; in a list of messages, in the assistant's only.

    Returns
    -------
    list of tuple
        Nothing if the path leads nowhere. A column whose very name is the path comes first.
    """
    if path in row:
        return [(quoted(path), plain(row[path]))]
    steps = list(_STEP.finditer(path))
    if "".join(step.group() for step in steps) != path:
        return []
    found: list[tuple[str, object]] = [("", row)]
    for step in steps:
        index, name = step.groups()
        if index is not None:
            found = [item for place, value in found for item in _item(value, place, int(index))]
        else:
            found = [field for place, value in found for field in _fields(value, place, name)]
    return found


def _item(value: object, place: str, index: int) -> Iterator[tuple[str, object]]:
    items = messages_of(value, place) if _is_columnar_chat(value) else value
    if isinstance(items, list) and -len(items) <= index < len(items):
        yield f"{place}[{index}]", plain(items[index])


def _fields(value: object, place: str, name: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, list) or _is_columnar_chat(value):
        for index, item in enumerate(_assistant_messages(value, place)):
            if item is not None:
                yield from _fields(plain(item), f"{place}[{index}]", name)
    elif isinstance(value, Mapping) and name in value:
        yield f"{place}.{quoted(name)}".lstrip("."), plain(value[name])


def _is_columnar_chat(value: object) -> bool:
    """Tell whether a value is a chat as `datasets` decodes a sequence of objects: an object of lists."""
    return isinstance(value, Mapping) and any(
        isinstance(plain(value.get(key)), list) for key in ("role", "from")
    )


def _assistant_messages(value: object, place: str) -> list[object]:
    """Return a list's items; of a list of messages, None for those that are not the assistant's."""
    try:
        messages = messages_of(value, place)
        roles = [role_of(message, place) for message in messages]
    except SchemaError:
        return value if isinstance(value, list) else []
    return [
        message if role in ASSISTANT_ROLES else None for message, role in zip(messages, roles, strict=True)
    ]
