"""Reliability table and plot."""

from pathlib import Path

import numpy as np
import pytest

from classifier.errors import OptionError, OutputFileError
from tests.toy_gold import DOCUMENTS, Oracle, labels_and_scores
from training.metrics import calibration_figures
from training.reliability import calibration_error, plot_reliability, reliability_table


def test_reliability_bins_of_equal_width_and_of_equal_count() -> None:
    probabilities = [0.0, 0.1, 0.1, 0.2, 0.9, 1.0]
    branches = [False, False, True, False, True, True]
    width = reliability_table(probabilities, branches, bins=2)
    assert [(row.low, row.high, row.steps) for row in width] == [(0, 0.5, 4), (0.5, 1, 2)]
    assert (width[0].probability, width[0].share) == pytest.approx((0.1, 0.25))
    assert calibration_error(width) == pytest.approx((4 * 0.15 + 2 * 0.05) / 6)
    count = reliability_table(probabilities, branches, bins=3, rule="count")
    assert [row.steps for row in count] == [1, 3, 2]  # the two tenths stay together
    assert (count[-1].low, count[-1].high) == (0.9, 1)


def test_equal_width_table_gives_the_expected_calibration_error() -> None:
    labels, scores = labels_and_scores(DOCUMENTS, Oracle(0.9))
    one_document, weights = np.zeros(scores.size, int), np.ones((1, 1))
    figures = calibration_figures(scores, labels, one_document, weights)
    error = calibration_error(reliability_table(scores, labels))
    assert error == pytest.approx(figures["expected_calibration_error"][0])
    assert error > 0.02


def test_reliability_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="one probability and one label a step"):
        reliability_table([], [])
    with pytest.raises(OptionError, match="one probability and one label a step"):
        reliability_table([0.5], [True, False])


def test_a_plot_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the reliability plot needs matplotlib")
    with pytest.raises(OutputFileError, match="cannot be written"):
        plot_reliability([0.1, 0.9], [False, True], tmp_path / "no" / "plot.png", title="toy")
