"""Two scored files on the same problems: how the rates of each problem compare."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from classifier.errors import OptionError
from classifier.report.aggregate import NO_LABEL
from classifier.report.figures import rank_correlation, rate_histogram
from classifier.report.scored_files import FloatArray, IntArray

if TYPE_CHECKING:
    from classifier.report.aggregate import Aggregate

_CELLS: Final = 20
_CONFIDENCE: Final = 0.95
_FEWEST_FOR_INTERVAL: Final = 2


@dataclass(frozen=True, slots=True)
class Pairs:
    """The problems that two files share.

    Parameters
    ----------
    keys
        The problems.
    left, right
        Mean rate of the rows of each problem in either file, float64 [problems].
    left_rows, right_rows
        The number of a scored row of each problem in either file, int64 [problems].
    only_left, only_right
        How many problems only one of the files has.
    """

    keys: list[str]
    left: FloatArray
    right: FloatArray
    left_rows: IntArray
    right_rows: IntArray
    only_left: int
    only_right: int

    @property
    def differences(self) -> FloatArray:
        """Return by how much the second file's rate exceeds the first's, for each problem."""
        return self.right - self.left

    @property
    def correlation(self) -> float | None:
        """Return the rank correlation of the two rates."""
        return rank_correlation(self.left, self.right)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95% interval of the mean difference by the normal approximation; None for one pair."""
        count = len(self.keys)
        if count < _FEWEST_FOR_INTERVAL:
            return None
        mean, deviation = float(self.differences.mean()), float(self.differences.std(ddof=1))
        half = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2) * deviation / count**0.5
        return mean - half, mean + half

    def cells(self) -> tuple[FloatArray, IntArray]:
        """Count the problems in cells of either rate; return the edges and the counts, left by right."""
        top = float(max(self.left.max(initial=0.0), self.right.max(initial=0.0)))
        edges = rate_histogram(self.left, bins=_CELLS, highest=top).edges
        counts = np.histogram2d(self.left, self.right, bins=(edges, edges))[0]
        return edges, counts.astype(np.int64)


def pair_rows(left: Aggregate, right: Aggregate) -> Pairs:
    """Pair the scored rows of two files by the problem that both name.

    Parameters
    ----------
    left, right
        The files, both read with the column to pair by.

    Raises
    ------
    OptionError
        If no problem has a scored row in both.
    """
    first, second = _rates_by_key(left), _rates_by_key(right)
    keys = [key for key in first if key in second]
    if not keys:
        column = left.pairs.column if left.pairs else ""
        raise OptionError(
            f"No value of {column!r} has a scored row in both {', '.join(left.names)} (such as "
            f"{_example(first)}) and {', '.join(right.names)} (such as {_example(second)}): name the column "
            "that says which rows belong together with --pair-by"
        )
    return Pairs(
        keys=keys,
        left=np.array([first[key][0] for key in keys]),
        right=np.array([second[key][0] for key in keys]),
        left_rows=np.array([first[key][1] for key in keys], dtype=np.int64),
        right_rows=np.array([second[key][1] for key in keys], dtype=np.int64),
        only_left=len(first) - len(keys),
        only_right=len(second) - len(keys),
    )


def _rates_by_key(aggregate: Aggregate) -> dict[str, tuple[float, int]]:
    """Return the mean rate and the first scored row of each value of the column that pairs rows."""
    labels = aggregate.pairs
    assert labels is not None  # noqa: S101 - files are only compared when they were read with such a column
    scored = np.flatnonzero(~np.isnan(aggregate.rates))
    codes = labels.codes[scored]
    there, first = np.unique(codes, return_index=True)
    counts = np.bincount(codes, minlength=len(labels.names))
    sums = np.bincount(codes, weights=aggregate.rates[scored], minlength=len(labels.names))
    return {
        labels.names[code]: (float(sums[code] / counts[code]), int(scored[at]))
        for code, at in zip(there, first, strict=True)
        if labels.names[code] != NO_LABEL
    }


def _example(keys: dict[str, tuple[float, int]]) -> str:
    return next((repr(key[:40]) for key in keys), "none")
