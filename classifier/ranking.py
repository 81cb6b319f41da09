"""Choosing and ordering rows by their branch rates: the best of each problem, a curriculum, weights."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from classifier.errors import OptionError
from classifier.scored_rows import GroupOf, Row, branch_rate, group_of, only_columns
from classifier.selection_report import rates_array


def best_of(
    rows: Iterable[Row],
    *,
    problem: GroupOf = "problem",
    correct: GroupOf | None = "correct",
    count: int = 1,
    keeps: Callable[[Row], bool] | None = None,
) -> list[int]:
    """Choose the least-branching correct traces of each problem.

    Of equal rates the earlier row is chosen. Rows without a rate are never chosen, so a problem none of
    whose traces is correct and scored is left out.

    Parameters
    ----------
    rows
        Scored rows, or a data set that yields them.
    problem
        A column, or a function of a row, that is equal for the traces of one problem.
    correct
        A column, or a function of a row, that is true where the trace is correct; None if all may be chosen.
    count
        How many traces of a problem to choose, at most.
    keeps
        A filter, such as `BranchFilter(max_rate=0.12)`: only rows that it keeps may be chosen.

    Returns
    -------
    list of int
        The numbers, from 0, of the rows to keep, ascending; `Dataset.select` takes them.

    Raises
    ------
    OptionError
        If a column is missing or `count` is below 1.
    """
    if count < 1:
        raise OptionError(f"count is {count!r}; give how many traces of a problem to keep, 1 or more")
    candidates: dict[Hashable, list[tuple[float, int]]] = {}
    # What a filter looks at is not known, so it is given whole rows.
    read = rows if keeps is not None else only_columns(rows, ("branch_rate", problem, correct))
    for number, row in enumerate(read):
        rate = branch_rate(row)
        if rate is None or (keeps is not None and not keeps(row)):
            continue
        if correct is None or group_of(row, correct):
            candidates.setdefault(group_of(row, problem), []).append((rate, number))
    return sorted(number for group in candidates.values() for _, number in sorted(group)[:count])


def order_by_branch_rate(
    rates: Sequence[float | None] | npt.NDArray[np.float64], *, descending: bool = False
) -> npt.NDArray[np.int64]:
    """Order rows by branch rate, as a curriculum.

    Parameters
    ----------
    rates
        The rows' branch rates; None or NaN for a row without one.
    descending
        Whether the most-branching come first.

    Returns
    -------
    numpy.ndarray of int64
        The numbers of the rows in the new order; `Dataset.select` takes them. Equal rates stay in their
        order, and rows without a rate come last.
    """
    values = rates_array(rates)
    return np.argsort(-values if descending else values, kind="stable").astype(np.int64)


def branch_rate_weights(
    rates: Sequence[float | None] | npt.NDArray[np.float64], *, strength: float = 1.0
) -> npt.NDArray[np.float64]:
    """Weigh rows by branch rate, to sample or train less on those that branch instead of dropping them.

    A row's weight is `exp(-strength * z)`, where z is how many standard deviations its rate lies above the
    mean; the weights of the scored rows are scaled to a mean of 1, and rows without a rate weigh 1.

    Parameters
    ----------
    rates
        The rows' branch rates; None or NaN for a row without one.
    strength
        0 weighs all rows alike; the larger, the less weight on rows that branch.

    Returns
    -------
    numpy.ndarray of float64
        One weight a row.

    Raises
    ------
    OptionError
        If `strength` is negative or not finite.
    """
    if not 0 <= strength < inf:
        raise OptionError(f"strength is {strength!r}; give a number of 0 or more")
    values = rates_array(rates)
    weights = np.ones(len(values))
    scored = ~np.isnan(values)
    if scored.any():
        known = values[scored]
        spread = float(known.std())
        # Counted from the lowest rate, which the scaling takes out again, so that no exponent overflows.
        raw = np.exp(-strength * (known - known.min()) / spread) if spread else np.ones(len(known))
        weights[scored] = raw / raw.mean()
    return weights
