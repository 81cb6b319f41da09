"""Intervals over seeds and problems, and paired tests between arms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import permutation_test

from training.bootstrap import Estimate

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A difference between two arms.

    Parameters
    ----------
    estimate
        First minus second, with its interval over seeds and problems.
    p_value
        Of the paired permutation test over problems.
    """

    estimate: Estimate
    p_value: float


def accuracy(correct: FloatArray, resamples: int, seed: int) -> Estimate:
    """Return the mean with an interval over seeds and problems, both resampled with replacement.

    Parameters
    ----------
    correct
        Share of right responses, [seeds, problems].
    resamples
        How many resamples.
    seed
        Seed of the draw.
    """
    seeds, problems = correct.shape
    rng = np.random.default_rng(seed)
    seed_weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    problem_weights = rng.multinomial(problems, np.full(problems, 1 / problems), resamples) / problems
    samples = np.einsum("rs,sp,rp->r", seed_weights, correct, problem_weights, optimize=True)
    return Estimate.from_samples(float(correct.mean()), samples)


def compare(first: FloatArray, second: FloatArray, resamples: int, seed: int) -> PairedTest:
    """Compare two arms on the same seeds and problems.

    The interval resamples seeds and problems; the test exchanges the arms' results problem by problem, each
    problem's being the mean over seeds, and so judges these seeds only.

    Parameters
    ----------
    first, second
        Share of right responses, [seeds, problems].
    resamples
        Resamples and permutations.
    seed
        Seed of the draws.
    """
    estimate = accuracy(first - second, resamples, seed)
    left, right = first.mean(axis=0), second.mean(axis=0)
    if np.array_equal(left, right):
        return PairedTest(estimate, 1.0)

    def difference(one: FloatArray, other: FloatArray, axis: int) -> FloatArray:
        return np.asarray(np.mean(one, axis=axis) - np.mean(other, axis=axis))

    result = permutation_test(
        (left, right),
        difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=1_000,
        rng=np.random.default_rng(seed),
    )
    return PairedTest(estimate, float(result.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for how many there are (Holm 1979).

    Parameters
    ----------
    p_values
        One a test.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return [float(value) for value in adjusted]
