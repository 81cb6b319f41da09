"""How closely another precision of a model follows its float32 file, on the same traces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from classifier.errors import OptionError
from classifier.scorer import BranchScorer, TraceScore

RANK_CORRELATION_LIMIT = 0.999
RATE_DIFFERENCE_LIMIT = 0.01
FEWEST_TRACES = 10
"""With fewer the rank correlation says nothing."""

_BATCH_SIZES = (1, 3, 8)
_TRACES_FOR_BATCHES = 12


@dataclass(frozen=True, slots=True)
class Agreement:
    """How closely a precision follows float32.

    Parameters
    ----------
    traces, steps
        How many were compared.
    rank_correlation
        Spearman's correlation of the branch rates.
    largest_rate_difference
        Over the traces.
    mean_rate_difference
        Over the traces, with its sign: other precision minus float32.
    largest_step_difference, mean_step_difference
        Absolute, of the steps' probabilities of branching.
    equal_over_batch_sizes
        Whether the scores are equal to the bit whatever the batch size.
    """

    traces: int
    steps: int
    rank_correlation: float
    largest_rate_difference: float
    mean_rate_difference: float
    largest_step_difference: float
    mean_step_difference: float
    equal_over_batch_sizes: bool

    @property
    def shortfalls(self) -> list[str]:
        """Return what is wrong with it, in words; empty where nothing is."""
        found = []
        if not self.rank_correlation >= RANK_CORRELATION_LIMIT:
            found.append(
                f"the rank correlation of the branch rates is {self.rank_correlation:.5f}, "
                f"less than {RANK_CORRELATION_LIMIT}"
            )
        if not self.largest_rate_difference <= RATE_DIFFERENCE_LIMIT:
            found.append(
                f"the largest difference of a branch rate is {self.largest_rate_difference:.4f}, "
                f"more than {RATE_DIFFERENCE_LIMIT}"
            )
        if not self.equal_over_batch_sizes:
            found.append("the scores depend on the batch size")
        return found


def measure_agreement(
    folder: Path, precision: str, traces: Sequence[str], threads: int | None = None
) -> Agreement:
    """Compare another precision of a model with its float32 file, both on a CPU.

    Parameters
    ----------
    folder
        The model folder, which holds both.
    precision
        The other precision.
    traces
        Chains of thought; those that cannot be scored are left out.
    threads
        CPU threads; all cores by default.

    Returns
    -------
    Agreement
        The figures.

    Raises
    ------
    OptionError
        If fewer than ten traces can be scored.
    """
    reference = BranchScorer(folder, providers=["cpu"], threads=threads)
    other = BranchScorer(folder, precision=precision, providers=["cpu"], threads=threads)
    pairs = [
        (expected, actual)
        for expected, actual in zip(
            reference.score_batch_or_errors(traces), other.score_batch_or_errors(traces), strict=True
        )
        if isinstance(expected, TraceScore) and isinstance(actual, TraceScore)
    ]
    if len(pairs) < FEWEST_TRACES:
        raise OptionError(
            f"only {len(pairs)} of {len(traces)} traces can be scored, and at least {FEWEST_TRACES} are "
            "needed to compare precisions; give more with --traces"
        )
    rates = np.array([[expected.branch_rate, actual.branch_rate] for expected, actual in pairs])
    differences = rates[:, 1] - rates[:, 0]
    steps = np.concatenate(
        [np.abs(actual.step_probabilities - expected.step_probabilities) for expected, actual in pairs]
    )
    return Agreement(
        traces=len(pairs),
        steps=len(steps),
        rank_correlation=_rank_correlation(rates),
        largest_rate_difference=float(np.abs(differences).max()),
        mean_rate_difference=float(differences.mean()),
        largest_step_difference=float(steps.max()),
        mean_step_difference=float(steps.mean()),
        equal_over_batch_sizes=_equal_over_batch_sizes(folder, precision, traces),
    )


def _rank_correlation(rates: np.ndarray) -> float:
    if np.ptp(rates, axis=0).min() == 0:
        # Where all rates of a model are equal there are no ranks to compare.
        return float(np.array_equal(rates[:, 0], rates[:, 1]))
    return float(spearmanr(rates[:, 0], rates[:, 1]).statistic)


def _equal_over_batch_sizes(folder: Path, precision: str, traces: Sequence[str]) -> bool:
    outcomes = []
    for size in _BATCH_SIZES:
        scorer = BranchScorer(folder, precision=precision, providers=["cpu"], batch_size=size)
        scores = scorer.score_batch_or_errors(traces[:_TRACES_FOR_BATCHES])
        outcomes.append([score.probabilities for score in scores if isinstance(score, TraceScore)])
    first, *others = outcomes
    return all(all(map(np.array_equal, first, other)) for other in others)
