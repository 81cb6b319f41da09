"""Rows for the tests of reading traces."""

from typing import Any, Final

from classifier.errors import RowError
from classifier.traces import RowTraces, read_traces

USER: Final = {"role": "user", "content": "Is <think>7</think> a prime?"}


def assistant(**message: object) -> dict[str, list[dict[str, object]]]:
    """Return a row with a user's message and an assistant's message of the given fields."""
    return {"messages": [dict(USER), {"role": "assistant", **message}]}


def text(row: object, **options: str) -> str:
    """Return the one trace of a row."""
    read = read_traces(row, **options)
    assert len(read.traces) == 1
    return read.traces[0].text


def outcome(row: object, **options: Any) -> RowTraces | RowError:
    """Return what reading a row gives: its traces, or the error that a row may raise."""
    try:
        return read_traces(row, **options)
    except RowError as error:
        return error
