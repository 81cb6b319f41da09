"""The weighted figures against scikit-learn's and SciPy's, and the intervals from document resamples."""

from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr

from training import metrics
from training.bootstrap import Estimate, document_weights, pool_seeds

Array = NDArray[np.float64]

WEIGHTS = document_weights(12, 30, seed=3)
"""Weights of 12 documents: as they are, then 30 resamples of them."""


class Steps:
    """Random labelled steps, with many scores alike, and the same steps laid out for one resample."""

    def __init__(self, seed: int, count: int = 200) -> None:
        rng = np.random.default_rng(seed)
        self.documents = np.sort(rng.integers(0, WEIGHTS.shape[1], count))
        self.branches = rng.random(count) < 0.3
        noise = rng.random(count)
        self.scores = np.round(0.3 * self.branches + 0.7 * noise, 1 + seed % 2)
        self.kinds = np.where(self.branches, rng.integers(1, 4, count), 0)
        self.decided_kinds = np.where(self.scores >= 0.5, rng.integers(1, 4, count), 0)

    def repeated(self, values: NDArray[np.generic], weights: Array) -> NDArray[np.generic]:
        return np.repeat(values, weights[self.documents].astype(int))


@pytest.fixture(params=range(4))
def steps(request: pytest.FixtureRequest) -> Steps:
    return Steps(request.param)


def test_average_precision_equals_sklearns(steps: Steps) -> None:
    ours = metrics.average_precision(steps.scores, steps.branches, steps.documents, WEIGHTS)
    theirs = [
        sklearn.metrics.average_precision_score(
            steps.branches, steps.scores, sample_weight=weights[steps.documents]
        )
        for weights in WEIGHTS
    ]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_average_precision_is_the_same_in_blocks(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = metrics.average_precision(steps.scores, steps.branches, steps.documents, WEIGHTS)
    monkeypatch.setattr(metrics, "_BLOCK_NUMBERS", 3 * steps.scores.size + 1)
    blocks = metrics.average_precision(steps.scores, steps.branches, steps.documents, WEIGHTS)
    assert blocks == pytest.approx(whole, abs=1e-12)


def test_average_precision_is_undefined_without_a_branching_step() -> None:
    scores, documents = np.array([0.2, 0.9]), np.array([0, 1])
    weights = np.array([[1.0, 1.0], [2.0, 0.0]])
    only_second = metrics.average_precision(scores, np.array([False, True]), documents, weights)
    assert only_second[0] == 1
    assert np.isnan(only_second[1])
    nothing = metrics.average_precision(np.zeros(0), np.zeros(0, bool), np.zeros(0, int), weights)
    assert np.isnan(nothing).all()
    assert nothing.shape == (2,)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("precision", sklearn.metrics.precision_score),
        ("recall", sklearn.metrics.recall_score),
        ("f1", sklearn.metrics.f1_score),
        ("kappa", sklearn.metrics.cohen_kappa_score),
    ],
)
def test_decision_figures_equal_sklearns(steps: Steps, name: str, theirs: Callable[..., float]) -> None:
    decided = steps.scores >= 0.5
    ours = metrics.decision_figures(decided, steps.branches, steps.documents, WEIGHTS)[name]
    expected = [
        theirs(steps.branches, decided, sample_weight=weights[steps.documents]) for weights in WEIGHTS
    ]
    assert ours == pytest.approx(expected, abs=1e-12)


def test_decision_figures_where_nothing_is_said_to_branch() -> None:
    none, some = np.zeros(4, bool), np.array([True, False, False, False])
    documents, weights = np.zeros(4, int), np.ones((1, 1))
    missed = metrics.decision_figures(none, some, documents, weights)
    assert {name: value[0] for name, value in missed.items()} == {
        "precision": 0,
        "recall": 0,
        "f1": 0,
        "kappa": 0,
    }
    assert np.isnan(metrics.decision_figures(none, none, documents, weights)["kappa"][0])


def test_macro_f1_equals_sklearns(steps: Steps) -> None:
    ours = metrics.macro_f1(steps.decided_kinds, steps.kinds, steps.documents, WEIGHTS, 4)
    theirs = [
        sklearn.metrics.f1_score(
            steps.repeated(steps.kinds, weights),
            steps.repeated(steps.decided_kinds, weights),
            average="macro",
        )
        for weights in WEIGHTS
    ]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_macro_f1_leaves_out_kinds_that_do_not_occur() -> None:
    kinds = np.array([0, 0, 1])
    score = metrics.macro_f1(np.array([0, 0, 1]), kinds, np.zeros(3, int), np.ones((1, 1)), 4)
    assert score[0] == 1


def test_brier_score_equals_sklearns(steps: Steps) -> None:
    ours = metrics.calibration_figures(steps.scores, steps.branches, steps.documents, WEIGHTS)["brier"]
    theirs = [
        sklearn.metrics.brier_score_loss(
            steps.branches, steps.scores, sample_weight=weights[steps.documents], pos_label=True
        )
        for weights in WEIGHTS
    ]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_expected_calibration_error_by_hand() -> None:
    probabilities = np.array([0.05, 0.05, 0.95, 0.95])
    branches = np.array([False, True, True, True])
    figures = metrics.calibration_figures(probabilities, branches, np.zeros(4, int), np.ones((1, 1)))
    # Two bins of two steps each: means .05 and .95, shares .5 and 1.
    assert figures["expected_calibration_error"][0] == pytest.approx((0.45 + 0.05) / 2)


def test_width_bins_hold_their_lower_end_and_the_last_holds_one() -> None:
    assert metrics.width_bins(np.array([0.0, 0.24, 0.25, 0.75, 1.0]), 4).tolist() == [0, 0, 1, 3, 3]


@given(st.integers(0, 10_000))
def test_rank_correlation_equals_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 6, 12) / 5, rng.random(12)
    ours = metrics.rank_correlation(left, right, WEIGHTS)
    for value, weights in zip(ours, WEIGHTS, strict=True):
        counts = weights.astype(int)
        if np.unique(np.repeat(left, counts)).size > 1:
            theirs = spearmanr(np.repeat(left, counts), np.repeat(right, counts)).statistic
            assert value == pytest.approx(theirs, abs=1e-12)
        else:
            assert np.isnan(value)


def test_partial_rank_correlation_sees_through_a_common_cause() -> None:
    rng = np.random.default_rng(0)
    length = rng.random(400)
    left, right = length + 0.3 * rng.random(400), length + 0.3 * rng.random(400)
    weights = np.ones((1, 400))
    assert metrics.rank_correlation(left, right, weights)[0] > 0.8
    assert abs(metrics.partial_rank_correlation(left, right, length, weights)[0]) < 0.15
    assert np.isnan(metrics.partial_rank_correlation(length, right, length, weights)[0])


def overlap(gold: list[float], predicted: list[float], weights: list[float] | None = None) -> float:
    row = np.ones(len(gold)) if weights is None else np.array(weights)
    return float(metrics.top_tenth_overlap(np.array(gold), np.array(predicted), row[None])[0])


RISING = [place / 30 for place in range(30)]


def test_top_tenth_overlap_counts_the_shared_traces() -> None:
    assert overlap(RISING, RISING) == 1
    assert overlap(RISING, RISING[::-1]) == 0
    swapped = [*RISING[:26], RISING[29], RISING[27], RISING[28], RISING[26]]
    assert overlap(RISING, swapped) == pytest.approx(2 / 3)


def test_top_tenth_is_at_least_one_trace_and_rounds_down() -> None:
    assert overlap([0.1, 0.9, 0.3], [0.2, 0.8, 0.1]) == 1
    nineteen = RISING[:19]
    assert overlap(nineteen, [*nineteen[:17], 0.8, 0.9]) == 1
    assert overlap(nineteen, [*nineteen[:17], 0.9, 0.8]) == 0


def test_top_tenth_ties_of_the_prediction_share_their_places() -> None:
    assert overlap(RISING, [0.0] * 30) == pytest.approx(0.1)
    assert overlap(RISING, [0.0] * 28 + [1.0] * 2) == pytest.approx((2 + 1 / 28) / 3)


def test_top_tenth_ties_of_the_labels_are_equally_right() -> None:
    gold = [0.0] * 26 + [0.5, 0.5, 0.5, 1.0]
    assert overlap(gold, [0.0] * 26 + [0.9, 0.8, 0.1, 0.7]) == 1
    # Only two of the three places are open to the tied traces.
    assert overlap(gold, [0.0] * 26 + [0.9, 0.8, 0.7, 0.1]) == pytest.approx(2 / 3)


@given(st.integers(0, 10_000))
def test_top_tenth_overlap_of_a_resample_is_that_of_the_repeated_traces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gold, predicted = rng.integers(0, 9, 30) / 8, rng.integers(0, 9, 30) / 8
    for weights in document_weights(30, 3, seed):
        counts = weights.astype(int)
        repeated = overlap(np.repeat(gold, counts).tolist(), np.repeat(predicted, counts).tolist())
        assert overlap(gold.tolist(), predicted.tolist(), weights.tolist()) == pytest.approx(repeated)


def test_document_weights_are_resamples_after_a_row_of_ones() -> None:
    weights = document_weights(7, 50, seed=1)
    assert weights.shape == (51, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()
    assert (weights[1:] != 1).any(axis=1).mean() > 0.9
    assert (weights == document_weights(7, 50, seed=1)).all()
    assert (weights != document_weights(7, 50, seed=2)).any()


def test_one_document_has_no_resamples() -> None:
    assert document_weights(1, 50, seed=1).tolist() == [[1.0]]


def test_interval_is_the_middle_of_the_defined_resamples() -> None:
    samples = np.append(np.arange(1001.0), np.nan)
    estimate = Estimate.from_samples(400.0, samples)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((400, 25, 975))


def test_undefined_figures_have_no_interval() -> None:
    undefined = Estimate.from_samples(float("nan"), np.array([0.1, 0.2]))
    assert undefined.as_dict() == {"value": None, "low": None, "high": None}
    single = Estimate.from_samples(0.5, np.zeros(0))
    assert single.as_dict() == {"value": 0.5, "low": None, "high": None}


def test_paired_difference_is_tighter_than_its_parts() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=1000)
    ahead = Estimate.from_samples(0.6, 0.6 + difficulty + 0.01 * rng.normal(size=1000))
    behind = Estimate.from_samples(0.5, 0.5 + difficulty + 0.01 * rng.normal(size=1000))
    difference = ahead.minus(behind)
    assert difference.value == pytest.approx(0.1)
    assert 0.05 < difference.low < 0.1 < difference.high < 0.15


def test_pooled_seeds_span_documents_and_seeds() -> None:
    low = Estimate.from_samples(0.4, np.full(1000, 0.4))
    high = Estimate.from_samples(0.6, np.full(1000, 0.6))
    pooled = pool_seeds([low, high])
    assert (pooled.value, pooled.low, pooled.high) == pytest.approx((0.5, 0.4, 0.6))
