"""How the charts of a report are drawn: described in Vega-Lite, made into SVG when the report is made.

Vega's SVG names every mark for screen readers and takes CSS variables as colours, so that one picture serves
light and dark pages and the page needs no plotting script.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from classifier.surrogates import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Sequence

Spec = dict[str, Any]

PERCENT: Final = "~%"
PARTS: Final[Spec] = {
    "field": "part",
    "type": "ordinal",
    "title": "tenth of the trace",
    "axis": {"labelAngle": 0},
}
"""An axis of the parts of a trace."""

_WIDTH: Final = 340
_HEIGHT: Final = 220
_ROW_HEIGHT: Final = 22
_LONGEST_LABEL: Final = 18
_CONFIG: Final[Spec] = {
    "background": None,
    "font": "sans-serif",
    # Fonts of other machines are wider than the one that places are reckoned with.
    "padding": {"left": 12, "right": 12, "top": 4, "bottom": 4},
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
        "labelFlush": False,
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
        "columnPadding": 24,
    },
}
_SIZE: Final[Spec] = {
    "width": _WIDTH,
    "height": _HEIGHT,
    "autosize": {"type": "fit", "contains": "padding"},
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
    drawn: str = vl_convert.vegalite_to_svg(without_surrogates(json.dumps(whole, ensure_ascii=False)))
    return drawn


def amount(field: str, title: str | None, *, scale: Spec | None = None, **axis: Any) -> Spec:
    """Describe an axis of numbers; `axis` are settings of Vega-Lite's."""
    described: Spec = {
        "field": field,
        "type": "quantitative",
        "title": title,
        "axis": {"tickCount": 5, **axis},
    }
    return described if scale is None else {**described, "scale": scale}


def names_axis(rows: int) -> tuple[Spec, int]:
    """Describe an axis of names, one a row in the order given, and return how high its chart must be."""
    axis = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 120}}
    return axis, max(90, 60 + _ROW_HEIGHT * rows)


def cell_layer(values: Sequence[Spec], x: Spec, y: Spec, count: str) -> Spec:
    """Describe a layer of cells that are the stronger the more they hold.

    Parameters
    ----------
    values
        The cells: besides the fields of `x` and `y`, where they end in `x_to` and `y_to`.
    x, y
        The axes.
    count
        The field that says how many there are in a cell.
    """
    labels: Spec = {"description": {"field": "label"}} if any("label" in one for one in values) else {}
    return {
        "data": {"values": list(values)},
        "mark": {"type": "rect", "color": "var(--accent)", **({} if labels else {"aria": False})},
        "encoding": {
            "x": x,
            "x2": {"field": "x_to"},
            "y": y,
            "y2": {"field": "y_to"},
            "opacity": {
                "field": count,
                "type": "quantitative",
                "scale": {"type": "sqrt", "range": [0.2, 0.95], "zero": False},
                "legend": None,
            },
            **labels,
        },
    }


def two_lines(field: str, names: Sequence[str]) -> Spec:
    """Tell two lines apart by their colour and by their dashes, with one legend."""
    legend = {
        "title": None,
        "labelLimit": 150,
        "symbolType": "stroke",
        "symbolStrokeWidth": 2,
        "symbolSize": 400,
    }
    common = {"field": field, "type": "nominal", "legend": legend}
    return {
        "color": {**common, "scale": {"domain": list(names), "range": list(_TWO_COLOURS)}},
        "strokeDash": {**common, "scale": {"domain": list(names), "range": list(_TWO_DASHES)}},
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
