"""Temperature and threshold find what was planted."""

import numpy as np
import pytest
from scipy.special import softmax

from classifier.errors import OptionError
from training.calibrate import calibrate, choose_threshold, fit_temperature


def planted(temperature: float, steps: int = 6_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    true_logits = random.normal(0, 1.5, (steps, 4)) + np.array([2.0, 0.0, 0.0, 0.0])
    kinds = [random.choice(4, p=row) for row in softmax(true_logits, axis=1)]
    return (true_logits * temperature).astype(np.float32), np.eye(4, dtype=np.float32)[kinds]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_found(temperature: float) -> None:
    assert fit_temperature(*planted(temperature)) == pytest.approx(temperature, rel=0.08)


def test_threshold_is_the_middle_of_the_plateau() -> None:
    probabilities = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9], dtype=np.float32)
    branches = np.array([False, False, False, True, True, True])
    assert choose_threshold(probabilities, branches) == pytest.approx(0.5, abs=0.02)


def test_calibration_counts_its_documents() -> None:
    logits, targets = planted(2.0, 400)
    fitted = calibrate([logits[:100], logits[100:]], [targets[:100], targets[100:]])
    assert (fitted.documents, fitted.steps) == (2, 400)
    assert 0.05 <= fitted.threshold <= 0.95


@pytest.mark.parametrize("branching", [False, True])
def test_steps_of_one_sort_are_refused(branching: bool) -> None:
    logits, targets = planted(1.0, 200)
    kept = (targets[:, 0] < 0.5) == branching
    with pytest.raises(OptionError, match="with steps of both sorts"):
        calibrate([logits[kept]], [targets[kept]])
