"""The charts of a report on some files, described in Vega-Lite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from classifier.kinds import BRANCH_KINDS, KINDS
from classifier.report.aggregate import POSITIONS
from classifier.report.drawing import (
    PARTS,
    PERCENT,
    Spec,
    amount,
    axis_names,
    cell_layer,
    names_axis,
    two_lines,
)
from classifier.report.figures import branch_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.report.aggregate import StepSums
    from classifier.report.figures import Group, Histogram, LengthFigures
    from classifier.report.scored_files import IntArray
    from classifier.selection_report import KeepPlan

_KIND_COLOURS: Final[Spec] = {
    "field": "kind",
    "type": "nominal",
    "scale": {"domain": list(BRANCH_KINDS), "range": [f"var(--kind-{kind})" for kind in BRANCH_KINDS]},
    # The page has one legend of kinds for charts and traces.
    "legend": None,
}


def histogram_chart(histogram: Histogram) -> Spec:
    """Describe the distribution of rates; the page tints the bars beyond the cut."""
    values = [
        {
            "from": low,
            "to": high,
            "rows": int(count),
            "label": f"{count:,} rows with a rate of {low:.3f} to {high:.3f}",
        }
        for low, high, count in zip(
            histogram.edges[:-1].tolist(), histogram.edges[1:].tolist(), histogram.counts, strict=True
        )
    ]
    return {
        "description": "How many rows have which branch rate",
        "data": {"values": values},
        "mark": {"type": "bar", "color": "var(--accent)", "stroke": "var(--ground)", "strokeWidth": 0.5},
        "encoding": {
            "x": amount(
                "from",
                "branch rate",
                scale={"domain": [0, float(histogram.edges[-1])], "nice": False},
                grid=False,
                tickCount=6,
            ),
            "x2": {"field": "to"},
            "y": amount("rows", "rows", tickCount=4),
            "y2": {"datum": 0},
            "description": {"field": "label"},
        },
    }


def length_chart(figures: LengthFigures) -> Spec:
    """Describe branch rate against length: rows in cells, and the median of each column of cells."""
    values = [
        {
            "from": float(figures.length_edges[column]),
            "x_to": float(figures.length_edges[column + 1]),
            "low": float(figures.rate_edges[row]),
            "y_to": float(figures.rate_edges[row + 1]),
            "rows": int(figures.cells[column, row]),
        }
        for column, row in np.argwhere(figures.cells)
    ]
    middles = np.sqrt(figures.length_edges[:-1] * figures.length_edges[1:])
    medians = [
        {
            "length": float(length),
            "rate": float(rate),
            "label": f"median rate {rate:.3f} around {length:,.0f} characters",
        }
        for length, rate in zip(middles, figures.medians, strict=True)
        if not np.isnan(rate)
    ]
    title, scale = "characters in the trace", {"type": "log", "nice": False}
    return {
        "description": "Branch rate against the length of the trace, with the median rate at each length",
        "layer": [
            cell_layer(
                values,
                amount("from", title, scale=scale, grid=False, tickCount=4, format="~s"),
                amount("low", "branch rate"),
                "rows",
            ),
            {
                "data": {"values": medians},
                "mark": {
                    "type": "line",
                    "color": "var(--text)",
                    "strokeWidth": 1.5,
                    "point": {"filled": True, "size": 18, "color": "var(--text)"},
                },
                "encoding": {
                    "x": amount("length", title, scale=scale),
                    "y": amount("rate", "branch rate"),
                    "description": {"field": "label"},
                },
            },
        ],
    }


def overlap_chart(plans: Sequence[KeepPlan]) -> Spec:
    """Describe what dropping more and more rows saves, and how much of it a length filter would drop too."""
    values = [
        {
            "keep": plan.keep,
            "share": share,
            "what": what,
            "label": f"keep {plan.keep:.0%}: {what} {share:.1%}",
        }
        for plan in plans
        for what, share in (
            ("tokens saved", plan.time_saved),
            ("dropped by length too", plan.length_overlap),
        )
        if share is not None and plan.keep < 1
    ]
    return {
        "description": "Tokens saved, and overlap with a length filter, for each fraction of rows to keep",
        "data": {"values": values},
        # The points are not to be seen; they say what the line is where a pointer comes near.
        "mark": {"type": "line", "point": {"filled": True, "size": 60, "opacity": 0}},
        "encoding": {
            "x": amount(
                "keep",
                "fraction of rows to keep",
                scale={"domain": [0.5, 1], "reverse": True},
                format=PERCENT,
                grid=False,
            ),
            "y": amount("share", None, scale={"domain": [0, 1]}, format=PERCENT),
            **two_lines("what", ("tokens saved", "dropped by length too")),
            "description": {"field": "label"},
        },
    }


def group_chart(groups: Sequence[Group]) -> Spec:
    """Describe the distribution of rates of each value of a column."""
    values = [
        {
            "name": name,
            **dict(zip(("q05", "q25", "q50", "q75", "q95"), group.quantiles.tolist(), strict=True)),
            "label": f"{group.name}: median {group.quantiles[2]:.3f}, half of the rows from "
            f"{group.quantiles[1]:.3f} to {group.quantiles[3]:.3f}",
        }
        for name, group in zip(axis_names([group.name for group in groups]), groups, strict=True)
        if group.scored
    ]
    names, height = names_axis(len(values))
    return {
        "description": "Distribution of branch rates of each value",
        "height": height,
        "data": {"values": values},
        "encoding": {"y": names, "description": {"field": "label"}},
        "layer": [
            {
                "mark": {"type": "rule", "color": "var(--muted)"},
                "encoding": {"x": amount("q05", "branch rate"), "x2": {"field": "q95"}},
            },
            {
                "mark": {"type": "bar", "height": 10, "color": "var(--accent)", "opacity": 0.75},
                "encoding": {"x": amount("q25", "branch rate"), "x2": {"field": "q75"}},
            },
            {
                "mark": {"type": "tick", "thickness": 2, "size": 14, "color": "var(--text)"},
                "encoding": {"x": amount("q50", "branch rate")},
            },
        ],
    }


def kind_chart(names: Sequence[str], kinds: IntArray) -> Spec:
    """Describe the share of steps that are of each kind, for some groups of rows.

    Parameters
    ----------
    names
        The groups.
    kinds
        Their steps of each kind, int64 [groups, kinds].
    """
    shares = branch_shares(kinds)
    values = [
        {
            "name": short,
            "kind": kind,
            "share": float(shares[row, KINDS.index(kind)]),
            "order": at,
            "label": f"{name}: {shares[row, KINDS.index(kind)]:.1%} of the steps are {kind}",
        }
        for row, (short, name) in enumerate(zip(axis_names(names), names, strict=True))
        for at, kind in enumerate(BRANCH_KINDS)
    ]
    axis, height = names_axis(len(names))
    return {
        "description": "Share of steps of each kind that branches",
        "height": height,
        "data": {"values": values},
        "mark": {"type": "bar", "height": 12},
        "encoding": {
            "y": axis,
            "x": amount("share", "share of steps", format=PERCENT),
            "color": _KIND_COLOURS,
            "order": {"field": "order"},
            "description": {"field": "label"},
        },
    }


def position_chart(sums: StepSums) -> Spec:
    """Describe where in traces steps branch."""
    shares = branch_shares(sums.kinds)
    values = [
        {
            "part": part + 1,
            "kind": kind,
            "share": float(shares[part, KINDS.index(kind)]),
            "order": at,
            "label": f"part {part + 1} of {POSITIONS}: {shares[part, KINDS.index(kind)]:.1%} of the steps "
            f"are {kind}",
        }
        for part in range(POSITIONS)
        for at, kind in enumerate(BRANCH_KINDS)
    ]
    return {
        "description": "Share of steps that branch, from the first tenth of a trace to the last",
        "data": {"values": values},
        "mark": "bar",
        "encoding": {
            "x": PARTS,
            "y": amount("share", "share of steps", format=PERCENT),
            "color": _KIND_COLOURS,
            "order": {"field": "order"},
            "description": {"field": "label"},
        },
    }
