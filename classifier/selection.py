"""Which scored rows to keep: by rate, by count, the best of each problem; their order and their weights.

Filters decide row by row from the columns that scoring added, so they run wherever rows are read: in
`datasets.Dataset.filter`, in Ray, over lines of JSON. `classifier.selection_report` says what a filter did.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from classifier.errors import OptionError, RowError
from classifier.ranking import best_of, branch_rate_weights, order_by_branch_rate
from classifier.scored_rows import (
    GroupOf,
    LengthBand,
    LengthOf,
    Row,
    branch_count,
    branch_rate,
    group_of,
    length_of,
    number_or_none,
    only_columns,
)
from classifier.selection_report import (
    KeepPlan,
    SelectionReport,
    SelectionTally,
    plan_keep_fractions,
    rate_at_fraction,
)

__all__ = [
    "AllOf",
    "AnyOf",
    "BranchFilter",
    "CountFilter",
    "KeepPlan",
    "LengthBand",
    "RowFilter",
    "SelectionReport",
    "SelectionTally",
    "best_of",
    "branch_rate_weights",
    "order_by_branch_rate",
    "plan_keep_fractions",
    "report_selection",
]

ON_ERROR: Final = ("keep", "drop", "fail")
"""What a filter can do with a row that has no score."""


class RowFilter(ABC):
    """Base of the filters: called on a row, says whether to keep it."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, row: Row) -> bool:
        """Return whether to keep a scored row."""

    def cut_of(self, row: Row) -> float | None:
        """Return the highest branch rate that a row like this may have, if the filter goes by the rate."""
        return None

    def keep_batch(self, batch: Mapping[str, Sequence[Any]]) -> list[bool]:
        """Return whether to keep each row of a batch of columns: for `Dataset.filter(batched=True)`."""
        names = list(batch)
        return [self(dict(zip(names, values, strict=True))) for values in zip(*batch.values(), strict=True)]

    def select(
        self,
        rows: Iterable[Row],
        *,
        length: LengthOf | None = None,
        by: GroupOf | None = None,
        borderline: int = 10,
        order_by: Literal["branch_rate"] | None = None,
    ) -> tuple[list[int], SelectionReport]:
        """Filter rows and report what was dropped.

        Parameters
        ----------
        rows
            Scored rows, or a data set that yields them.
        length
            A column whose numbers, or whose texts' characters, are the rows' lengths; or a function of a row.
        by
            A column, or a function of a row, whose values are counted apart in the report.
        borderline
            How many of the rows closest to the cut the report lists.
        order_by
            "branch_rate" gives the kept rows as a curriculum, those that branch least first, equal rates in
            their order and rows without a rate last; None in the order of the rows.

        Returns
        -------
        list of int
            The numbers, from 0, of the rows to keep; `Dataset.select` takes them.
        SelectionReport
            What was kept and dropped.

        Raises
        ------
        OptionError
            If `order_by` is unknown, or a column is missing.
        """
        if order_by not in (None, "branch_rate"):
            raise OptionError(f"order_by is {order_by!r}; expected 'branch_rate' or None")
        tally = SelectionTally(borderline=borderline, grouped=by is not None)
        kept: list[int] = []
        rates: list[float | None] = []
        for number, row in enumerate(rows):
            keeps = self(row)
            if keeps:
                kept.append(number)
                rates.append(branch_rate(row))
            tally.add(
                branch_rate(row),
                keeps,
                group=None if by is None else group_of(row, by),
                length=None if length is None else length_of(row, length),
                max_rate=self.cut_of(row),
            )
        if order_by is not None:
            kept = [kept[place] for place in order_by_branch_rate(rates)]
        return kept, tally.report()

    def __and__(self, other: "RowFilter") -> "AllOf":
        return AllOf((self, other))

    def __or__(self, other: "RowFilter") -> "AnyOf":
        return AnyOf((self, other))


@dataclass(frozen=True, slots=True)
class AllOf(RowFilter):
    """Keep a row that every one of the filters keeps."""

    filters: tuple[RowFilter, ...]

    def __call__(self, row: Row) -> bool:
        """Return whether every filter keeps the row."""
        return all(row_filter(row) for row_filter in self.filters)


@dataclass(frozen=True, slots=True)
class AnyOf(RowFilter):
    """Keep a row that at least one of the filters keeps."""

    filters: tuple[RowFilter, ...]

    def __call__(self, row: Row) -> bool:
        """Return whether at least one filter keeps the row."""
        return any(row_filter(row) for row_filter in self.filters)


@dataclass(frozen=True, slots=True)
class BranchFilter(RowFilter):
    """Keep rows whose `branch_rate` is at most `max_rate`.

    Parameters
    ----------
    max_rate
        The highest rate to keep, between 0 and 1.
    by
        A column, or a function of a row, with the group of the row; then `max_rates` counts.
    max_rates
        The highest rate to keep of each group; a group that is not in it is held against `max_rate`.
    on_error
        What to do with a row that has no rate: "keep" it (the default: what could not be judged is not
        thrown away), "drop" it, or "fail".

    Raises
    ------
    OptionError
        If a rate is not between 0 and 1, or another argument has an unknown value.
    """

    max_rate: float
    by: GroupOf | None = None
    max_rates: Mapping[Hashable, float] = field(default_factory=dict)
    on_error: str = "keep"

    def __post_init__(self) -> None:
        for rate in (self.max_rate, *self.max_rates.values()):
            number = number_or_none(rate)
            if number is None or not 0 <= number <= 1:
                raise OptionError(f"max_rate is {rate!r}; give a number between 0 and 1, such as 0.12")
        if self.max_rates and self.by is None:
            raise OptionError("max_rates is given without by; say by which column the rows are grouped")
        _check_on_error(self.on_error)

    @classmethod
    def fit(
        cls,
        rows: Iterable[Row],
        keep: float = 0.9,
        *,
        by: GroupOf | None = None,
        on_error: str = "keep",
    ) -> "BranchFilter":
        """Find the rate up to which the least-branching rows are the wanted fraction of the scored rows.

        Never fewer rows are kept than asked for: the cut is the rate of the row at which the fraction is
        reached, and every row with exactly that rate is kept. Where many rows have the same rate, the kept
        share can therefore be larger than `keep`; the report says by how much. With `by` this holds in each
        group, so that of nine rows `keep=0.9` keeps all nine.

        Parameters
        ----------
        rows
            Scored rows, or a data set that yields them; those without a rate do not count.
        keep
            The fraction to keep, above 0 and at most 1.
        by
            A column, or a function of a row: the fraction is kept within each of its values.
        on_error
            What the filter then does with rows that have no rate: "keep", "drop" or "fail".

        Returns
        -------
        BranchFilter
            With `max_rate` over all rows, and with `by` also `max_rates`, one a group.

        Raises
        ------
        OptionError
            If `keep` is out of range, a column is missing, or no row has a rate.
        """
        rates: dict[Hashable, array[float]] = {}
        for row in only_columns(rows, ("branch_rate", by)):
            rate = branch_rate(row)
            if rate is not None:
                rates.setdefault(None if by is None else group_of(row, by), array("d")).append(rate)
        arrays = {group: np.frombuffer(values, np.float64) for group, values in rates.items()}
        overall = rate_at_fraction(np.concatenate([*arrays.values(), np.empty(0)]), keep)
        if by is None:
            return cls(overall, on_error=on_error)
        ordered = sorted(arrays, key=lambda group: (str(type(group)), str(group)))
        max_rates = {group: rate_at_fraction(arrays[group], keep) for group in ordered}
        return cls(overall, by, max_rates, on_error)

    def __call__(self, row: Row) -> bool:
        """Return whether the row's branch rate is at most the highest to keep.

        Raises
        ------
        OptionError
            If the row has no `branch_rate` or lacks the column to group by.
        RowError
            If the rate is not a rate, or is null and `on_error` is "fail".
        """
        rate = branch_rate(row)
        if rate is None:
            return _keep_unscored(row, self.on_error)
        cut = self.cut_of(row)
        if "float32" in str(getattr(row["branch_rate"], "dtype", "")):  # numpy or torch formatting rounded it
            cut = float(np.float32(cut))
        return rate <= cut

    def cut_of(self, row: Row) -> float:
        """Return the highest branch rate that the row may have."""
        if self.by is None:
            return self.max_rate
        return self.max_rates.get(group_of(row, self.by), self.max_rate)

    def describe(self) -> dict[str, object]:
        """Return the options, for summaries in JSON."""
        by = (
            self.by
            if self.by is None or isinstance(self.by, str)
            else getattr(self.by, "__name__", repr(self.by))
        )
        rates = {"null" if group is None else str(group): rate for group, rate in self.max_rates.items()}
        return {"max_rate": self.max_rate, "by": by, "max_rates": rates, "on_error": self.on_error}


@dataclass(frozen=True, slots=True)
class CountFilter(RowFilter):
    """Keep rows with at most `max_count` branching steps.

    Parameters
    ----------
    max_count
        The highest `branch_count` to keep, 0 or more.
    on_error
        What to do with a row that has no score: "keep", "drop" or "fail".

    Raises
    ------
    OptionError
        If an argument has an unknown value.
    """

    max_count: int
    on_error: str = "keep"

    def __post_init__(self) -> None:
        number = number_or_none(self.max_count)
        if number is None or number < 0 or number != int(number):
            raise OptionError(f"max_count is {self.max_count!r}; give a whole number of steps, 0 or more")
        _check_on_error(self.on_error)

    def __call__(self, row: Row) -> bool:
        """Return whether at most `max_count` of the row's steps branch.

        Raises
        ------
        OptionError
            If the row has no `branch_count`.
        RowError
            If the count is not a number, or is null and `on_error` is "fail".
        """
        count = branch_count(row)
        return _keep_unscored(row, self.on_error) if count is None else count <= self.max_count


def report_selection(
    rows: Iterable[Row],
    kept: Iterable[int],
    *,
    length: LengthOf | None = None,
    by: GroupOf | None = None,
) -> SelectionReport:
    """Report on rows that were chosen by number, as `best_of` chooses them.

    Parameters
    ----------
    rows
        Scored rows, or a data set that yields them.
    kept
        The numbers, from 0, of the rows that are kept.
    length, by
        As for `RowFilter.select`.

    Returns
    -------
    SelectionReport
        What was kept and dropped; no rate decided alone, so there are no borderline rows.
    """
    tally = SelectionTally(grouped=by is not None)
    chosen = set(kept)
    for number, row in enumerate(rows):
        tally.add(
            branch_rate(row),
            number in chosen,
            group=None if by is None else group_of(row, by),
            length=None if length is None else length_of(row, length),
        )
    return tally.report()


def _keep_unscored(row: Row, on_error: str) -> bool:
    if on_error == "fail":
        raise RowError(f"the row has no score ({row.get('branch_error') or 'no branch_error says why'})")
    return on_error == "keep"


def _check_on_error(on_error: str) -> None:
    if on_error not in ON_ERROR:
        raise OptionError(f"on_error is {on_error!r}; expected one of {', '.join(ON_ERROR)}")
