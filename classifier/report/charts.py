"""The charts of a report: described in Vega-Lite, drawn as SVG when the report is made.

Vega's SVG names every mark for screen readers and takes CSS variables as colours, so that one picture serves
light and dark pages and the page needs no plotting script.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifier.kinds import BRANCH_KINDS, KINDS
from classifier.report.aggregate import POSITIONS
from classifier.report.figures import branch_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.report.aggregate import StepSums
    from classifier.report.figures import Group, Histogram, LengthFigures
    from classifier.report.scored_files import FloatArray, IntArray
    from classifier.selection_report import KeepPlan

Spec = dict[str, Any]

SURROGATE: Final = re.compile("[\ud800-\udfff]")

_WIDTH: Final = 340
_HEIGHT: Final = 220
_ROW_HEIGHT: Final = 22
_LONGEST_LABEL: Final = 18
_PERCENT: Final = ".0%"
_CONFIG: Final[Spec] = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--text)",
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 110,
        "gridOpacity": 0.6,
    },
    "legend": {
        "labelColor": "var(--text)",
        "titleColor": "var(--muted)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "top",
        "symbolType": "square",
        "offset": 4,
    },
}
_KIND_COLOURS: Final[Spec] = {
    "field": "kind",
    "type": "nominal",
    "scale": {"domain": list(BRANCH_KINDS), "range": [f"var(--kind-{kind})" for kind in BRANCH_KINDS]},
    "legend": {"title": None},
}
_TWO_COLOURS: Final = ("var(--accent)", "var(--text)")
_TWO_DASHES: Final = ([1, 0], [5, 3])


def draw(spec: Spec) -> str:
    """Draw a chart.

    Parameters
    ----------
    spec
        The chart in Vega-Lite.

    Returns
    -------
    str
        An SVG element.
    """
    import vl_convert

    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG, **_SIZE, **spec}
    # JSON lines may hold lone surrogates, which the drawing program cannot take.
    text = SURROGATE.sub("\ufffd", json.dumps(whole, ensure_ascii=False))
    drawn: str = vl_convert.vegalite_to_svg(text)
    return drawn


_SIZE: Final[Spec] = {
    "width": _WIDTH,
    "height": _HEIGHT,
    "autosize": {"type": "fit", "contains": "padding"},
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
            "x": {
                "field": "from",
                "type": "quantitative",
                "scale": {"domain": [0, float(histogram.edges[-1])], "nice": False},
                "title": "branch rate",
                "axis": {"grid": False, "tickCount": 6},
            },
            "x2": {"field": "to"},
            "y": {"field": "rows", "type": "quantitative", "title": "rows", "axis": {"tickCount": 4}},
            "y2": {"datum": 0},
            "description": {"field": "label"},
        },
    }


def length_chart(figures: LengthFigures) -> Spec:
    """Describe branch rate against length: rows in cells, and the median of each column of cells."""
    cells = [
        {
            "from": float(figures.length_edges[column]),
            "to": float(figures.length_edges[column + 1]),
            "low": float(figures.rate_edges[row]),
            "high": float(figures.rate_edges[row + 1]),
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
    length_axis: Spec = {
        "type": "quantitative",
        "scale": {"type": "log", "nice": False},
        "title": "characters in the trace",
    }
    return {
        "description": "Branch rate against the length of the trace, with the median rate at each length",
        "layer": [
            {
                "data": {"values": cells},
                "mark": {"type": "rect", "color": "var(--accent)", "aria": False},
                "encoding": {
                    "x": {
                        "field": "from",
                        **length_axis,
                        "axis": {"grid": False, "tickCount": 4, "format": "~s"},
                    },
                    "x2": {"field": "to"},
                    "y": {
                        "field": "low",
                        "type": "quantitative",
                        "title": "branch rate",
                        "axis": {"tickCount": 5},
                    },
                    "y2": {"field": "high"},
                    "opacity": {
                        "field": "rows",
                        "type": "quantitative",
                        "scale": {"type": "sqrt", "range": [0.12, 0.9], "zero": False},
                        "legend": None,
                    },
                },
            },
            {
                "data": {"values": medians},
                "mark": {
                    "type": "line",
                    "color": "var(--text)",
                    "strokeWidth": 1.5,
                    "point": {"filled": True, "size": 18, "color": "var(--text)"},
                },
                "encoding": {
                    "x": {"field": "length", **length_axis},
                    "y": {"field": "rate", "type": "quantitative"},
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
        "mark": {"type": "line", "point": {"filled": True, "size": 16}},
        "encoding": {
            "x": {
                "field": "keep",
                "type": "quantitative",
                "scale": {"domain": [0.5, 1], "reverse": True},
                "title": "fraction of rows to keep",
                "axis": {"format": _PERCENT, "grid": False, "tickCount": 5},
            },
            "y": {
                "field": "share",
                "type": "quantitative",
                "scale": {"domain": [0, 1]},
                "title": None,
                "axis": {"format": _PERCENT, "tickCount": 5},
            },
            **_two_lines("what", ("tokens saved", "dropped by length too")),
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
    names: Spec = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelLimit": 120},
    }
    rate: Spec = {
        "type": "quantitative",
        "title": "branch rate",
        "axis": {"tickCount": 5},
    }
    return {
        "description": "Distribution of branch rates of each value",
        "height": _height(len(values)),
        "data": {"values": values},
        "encoding": {"y": names, "description": {"field": "label"}},
        "layer": [
            {
                "mark": {"type": "rule", "color": "var(--muted)"},
                "encoding": {"x": {"field": "q05", **rate}, "x2": {"field": "q95"}},
            },
            {
                "mark": {"type": "bar", "height": 10, "color": "var(--accent)", "opacity": 0.75},
                "encoding": {"x": {"field": "q25", **rate}, "x2": {"field": "q75"}},
            },
            {
                "mark": {"type": "tick", "thickness": 2, "size": 14, "color": "var(--text)"},
                "encoding": {"x": {"field": "q50", **rate}},
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
    return {
        "description": "Share of steps of each kind that branches",
        "height": _height(len(names)),
        "data": {"values": values},
        "mark": {"type": "bar", "height": 12},
        "encoding": {
            "y": {
                "field": "name",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"labelLimit": 120},
            },
            "x": {
                "field": "share",
                "type": "quantitative",
                "title": "share of steps",
                "axis": {"format": "~%", "tickCount": 5},
            },
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
            "x": {
                "field": "part",
                "type": "ordinal",
                "title": "tenth of the trace",
                "axis": {"labelAngle": 0},
            },
            "y": {
                "field": "share",
                "type": "quantitative",
                "title": "share of steps",
                "axis": {"format": "~%", "tickCount": 5},
            },
            "color": _KIND_COLOURS,
            "order": {"field": "order"},
            "description": {"field": "label"},
        },
    }


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
            "x": {
                "field": "rate",
                "type": "quantitative",
                "title": "branch rate",
                "axis": {"grid": False, "tickCount": 6},
            },
            "y": {
                "field": "share",
                "type": "quantitative",
                "title": "share of rows",
                "axis": {"format": "~%", "tickCount": 4},
            },
            **_two_lines("file", names),
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
            "x": {
                "field": "part",
                "type": "ordinal",
                "title": "tenth of the trace",
                "axis": {"labelAngle": 0},
            },
            "y": {
                "field": "share",
                "type": "quantitative",
                "title": "share of steps that branch",
                "axis": {"format": "~%", "tickCount": 5},
            },
            **_two_lines("file", names),
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
            "left_to": float(edges[left + 1]),
            "right": float(edges[right]),
            "right_to": float(edges[right + 1]),
            "problems": int(cells[left, right]),
            "label": f"{cells[left, right]:,} problems with {edges[left]:.2f} to {edges[left + 1]:.2f} in "
            f"{names[0]} and {edges[right]:.2f} to {edges[right + 1]:.2f} in {names[1]}",
        }
        for left, right in np.argwhere(cells)
    ]
    end = float(edges[-1])
    scale = {"domain": [0, end], "nice": False}
    return {
        "description": "Rates of the two files on the same problems; on the line both are equal",
        "height": 300,
        "layer": [
            {
                "data": {"values": values},
                "mark": {"type": "rect", "color": "var(--accent)"},
                "encoding": {
                    "x": {
                        "field": "left",
                        "type": "quantitative",
                        "scale": scale,
                        "title": f"branch rate in {names[0]}",
                        "axis": {"tickCount": 5},
                    },
                    "x2": {"field": "left_to"},
                    "y": {
                        "field": "right",
                        "type": "quantitative",
                        "scale": scale,
                        "title": f"branch rate in {names[1]}",
                        "axis": {"tickCount": 5},
                    },
                    "y2": {"field": "right_to"},
                    "opacity": {
                        "field": "problems",
                        "type": "quantitative",
                        "scale": {"type": "sqrt", "range": [0.2, 0.95], "zero": False},
                        "legend": None,
                    },
                    "description": {"field": "label"},
                },
            },
            {
                "data": {"values": [{"left": 0, "right": 0}, {"left": end, "right": end}]},
                "mark": {"type": "line", "color": "var(--text)", "strokeDash": [4, 3], "aria": False},
                "encoding": {
                    "x": {"field": "left", "type": "quantitative"},
                    "y": {"field": "right", "type": "quantitative"},
                },
            },
        ],
    }


def axis_names(names: Sequence[str]) -> list[str]:
    """Shorten names for an axis, so that no two of them become the same."""
    short: list[str] = []
    for name in names:
        cut = name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"
        number = 2
        unique = cut
        while unique in short:
            unique = f"{cut[: _LONGEST_LABEL - 4]}… {number}"
            number += 1
        short.append(unique)
    return short


def _two_lines(field: str, names: Sequence[str]) -> Spec:
    """Tell two lines apart by their colour and by their dashes, with one legend."""
    legend = {"title": None, "labelLimit": 150, "symbolType": "stroke", "symbolStrokeWidth": 2}
    common = {"field": field, "type": "nominal", "legend": legend}
    return {
        "color": {**common, "scale": {"domain": list(names), "range": list(_TWO_COLOURS)}},
        "strokeDash": {**common, "scale": {"domain": list(names), "range": list(_TWO_DASHES)}},
    }


def _height(rows: int) -> int:
    return max(90, 60 + _ROW_HEIGHT * rows)
