"""The figures of a report, worked out from the numbers of all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from classifier.kinds import KINDS
from classifier.report.scored_files import FloatArray, IntArray
from classifier.selection_report import KeepPlan, plan_keep_fractions

if TYPE_CHECKING:
    from classifier.report.aggregate import Aggregate, Labels

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles that stand for a distribution."""

KEEP_FRACTIONS: Final = tuple(round(1 - step / 100, 2) for step in range(51))
"""The fractions to keep that the report can show, from all to half of the rows."""

SHOWN_GROUPS: Final = 20
"""How many values of a column are shown for themselves; the others are shown as one."""

_BINS: Final = 40
_BAND_EDGE: Final = 0.05
_LENGTH_CELLS: Final = 24
_RATE_CELLS: Final = 20
_FEW_FOR_RANKS: Final = 3


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie between each two edges, float64 [bins + 1] and int64 [bins]."""

    edges: FloatArray
    counts: IntArray


@dataclass(frozen=True, slots=True)
class LengthFigures:
    """Branch rate against length.

    Parameters
    ----------
    correlation
        Spearman's rank correlation; None where it is not defined.
    length_edges, rate_edges
        The edges of the cells, lengths in characters and spaced evenly in their logarithm.
    cells
        Rows in each, int64 [lengths, rates].
    medians
        Median rate of the rows in each column of cells, NaN where there are none.
    """

    correlation: float | None
    length_edges: FloatArray
    rate_edges: FloatArray
    cells: IntArray
    medians: FloatArray


@dataclass(frozen=True, slots=True)
class Group:
    """The rows that have one value in a column.

    Parameters
    ----------
    name
        The value; for the rest of the values, how many they are.
    rows, scored
        Its rows, and how many of them have a rate.
    mean
        Mean rate; NaN where no row has one.
    quantiles
        The quantiles `QUANTILES` of the rates; NaN where no row has one.
    kinds
        Its steps of each kind; None where no row has its steps.
    dropped
        Its rows that each of the plans drops.
    """

    name: str
    rows: int
    scored: int
    mean: float
    quantiles: FloatArray
    kinds: IntArray | None
    dropped: list[int]


def rate_histogram(rates: FloatArray, *, bins: int = _BINS, highest: float | None = None) -> Histogram:
    """Count rates in bins of equal width from 0 to a round number at or above the highest.

    Parameters
    ----------
    rates
        Branch rates, without NaN.
    bins
        How many bins.
    highest
        The rate to end at or above, if not the highest of these.
    """
    top = float(rates.max(initial=0.0)) if highest is None else highest
    end = min(1.0, _BAND_EDGE * max(1.0, np.ceil(round(top / _BAND_EDGE, 6))))
    counts, edges = np.histogram(rates, bins=bins, range=(0.0, end))
    return Histogram(edges, counts)


def rank_correlation(left: FloatArray, right: FloatArray) -> float | None:
    """Return Spearman's rank correlation; equal values share the mean of their ranks.

    Parameters
    ----------
    left, right
        Values in pairs, without NaN.

    Returns
    -------
    float or None
        None for fewer than three pairs, or where all values of a side are equal.
    """
    if len(left) < _FEW_FOR_RANKS:
        return None
    ranks = [_mean_ranks(values) for values in (left, right)]
    if any(np.ptp(one) == 0 for one in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def length_figures(rates: FloatArray, lengths: FloatArray) -> LengthFigures:
    """Work out how branch rates go with lengths.

    Parameters
    ----------
    rates, lengths
        Rates and characters of the scored rows, without NaN.
    """
    correlation = rank_correlation(rates, lengths)
    measured = lengths > 0
    rates, lengths = rates[measured], lengths[measured]
    low, high = (float(lengths.min()), float(lengths.max())) if len(lengths) else (1.0, 10.0)
    length_edges = np.geomspace(low, max(high, low * 1.1), _LENGTH_CELLS + 1)
    rate_edges = rate_histogram(rates, bins=_RATE_CELLS).edges
    column = np.clip(np.searchsorted(length_edges, lengths, side="right") - 1, 0, _LENGTH_CELLS - 1)
    row = np.clip(np.searchsorted(rate_edges, rates, side="right") - 1, 0, _RATE_CELLS - 1)
    cells = np.bincount(column * _RATE_CELLS + row, minlength=_LENGTH_CELLS * _RATE_CELLS)
    medians = np.array(
        [np.median(rates[column == at]) if np.any(column == at) else np.nan for at in range(_LENGTH_CELLS)]
    )
    return LengthFigures(
        correlation, length_edges, rate_edges, cells.reshape(_LENGTH_CELLS, _RATE_CELLS), medians
    )


def keep_plans(aggregate: Aggregate) -> list[KeepPlan]:
    """Work out what keeping each of `KEEP_FRACTIONS` would do; none if no row has a rate."""
    if not len(aggregate.scored):
        return []
    return plan_keep_fractions(aggregate.rates, aggregate.lengths, KEEP_FRACTIONS)


def group_figures(aggregate: Aggregate, labels: Labels, plans: list[KeepPlan]) -> list[Group]:
    """Work out the figures of each value of a column, the most frequent first.

    Parameters
    ----------
    aggregate
        All rows.
    labels
        The values of the column.
    plans
        What keeping different fractions would do.

    Returns
    -------
    list of Group
        At most `SHOWN_GROUPS`, and one more for the rest of the values.
    """
    rows = np.bincount(labels.codes, minlength=len(labels.names))
    order = np.argsort(-rows, kind="stable")
    shown = order if len(order) <= SHOWN_GROUPS + 1 else order[:SHOWN_GROUPS]
    place = np.full(len(order), len(shown))
    place[shown] = np.arange(len(shown))
    names = [labels.names[code] for code in shown]
    if len(shown) < len(order):
        names.append(f"{len(order) - len(shown):,} other values")
    of_rows = place[labels.codes]
    # Once sorted by group and rate, a group's rates, and those above a cut among them, lie side by side.
    sort = np.lexsort((aggregate.rates, of_rows))
    ends = np.cumsum(np.bincount(of_rows, minlength=len(names)))
    return [
        _group(name, aggregate, sort[start:end], plans)
        for name, start, end in zip(names, [0, *ends[:-1]], ends, strict=True)
    ]


def _group(name: str, aggregate: Aggregate, rows: IntArray, plans: list[KeepPlan]) -> Group:
    rates = aggregate.rates[rows]
    rates = rates[~np.isnan(rates)]
    return Group(
        name=name,
        rows=len(rows),
        scored=len(rates),
        mean=float(rates.mean()) if len(rates) else float("nan"),
        quantiles=rate_quantiles(rates),
        kinds=None if aggregate.kinds is None else aggregate.kinds[rows].sum(axis=0),
        dropped=[len(rates) - int(np.searchsorted(rates, plan.max_rate, side="right")) for plan in plans],
    )


def rate_quantiles(rates: FloatArray) -> FloatArray:
    """Return the quantiles `QUANTILES` of some rates; NaN where there are none."""
    return np.quantile(rates, QUANTILES) if len(rates) else np.full(len(QUANTILES), np.nan)


def branch_shares(kinds: IntArray) -> FloatArray:
    """Return the share of steps that are of each kind, float64 [..., kinds]; 0 where there are no steps."""
    totals = kinds.sum(axis=-1, keepdims=True)
    shares: FloatArray = np.divide(kinds, totals, out=np.zeros(kinds.shape), where=totals > 0)
    assert shares.shape[-1] == len(KINDS)  # noqa: S101 - one column a kind
    return shares


def _mean_ranks(values: FloatArray) -> FloatArray:
    array = pa.array(values)
    ranks = [pc.rank(array, tiebreaker=tie).to_numpy().astype(np.float64) for tie in ("min", "max")]
    mean: FloatArray = (ranks[0] + ranks[1]) / 2
    return mean
