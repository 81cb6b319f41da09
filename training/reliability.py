"""How far probabilities can be taken at their word: reliability table and plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from classifier.errors import DependencyError, OptionError, OutputFileError
from training.bootstrap import FloatArray
from training.metrics import CALIBRATION_BINS, IndexArray, width_bins

BinRule = Literal["width", "count"]

RULES: Final[tuple[BinRule, ...]] = ("width", "count")
"""How bins can be cut."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Steps of similar probability.

    Parameters
    ----------
    low, high
        The bin's ends: of equal-width bins the grid's, of equal-count bins its steps' lowest and highest
        probability.
    steps
        Number of steps.
    probability
        Their mean P(branch).
    share
        The share of them that branches.
    """

    low: float
    high: float
    steps: int
    probability: float
    share: float


def reliability_table(
    probabilities: npt.ArrayLike,
    branches: npt.ArrayLike,
    *,
    bins: int = CALIBRATION_BINS,
    rule: BinRule = "width",
) -> list[ReliabilityBin]:
    """Compare mean probability and share of branching steps, bin by bin.

    Parameters
    ----------
    probabilities
        P(branch) of each step.
    branches
        Whether it branches.
    bins
        Number of bins.
    rule
        `width`: bins of equal width over 0 to 1; `count`: bins of equally many steps (as far as steps of
        equal probability, which stay together, allow).

    Returns
    -------
    list of ReliabilityBin
        From low to high; bins without a step are left out.

    Raises
    ------
    OptionError
        If the two arrays differ in length, are empty, or `bins` is not positive.
    """
    values, labels = np.asarray(probabilities, np.float64), np.asarray(branches, np.bool_)
    if values.shape != labels.shape or values.ndim != 1 or values.size == 0 or bins < 1:
        raise OptionError(
            f"a reliability table needs one probability and one label a step and at least one bin; got "
            f"shapes {values.shape} and {labels.shape}, {bins} bins"
        )
    places = width_bins(values, bins) if rule == "width" else _count_bins(values, bins)
    table = []
    for place in np.unique(places):
        inside = places == place
        low, high = (
            (place / bins, (place + 1) / bins)
            if rule == "width"
            else (values[inside].min(), values[inside].max())
        )
        table.append(
            ReliabilityBin(
                low=float(low),
                high=float(high),
                steps=int(inside.sum()),
                probability=float(values[inside].mean()),
                share=float(labels[inside].mean()),
            )
        )
    return table


def calibration_error(table: Sequence[ReliabilityBin]) -> float:
    """Return the table's mean distance of probability and share, weighted by steps.

    Parameters
    ----------
    table
        From `reliability_table`.
    """
    steps = sum(row.steps for row in table)
    return sum(row.steps * abs(row.probability - row.share) for row in table) / steps


def plot_reliability(
    probabilities: npt.ArrayLike, branches: npt.ArrayLike, path: Path | str, *, title: str
) -> None:
    """Draw the reliability of probabilities, by bins of equal width and of equal count, as a PNG file.

    Parameters
    ----------
    probabilities
        P(branch) of each step.
    branches
        Whether it branches.
    path
        The file to write; one that exists is replaced.
    title
        What was scored on what.

    Raises
    ------
    DependencyError
        If matplotlib is missing.
    OutputFileError
        If the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyError(
            "the reliability plot needs matplotlib: pip install 'branching-classifier[train]'"
        ) from error
    figure = Figure(figsize=(5, 6), layout="constrained")
    curve, histogram = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    curve.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="perfectly calibrated")
    styles: dict[BinRule, str] = {"width": "o-", "count": "s--"}
    for rule, style in styles.items():
        table = reliability_table(probabilities, branches, rule=rule)
        curve.plot(
            [row.probability for row in table],
            [row.share for row in table],
            style,
            markersize=4,
            label=f"bins of equal {rule} (calibration error {calibration_error(table):.3f})",
        )
    curve.set_title(title, fontsize=9, wrap=True)
    curve.set(ylabel="share of steps that branch", xlim=(0, 1), ylim=(0, 1))
    curve.legend(fontsize=8)
    histogram.hist(np.asarray(probabilities, np.float64), bins=CALIBRATION_BINS, range=(0, 1), color="0.6")
    histogram.set(xlabel="mean P(branch) of the bin", ylabel="steps", yscale="log")
    try:
        figure.savefig(path, format="png", dpi=150)
    except OSError as error:
        raise OutputFileError(f"{path}: the plot cannot be written ({error})") from error


def _count_bins(values: FloatArray, bins: int) -> IndexArray:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right")
