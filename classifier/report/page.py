"""The page of a report: one HTML file that loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
import numpy as np
from markupsafe import Markup

from classifier.filtering.summary import CHARACTERS_PER_TOKEN
from classifier.kinds import KINDS
from classifier.report import charts, comparison_charts, palette
from classifier.report.drawing import Spec, axis_names, draw
from classifier.report.figures import (
    branch_shares,
    group_figures,
    keep_plans,
    length_figures,
    rate_histogram,
)
from classifier.report.samples import closest_to, least_branching, most_branching, read_samples
from classifier.report.words import facts, length_verdict, pair_facts, pair_verdict, scored_by, step_figures
from classifier.selection_report import DEFAULT_FRACTIONS
from classifier.surrogates import without_surrogates
from classifier.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.files import InputFile
    from classifier.report.aggregate import Aggregate, Labels
    from classifier.report.comparison import Pairs
    from classifier.report.figures import Group
    from classifier.report.samples import Sample
    from classifier.selection_report import KeepPlan

_TEMPLATES: Final = Path(__file__).parent / "templates"
_LEVELS: Final = 20
_EXTREMES: Final = 8
_BORDERLINE: Final = 4
_DIFFERENT: Final = 4


@dataclass(frozen=True, slots=True)
class _GroupedRows:
    """What the page shows of the rows grouped by a column; `id` begins the ids of its cells."""

    column: str
    id: str
    groups: list[Group]
    rates: Markup
    kinds: Markup | None


def report_page(sources: Sequence[InputFile], aggregate: Aggregate, keep: float) -> str:
    """Make the page on some files.

    Parameters
    ----------
    sources
        The files, which are read once more for the traces that are shown.
    aggregate
        All rows.
    keep
        The fraction to keep that the page begins with.

    Returns
    -------
    str
        The page.
    """
    plans = keep_plans(aggregate)
    content: dict[str, Any] = {
        "title": f"Branching in {', '.join(_shown_names(aggregate.names))}",
        "scored_by": scored_by(aggregate),
        "facts": facts(aggregate),
        "errors": aggregate.errors.most_common(),
        "error_count": sum(aggregate.errors.values()),
        "first_errors": aggregate.first_errors,
        "plans": plans,
        "groups": [],
        "step_figures": step_figures(aggregate),
    }
    if plans:
        content |= _figures(aggregate, plans, keep) | _samples(sources, aggregate, plans, keep)
    return _render("report.html", content)


def comparison_page(
    left: tuple[Sequence[InputFile], Aggregate], right: tuple[Sequence[InputFile], Aggregate], pairs: Pairs
) -> str:
    """Make the page that compares two files.

    Parameters
    ----------
    left, right
        The files, which are read once more for the traces that are shown, and all their rows.
    pairs
        The problems that they share.

    Returns
    -------
    str
        The page.
    """
    both = (left[1], right[1])
    titles = [", ".join(_shown_names(one.names)) for one in both]
    if titles[0] == titles[1]:
        titles = [", ".join(one.names) for one in both]
    names = axis_names(titles)
    top = max(float(one.scored.max(initial=0.0)) for one in both)
    drawn = {
        "pairs": comparison_charts.pair_chart(names, *pairs.cells()),
        "histograms": comparison_charts.two_histograms_chart(
            names, [rate_histogram(one.scored, bins=20, highest=top) for one in both]
        ),
    }
    steps = [one.steps for one in both if one.steps is not None]
    if len(steps) == len(both):
        drawn["kinds"] = charts.kind_chart(names, np.stack([one.kinds.sum(axis=0) for one in steps]))
        drawn["positions"] = comparison_charts.two_positions_chart(names, steps)
    listed = [dict(facts(one)) for one in both]
    # A file all of whose rows have a score lacks the figure that counts the others.
    fact_names = max(map(list, listed), key=len)
    content: dict[str, Any] = {
        "title": f"Branching in {titles[0]} and {titles[1]}",
        "scored_by": scored_by(left[1]),
        "fact_names": fact_names,
        "files": [
            (title, [of_one.get(name, "–") for name in fact_names])
            for title, of_one in zip(titles, listed, strict=True)
        ],
        "pair_by": left[1].pairs.column if left[1].pairs else "",
        "pair_verdict": pair_verdict(pairs, titles),
        "pair_facts": pair_facts(pairs, titles),
        "charts": _drawn(drawn),
        "samples": _pair_samples(left, right, pairs, titles),
    }
    return _render("comparison.html", content)


def _figures(aggregate: Aggregate, plans: list[KeepPlan], keep: float) -> dict[str, Any]:
    scored = ~np.isnan(aggregate.rates)
    histogram = rate_histogram(aggregate.scored)
    lengths = length_figures(aggregate.scored, aggregate.lengths[scored])
    drawn = {
        "histogram": charts.histogram_chart(histogram),
        "overlap": charts.overlap_chart(plans),
        "length": charts.length_chart(lengths),
    }
    if aggregate.steps is not None:
        drawn["positions"] = charts.position_chart(aggregate.steps)
        drawn["kinds"] = charts.kind_chart(["all rows"], aggregate.steps.kinds.sum(axis=0)[None])
    groups = [_group(aggregate, labels, plans, at) for at, labels in enumerate(aggregate.groups)]
    return {
        "keep": keep,
        "plan": next(plan for plan in plans if plan.keep == round(keep, 2)),
        "quoted_inputs": shlex.join(aggregate.names),
        "length_verdict": length_verdict(lengths, plans),
        "charts": _drawn(drawn),
        "groups": groups,
        "slider_data": {
            "plans": [
                {
                    name: getattr(plan, name)
                    for name in ("max_rate", "kept", "dropped", "time_saved", "length_overlap")
                }
                for plan in plans
            ],
            "edges": histogram.edges[:-1].round(6).tolist(),
            "groups": {
                f"{group.id}-{at}": one.dropped for group in groups for at, one in enumerate(group.groups)
            },
        },
    }


def _group(aggregate: Aggregate, labels: Labels, plans: list[KeepPlan], number: int) -> _GroupedRows:
    groups = group_figures(aggregate, labels, plans)
    kinds = [group.kinds for group in groups if group.kinds is not None]
    return _GroupedRows(
        column=labels.column,
        id=f"dropped-{number}",
        groups=groups,
        rates=_ours(draw(charts.group_chart(groups))),
        kinds=_ours(draw(charts.kind_chart([one.name for one in groups], np.stack(kinds))))
        if kinds
        else None,
    )


def _samples(
    sources: Sequence[InputFile], aggregate: Aggregate, plans: list[KeepPlan], keep: float
) -> dict[str, Any]:
    most, least = most_branching(aggregate, _EXTREMES), least_branching(aggregate, _EXTREMES)
    fractions = sorted(DEFAULT_FRACTIONS, key=lambda fraction: abs(fraction - keep))
    cuts = {plan.keep: plan.max_rate for plan in plans}
    borderline = {fraction: closest_to(aggregate, cuts[fraction], _BORDERLINE) for fraction in fractions}
    wanted = {*most, *least, *(row for rows in borderline.values() for row in rows)}
    found = read_samples(sources, wanted, aggregate)

    def samples(rows: list[int]) -> list[Sample]:
        return [found[row] for row in rows if row in found]

    return {
        "most": samples(most),
        "least": samples(least),
        "borderline": [(fraction, samples(rows)) for fraction, rows in borderline.items()],
    }


def _pair_samples(
    left: tuple[Sequence[InputFile], Aggregate],
    right: tuple[Sequence[InputFile], Aggregate],
    pairs: Pairs,
    names: Sequence[str],
) -> list[tuple[str, list[tuple[str, Sample, Sample]]]]:
    order = np.argsort(-pairs.differences, kind="stable")
    more = [int(at) for at in order[:_DIFFERENT] if pairs.differences[at] > 0]
    fewer = [int(at) for at in order[::-1][:_DIFFERENT] if pairs.differences[at] < 0]
    shown = [*more, *fewer]
    first = read_samples(left[0], pairs.left_rows[shown].tolist(), left[1])
    second = read_samples(right[0], pairs.right_rows[shown].tolist(), right[1])

    def found(places: list[int]) -> list[tuple[str, Sample, Sample]]:
        return [
            (pairs.keys[at], first[int(pairs.left_rows[at])], second[int(pairs.right_rows[at])])
            for at in places
        ]

    return [
        (f"More branching in {names[1]}", found(more)),
        (f"More branching in {names[0]}", found(fewer)),
    ]


def _drawn(specs: dict[str, Spec]) -> dict[str, Any]:
    return {name: _ours(draw(spec)) for name, spec in specs.items()}


def _ours(text: str) -> Markup:
    """Mark our own styles and scripts, and drawings, in which Vega has escaped every text, as safe."""
    return Markup(text)  # noqa: S704


def _render(template: str, content: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    levels = "".join(f".p{level}{{--level:{level / _LEVELS:g}}}" for level in range(_LEVELS + 1))
    style = palette.css_variables() + (_TEMPLATES / "page.css").read_text(encoding="utf-8") + levels
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    page = environment.get_template(template).render(
        content,
        style=_ours(style),
        style_hash=_content_hash(style),
        script=_ours(script),
        script_hash=_content_hash(script),
        kinds=KINDS[1:],
        level=lambda probability: round(probability * _LEVELS),
        percent=lambda share: "–" if share is None else f"{share:.1%}",
        shares=branch_shares,
        version=__version__,
        characters_per_token=CHARACTERS_PER_TOKEN,
    )
    # JSON lines may hold lone surrogates, which no file in UTF-8 can.
    return without_surrogates(page)


def _content_hash(text: str) -> str:
    """Return what a content-security policy calls a style or a script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown_names(names: Sequence[str]) -> list[str]:
    return [Path(name).name for name in names[:3]] + (
        [f"{len(names) - 3} more files"] if len(names) > 3 else []
    )
