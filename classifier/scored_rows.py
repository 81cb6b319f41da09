"""Reading the columns that scoring added, and those that a selection goes by, from one row."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from classifier.errors import OptionError, SchemaError

Row = Mapping[str, Any]
GroupOf = str | Callable[[Row], Hashable]
"""The column with a row's group, or a function that gives it."""

LengthOf = str | Callable[[Row], float]
"""The column with a row's length or text, or a function that gives the length."""


def branch_rate(row: Row) -> float | None:
    """Return the row's branch rate, None if it could not be scored.

    Raises
    ------
    OptionError
        If the row has not been scored.
    SchemaError
        If the value is not a rate.
    """
    rate = _number(row, "branch_rate")
    if rate is not None and not 0 <= rate <= 1:
        raise SchemaError(f"`branch_rate` is {rate!r}; expected a number between 0 and 1, or null")
    return rate


def branch_count(row: Row) -> float | None:
    """Return how many of the row's steps branch, None if it could not be scored.

    Raises
    ------
    OptionError
        If the row has not been scored.
    SchemaError
        If the value is not a number.
    """
    return _number(row, "branch_count")


def group_of(row: Row, by: GroupOf) -> Hashable:
    """Return the row's group: the value of a column, or what a function says.

    Raises
    ------
    OptionError
        If the row has no such column, or its value cannot name a group.
    """
    group: Hashable = by(row) if callable(by) else _column(row, by)
    if not isinstance(group, Hashable):
        raise OptionError(
            f"column {by!r} holds {type(group).__name__}s; group by a column of texts or numbers"
        )
    return None if isinstance(group, float) and isnan(group) else group  # NaN: numpy's reading of a null


def length_of(row: Row, length: LengthOf) -> float:
    """Return the row's length: a column's number, the characters of its text, or what a function says.

    Raises
    ------
    OptionError
        If the row has no such column, or it holds neither numbers nor texts. A null counts as 0.
    """
    value = length(row) if callable(length) else _column(row, length)
    if value is None:
        return 0.0
    if isinstance(value, str):
        return float(len(value))
    number = number_or_none(value)
    if number is not None:
        return float(number)
    raise OptionError(
        f"column {length!r} holds {type(value).__name__}s; lengths are numbers, or texts to measure"
    )


@dataclass(frozen=True, slots=True)
class LengthBand:
    """Group rows by length: give it as `by` to keep a fraction within each band.

    Parameters
    ----------
    length
        A column whose numbers, or whose texts' characters, are the rows' lengths; or a function of a row.
    edges
        Where one band ends and the next begins, ascending; a row as long as an edge is in the longer band.

    Raises
    ------
    OptionError
        If there is no edge or they do not ascend.
    """

    length: LengthOf
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        ascending = all(left < right for left, right in zip(self.edges, self.edges[1:], strict=False))
        if not self.edges or not ascending:
            raise OptionError(
                f"edges is {self.edges!r}; give one or more ascending lengths, such as (2000, 8000)"
            )

    def __call__(self, row: Row) -> str:
        """Return the name of the row's band, such as "2000 to 8000"."""
        band = bisect_right(self.edges, length_of(row, self.length))
        if band == 0:
            return f"below {self.edges[0]:g}"
        if band == len(self.edges):
            return f"from {self.edges[-1]:g}"
        return f"{self.edges[band - 1]:g} to {self.edges[band]:g}"


def number_or_none(value: object) -> float | None:
    """Return a number, also out of a numpy or torch scalar; None if the value is something else."""
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def only_columns(rows: Iterable[Row], columns: Iterable[GroupOf | None]) -> Iterable[Row]:
    """Return the rows with only the named columns, where a data set can save reading the others.

    A data set that formats its rows for numpy or torch is read unformatted, since formatting rounds rates to
    single precision.
    """
    wanted = [column for column in columns if column is not None]
    there = getattr(rows, "column_names", None)
    names = [column for column in wanted if isinstance(column, str)]
    if not hasattr(rows, "select_columns") or len(names) < len(wanted) or not set(names) <= set(there or ()):
        return rows
    selected: Iterable[Row] = rows.select_columns(names).with_format(None)
    return selected


def _number(row: Row, column: str) -> float | None:
    """Return a number that scoring added; None for null, which numpy formatting turns into NaN."""
    value = _column(row, column, "; score the rows first (`branching score`, or `scorer.columns`)")
    if value is None:
        return None
    number = number_or_none(value)
    if number is None:
        raise SchemaError(
            f"`{column}` is {value!r:.60}; expected a number or null (a batch goes to keep_batch)"
        )
    return None if isnan(number) else number


def _column(row: Row, column: str, advice: str = "") -> Any:
    if not isinstance(row, Mapping):
        raise OptionError(
            f"expected rows as mappings of column to value, but got {type(row).__name__} {row!r:.60}"
        )
    try:
        return row[column]
    except KeyError:
        columns = ", ".join(map(str, row)) or "none"
        raise OptionError(f"there is no column `{column}` (columns: {columns}){advice}") from None
