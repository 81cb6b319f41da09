"""Temperature and threshold, fitted on documents that the model was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import cohen_kappa_score

from classifier.errors import OptionError

FloatArray = npt.NDArray[np.float32]

THRESHOLD_RULE = (
    "the middle of the thresholds, on a grid of 0.01, whose Cohen's kappa on the calibration documents is "
    "within 0.005 of the best"
)
"""A plateau's middle carries over to other documents better than the one best point."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted temperature and threshold, and what they were fitted on."""

    temperature: float
    threshold: float
    documents: int
    steps: int


def fit_temperature(logits: FloatArray, targets: FloatArray) -> float:
    """Fit the temperature that makes the kind probabilities most likely.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.

    Parameters
    ----------
    logits
        float32 [steps, 4].
    targets
        Kind probabilities, one-hot where annotated, float32 [steps, 4].

    Returns
    -------
    float
        The logits are to be divided by it.
    """

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(-(targets * log_softmax(scaled, axis=1)).sum(axis=1).mean())

    found = minimize_scalar(negative_log_likelihood, bounds=(-2.0, 2.0), method="bounded")
    return float(np.exp(found.x))


def choose_threshold(probabilities: FloatArray, branches: npt.NDArray[np.bool_]) -> float:
    """Choose the step threshold by `THRESHOLD_RULE`.

    Parameters
    ----------
    probabilities
        Calibrated probability that each step branches, float32 [steps].
    branches
        Whether it does, bool [steps].

    Returns
    -------
    float
        The threshold.

    Raises
    ------
    OptionError
        If all steps branch, or none does.
    """
    check_both_occur(branches, "calibrate on")
    grid = np.round(np.arange(0.05, 0.951, 0.01), 2)
    kappas = np.array([cohen_kappa_score(branches, probabilities >= threshold) for threshold in grid])
    good = grid[kappas >= kappas.max() - 0.005]
    return round(float((good.min() + good.max()) / 2), 3)


def check_both_occur(branches: npt.NDArray[np.bool_], purpose: str) -> None:
    """Check that some steps branch and some do not: without both, no threshold is better than another.

    Parameters
    ----------
    branches
        Whether each step branches, bool [steps].
    purpose
        What the steps are for, such as `calibrate on`.

    Raises
    ------
    OptionError
        If all steps branch, or none does.
    """
    if branches.all() or not branches.any():
        raise OptionError(
            f"of the {len(branches)} steps to {purpose}, {int(branches.sum())} branch; give labelled "
            "documents with steps of both sorts"
        )


def calibrate(logits: Sequence[FloatArray], targets: Sequence[FloatArray]) -> Calibration:
    """Fit temperature and threshold.

    Parameters
    ----------
    logits
        One array a document, float32 [steps, 4].
    targets
        The documents' annotated kinds as one-hot rows, float32 [steps, 4] each.

    Returns
    -------
    Calibration
        The fitted values.

    Raises
    ------
    OptionError
        If all steps branch, or none does.
    """
    all_logits, all_targets = np.concatenate(list(logits)), np.concatenate(list(targets))
    temperature = fit_temperature(all_logits, all_targets)
    probabilities = 1.0 - softmax(all_logits / temperature, axis=1)[:, 0]
    threshold = choose_threshold(probabilities, all_targets[:, 0] < 0.5)
    return Calibration(temperature, threshold, len(logits), len(all_targets))
