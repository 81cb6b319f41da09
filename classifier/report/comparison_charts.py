"""The charts of a comparison of two files, described in Vega-Lite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from classifier.report.aggregate import POSITIONS
from classifier.report.drawing import PARTS, PERCENT, Spec, amount, cell_layer, two_lines
from classifier.report.figures import branch_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.report.aggregate import StepSums
    from classifier.report.figures import Histogram
    from classifier.report.scored_files import FloatArray, IntArray


def two_histograms_chart(names: Sequence[str], histograms: Sequence[Histogram]) -> Spec:
    """Describe the distributions of the rates of two files, as shares of their rows."""
    values = [
        {
            "file": name,
            "rate": float((low + high) / 2),
            "share": float(count / max(1, histogram.counts.sum())),
            "label": f"{name}: {count / max(1, histogram.counts.sum()):.1%} of the rows have a rate of "
            f"{low:.3f} to {high:.3f}",
        }
        for name, histogram in zip(names, histograms, strict=True)
        for low, high, count in zip(histogram.edges[:-1], histogram.edges[1:], histogram.counts, strict=True)
    ]
    return {
        "description": "Distribution of branch rates of both files",
        "data": {"values": values},
        "mark": {"type": "line", "interpolate": "step", "strokeWidth": 2},
        "encoding": {
            "x": amount("rate", "branch rate", grid=False, tickCount=6),
            "y": amount("share", "share of rows", format=PERCENT, tickCount=4),
            **two_lines("file", names),
            "description": {"field": "label"},
        },
    }


def two_positions_chart(names: Sequence[str], sums: Sequence[StepSums]) -> Spec:
    """Describe where in the traces of two files steps branch."""
    values = [
        {
            "file": name,
            "part": part + 1,
            "share": share,
            "label": f"{name}, part {part + 1} of {POSITIONS}: {share:.1%} of the steps branch",
        }
        for name, one in zip(names, sums, strict=True)
        for part, share in enumerate(branch_shares(one.kinds)[:, 1:].sum(axis=1).tolist())
    ]
    return {
        "description": "Share of steps that branch in both files, by the tenth of the trace",
        "data": {"values": values},
        "mark": {"type": "line", "point": {"filled": True, "size": 30}},
        "encoding": {
            "x": PARTS,
            "y": amount("share", "share of steps that branch", format=PERCENT),
            **two_lines("file", names),
            "description": {"field": "label"},
        },
    }


def pair_chart(names: Sequence[str], edges: FloatArray, cells: IntArray) -> Spec:
    """Describe the rates of one file against those of the other on the same problems.

    Parameters
    ----------
    names
        The files.
    edges
        The edges of the cells, the same on both axes.
    cells
        Problems in each cell, int64 [rates of the first file, rates of the second].
    """
    values = [
        {
            "left": float(edges[left]),
            "x_to": float(edges[left + 1]),
            "right": float(edges[right]),
            "y_to": float(edges[right + 1]),
            "problems": int(cells[left, right]),
            "label": f"{cells[left, right]:,} problems with {edges[left]:.2f} to {edges[left + 1]:.2f} in "
            f"{names[0]} and {edges[right]:.2f} to {edges[right + 1]:.2f} in {names[1]}",
        }
        for left, right in np.argwhere(cells)
    ]
    end = float(edges[-1])
    scale = {"domain": [0, end], "nice": False}
    titles = [f"branch rate in {name}" for name in names]
    line = [{"left": 0, "right": 0}, {"left": end, "right": end}]
    return {
        "description": "Rates of the two files on the same problems; on the line both are equal",
        "height": 300,
        "layer": [
            cell_layer(
                values,
                amount("left", titles[0], scale=scale),
                amount("right", titles[1], scale=scale),
                "problems",
            ),
            {
                "data": {"values": line},
                "mark": {"type": "line", "color": "var(--text)", "strokeDash": [4, 3], "aria": False},
                "encoding": {"x": amount("left", titles[0]), "y": amount("right", titles[1])},
            },
        ],
    }
