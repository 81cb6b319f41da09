"""Draws time and memory against size."""

from pathlib import Path
from typing import Any


def draw_growth(results: dict[str, Any], target: Path) -> None:
    """Draw the results of `benchmarks.growth`.

    Parameters
    ----------
    results
        The results.
    target
        The PNG file to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    corpora = {
        name: [one for one in results["corpora"] if one["encoder"] == name] for name in ("debug", "model")
    }
    series = {
        "one trace, by its characters": ("characters", results["lengths"]),
        "corpus, shipped model, by its characters": ("characters", corpora["model"]),
        "corpus, debug encoder, by its characters": ("characters", corpora["debug"]),
    }
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, (quantity, label) in zip(
        axes, (("seconds", "seconds"), ("peak_megabytes", "peak memory, MB")), strict=True
    ):
        for name, (size, points) in series.items():
            axis.plot([one[size] for one in points], [one[quantity] for one in points], "o-", label=name)
        axis.set_xscale("log")
        axis.set_xlabel("characters")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_yscale("log")
    axes[1].set_ylim(bottom=0)
    axes[0].legend(fontsize="small")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
