"""Figures of merit under document weights, all resamples at once.

Every function takes `weights` [resamples, documents] (how often a document counts) and returns one number
a resample, NaN where the figure is undefined. With weights of one they equal scikit-learn's and SciPy's
functions of the same names (tested); those take one set of weights a call, too slow for a thousand.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import FloatArray

BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]

CALIBRATION_BINS: Final = 15
"""Equal-width bins of the expected calibration error."""

TOP_SHARE: Final = 0.1
"""Share of the traces that the top-tenth overlap looks at."""

_BLOCK_NUMBERS: Final = 4_000_000
_LEAST_UNEXPLAINED: Final = 1e-6


def average_precision(
    scores: FloatArray, branches: BoolArray, documents: IndexArray, weights: FloatArray
) -> FloatArray:
    """Compute the average precision of step scores.

    Parameters
    ----------
    scores
        One score a step; higher means more likely to branch.
    branches
        Whether the step branches.
    documents
        The step's row of documents in `weights`.
    weights
        Document weights [resamples, documents].

    Returns
    -------
    array [resamples]
        NaN where no step of positive weight branches.
    """
    if scores.size == 0:
        return np.full(len(weights), np.nan)
    order = np.argsort(-scores, kind="stable")
    # Steps of equal score are told apart by nothing: precision is read only after the last of them.
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    branches, documents = branches[order], documents[order]
    block = max(1, _BLOCK_NUMBERS // scores.size)
    results = []
    for first in range(0, len(weights), block):
        step_weights = np.ascontiguousarray(weights[first : first + block].T)[documents]
        found = np.cumsum(step_weights, axis=0)[ends]
        hits = np.cumsum(step_weights * branches[:, None], axis=0)[ends]
        gains = np.diff(hits, axis=0, prepend=0)
        precisions = _ratio(hits, found)
        # Where nothing was found yet there is no gain either, so any number will do for the precision.
        results.append(_ratio((gains * np.nan_to_num(precisions)).sum(axis=0), hits[-1]))
    return np.concatenate(results)


def document_sums(values: FloatArray, documents: IndexArray, count: int) -> FloatArray:
    """Sum step values [steps] or [steps, …] within each document.

    Parameters
    ----------
    values
        One value, or one array of values, a step.
    documents
        The step's document.
    count
        Number of documents.

    Returns
    -------
    array [count] or [count, …]
        The sums.
    """
    sums = np.zeros((count, *values.shape[1:]))
    np.add.at(sums, documents, values)
    return sums


def decision_figures(
    decided: BoolArray, branches: BoolArray, documents: IndexArray, weights: FloatArray
) -> dict[str, FloatArray]:
    """Compute precision, recall, F1 and Cohen's kappa of yes/no decisions.

    Parameters
    ----------
    decided
        Whether the step was said to branch.
    branches
        Whether it branches.
    documents
        The step's row of documents in `weights`.
    weights
        Document weights [resamples, documents].

    Returns
    -------
    dict
        `precision`, `recall`, `f1`, `kappa`, each [resamples]. Precision is 0 where nothing was said to
        branch; recall and F1 are 0 where nothing was found; kappa is NaN where both sides say the same of
        every step.
    """
    cells = np.stack([decided & branches, decided & ~branches, ~decided & branches, ~decided & ~branches], 1)
    counts = weights @ document_sums(cells.astype(np.float64), documents, weights.shape[1])
    hits, alarms, misses, rejections = counts.T
    total = counts.sum(axis=1)
    observed = _ratio(hits + rejections, total)
    expected = _ratio(
        (hits + alarms) * (hits + misses) + (misses + rejections) * (alarms + rejections), total**2
    )
    return {
        "precision": np.nan_to_num(_ratio(hits, hits + alarms)),
        "recall": np.nan_to_num(_ratio(hits, hits + misses)),
        "f1": np.nan_to_num(_ratio(2 * hits, 2 * hits + alarms + misses)),
        "kappa": _ratio(observed - expected, 1 - expected),
    }


def macro_f1(
    decided: IndexArray, kinds: IndexArray, documents: IndexArray, weights: FloatArray, classes: int
) -> FloatArray:
    """Compute the mean F1 over the kinds that occur in the labels or the decisions.

    Parameters
    ----------
    decided
        The kind that was decided for the step, 0 … classes − 1.
    kinds
        Its labelled kind.
    documents
        The step's row of documents in `weights`.
    weights
        Document weights [resamples, documents].
    classes
        Number of kinds.

    Returns
    -------
    array [resamples]
        NaN where there is no step.
    """
    cells = np.zeros((weights.shape[1], classes, classes))
    np.add.at(cells, (documents, kinds, decided), 1)
    confusion = np.tensordot(weights, cells, axes=1)
    occurrences = confusion.sum(axis=1) + confusion.sum(axis=2)
    scores = _ratio(2 * np.diagonal(confusion, axis1=1, axis2=2), occurrences)
    return _ratio(np.nan_to_num(scores).sum(axis=1), (occurrences > 0).sum(axis=1).astype(np.float64))


def calibration_figures(
    probabilities: FloatArray, branches: BoolArray, documents: IndexArray, weights: FloatArray
) -> dict[str, FloatArray]:
    """Compute the Brier score and the expected calibration error over equal-width bins.

    Parameters
    ----------
    probabilities
        P(branch) of each step.
    branches
        Whether it branches.
    documents
        The step's row of documents in `weights`.
    weights
        Document weights [resamples, documents].

    Returns
    -------
    dict
        `brier` and `expected_calibration_error`, each [resamples].
    """
    count = weights.shape[1]
    errors = document_sums((probabilities - branches) ** 2, documents, count)
    total = weights @ np.bincount(documents, minlength=count).astype(np.float64)
    gaps = np.zeros((count, CALIBRATION_BINS))
    np.add.at(gaps, (documents, width_bins(probabilities, CALIBRATION_BINS)), probabilities - branches)
    return {
        "brier": _ratio(weights @ errors, total),
        "expected_calibration_error": _ratio(np.abs(weights @ gaps).sum(axis=1), total),
    }


def width_bins(probabilities: FloatArray, bins: int) -> IndexArray:
    """Say in which of `bins` equal-width bins of [0, 1] each probability lies.

    Parameters
    ----------
    probabilities
        Numbers from 0 to 1.
    bins
        Number of bins; each holds its lower end, the last also 1.

    Returns
    -------
    array of int
        Bin numbers from 0.
    """
    return np.clip(np.floor(probabilities * bins), 0, bins - 1).astype(np.intp)


def rank_correlation(left: FloatArray, right: FloatArray, weights: FloatArray) -> FloatArray:
    """Compute Spearman's rank correlation of two numbers a document; ties share their mean rank.

    Parameters
    ----------
    left, right
        One number a document.
    weights
        Document weights [resamples, documents].

    Returns
    -------
    array [resamples]
        NaN where one side is constant.
    """
    middle = (weights.sum(axis=1, keepdims=True) + 1) / 2
    left_ranks = _mean_ranks(left, weights) - middle
    right_ranks = _mean_ranks(right, weights) - middle
    spread = (weights * left_ranks**2).sum(axis=1) * (weights * right_ranks**2).sum(axis=1)
    return _ratio((weights * left_ranks * right_ranks).sum(axis=1), np.sqrt(spread))


def partial_rank_correlation(
    left: FloatArray, right: FloatArray, given: FloatArray, weights: FloatArray
) -> FloatArray:
    """Compute the rank correlation that is left once a third number's ranks are accounted for.

    Parameters
    ----------
    left, right
        One number a document.
    given
        The number to hold fixed, such as the trace's length.
    weights
        Document weights [resamples, documents].

    Returns
    -------
    array [resamples]
        NaN where one of the three pairs is constant or wholly tied to `given`.
    """
    both = rank_correlation(left, right, weights)
    of_left = rank_correlation(left, given, weights)
    of_right = rank_correlation(right, given, weights)
    unexplained = np.sqrt(np.clip(1 - of_left**2, 0, None) * np.clip(1 - of_right**2, 0, None))
    # Below this nothing but rounding is left to correlate.
    unexplained[unexplained < _LEAST_UNEXPLAINED] = 0
    return _ratio(both - of_left * of_right, unexplained)


def top_tenth_overlap(gold: FloatArray, predicted: FloatArray, weights: FloatArray) -> FloatArray:
    """Compute the share of the traces of highest gold rate that are among those of highest predicted rate.

    Both sides take the same number of traces: a tenth, rounded down, but at least one. Traces tied at the
    border of the prediction share the remaining places equally (the expected overlap when they are drawn
    at random: a scorer gains nothing by giving many traces the same rate). Traces tied at the border of
    the gold rates are equally right: the prediction may hold any of them, up to the number of places.

    Parameters
    ----------
    gold, predicted
        One rate a document.
    weights
        Document weights [resamples, documents].

    Returns
    -------
    array [resamples]
        From 0 to 1.
    """
    # 1e-9: a tenth of 30 must be 3, whatever the product's last bit.
    places = np.maximum(1, np.floor(weights.sum(axis=1, keepdims=True) * TOP_SHARE + 1e-9))
    gold_above = _weight_above(gold, weights)
    predicted_above = _weight_above(predicted, weights)
    tied = _weight_of_equals(predicted, weights)
    chosen = weights * np.nan_to_num(_ratio(np.clip(places - predicted_above, 0, tied), tied))
    gold_end = gold_above + _weight_of_equals(gold, weights)
    surely_top = gold_end <= places
    border = (gold_above < places) & ~surely_top
    sure_places = (weights * surely_top).sum(axis=1)
    sure_hits = (chosen * surely_top).sum(axis=1)
    border_hits = np.minimum(places[:, 0] - sure_places, (chosen * border).sum(axis=1))
    overlap: FloatArray = (sure_hits + border_hits) / places[:, 0]
    return overlap


def _mean_ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    below = weights.sum(axis=1, keepdims=True) - _weight_above(values, weights)
    equals = _weight_of_equals(values, weights)
    ranks: FloatArray = below - equals + (equals + 1) / 2
    return ranks


def _weight_of_equals(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return, for each document, the weight of the documents that have its value."""
    groups, group_weights = _groups(values, weights)
    each: FloatArray = group_weights[:, groups]
    return each


def _weight_above(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return, for each document, the weight of the documents that have a larger value."""
    groups, group_weights = _groups(values, weights)
    upwards = np.cumsum(group_weights[:, ::-1], axis=1)[:, ::-1]
    above: FloatArray = (upwards - group_weights)[:, groups]
    return above


def _groups(values: FloatArray, weights: FloatArray) -> tuple[IndexArray, FloatArray]:
    """Return each document's place among the distinct values, and the weight of each of these."""
    distinct, groups = np.unique(values, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(distinct.size))
    return groups, np.add.reduceat(weights[:, order], starts, axis=1)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide, giving NaN where the denominator is zero."""
    quotient: FloatArray = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient
