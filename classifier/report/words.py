"""The sentences and facts of a report, the same on the page and in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from classifier.filtering.summary import tokens
from classifier.kinds import KINDS
from classifier.report.figures import branch_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.report.aggregate import Aggregate
    from classifier.report.comparison import Pairs
    from classifier.report.figures import LengthFigures
    from classifier.selection_report import KeepPlan

Facts = list[tuple[str, str]]

_WEAK: Final = 0.2
_STRONG: Final = 0.6
_VERDICT_KEEP: Final = 0.9


def scored_by(aggregate: Aggregate) -> str:
    """Say what scored the rows, as far as anything says."""
    said = []
    if aggregate.provenance is not None:
        model = aggregate.provenance["model"]
        said.append(
            f"Scored by {model.get('name')} {model.get('version')} ({model.get('precision')}, SHA-256 "
            f"{str(model.get('sha256'))[:12]}…)."
        )
    if aggregate.unknown_provenance:
        said.append(
            f"Nothing says which model scored {', '.join(aggregate.unknown_provenance)}: "
            "whether the rates can be compared is for you to know."
        )
    return " ".join(said)


def facts(aggregate: Aggregate) -> Facts:
    """Return the figures that sum up some files."""
    rates = aggregate.scored
    listed = [("rows", f"{aggregate.rows:,}")]
    if len(rates) < aggregate.rows:
        listed.append(("without a score", f"{aggregate.rows - len(rates):,}"))
    if aggregate.without_trace:
        listed.append(("whose trace was not found", f"{aggregate.without_trace:,} (give --column)"))
    if len(rates):
        steps, branching = int(aggregate.step_counts.sum()), int(aggregate.branch_counts.sum())
        listed += [
            ("mean rate", f"{rates.mean():.3f}"),
            ("median rate", f"{np.median(rates):.3f}"),
            ("95% are below", f"{np.quantile(rates, 0.95):.3f}"),
            ("steps", f"{steps:,}"),
            ("steps that branch", f"{branching:,} ({branching / steps if steps else 0:.1%})"),
        ]
    return [*listed, ("tokens, estimated", f"{tokens(float(aggregate.lengths.sum())) or 0:,}")]


def length_verdict(figures: LengthFigures, plans: Sequence[KeepPlan]) -> str:
    """Say whether branch rates are just lengths."""
    if figures.correlation is None:
        return "There are too few rows, or too few different ones, for a rank correlation with length."
    strength = abs(figures.correlation)
    direction = "more" if figures.correlation > 0 else "less"
    if strength < _WEAK:
        meaning = "length says next to nothing about branching"
    elif strength < _STRONG:
        meaning = f"longer traces tend to branch {direction}, with many exceptions"
    else:
        meaning = f"longer traces by and large branch {direction}"
    said = (
        f"The rank correlation (Spearman) of branch rate and length is {figures.correlation:+.2f}: {meaning}."
    )
    plan = next((plan for plan in plans if plan.keep == _VERDICT_KEEP), None)
    if plan is None or plan.length_overlap is None:
        return said
    return (
        f"{said} Of the {plan.dropped:,} rows that keeping {plan.keep:.0%} drops, a length filter that drops "
        f"as many would drop {plan.length_overlap:.0%}; chance alone gives {1 - plan.keep:.0%}."
    )


def step_figures(aggregate: Aggregate) -> str:
    """Say what the steps are, in one sentence; nothing where no row has its steps."""
    sums = aggregate.steps
    if sums is None:
        return ""
    kinds = sums.kinds.sum(axis=0)
    shares = branch_shares(kinds)
    listed = ", ".join(f"{share:.1%} {kind}" for kind, share in zip(KINDS, shares, strict=True))
    missing = len(aggregate.scored) - sums.rows
    note = f" {missing:,} scored rows lack their steps." if missing else ""
    return f"{int(kinds.sum()):,} steps of {sums.rows:,} rows: {listed}.{note}"


def pair_verdict(pairs: Pairs, names: Sequence[str]) -> str:
    """Say which of two files branches more on the same problems."""
    mean = float(pairs.differences.mean())
    said = (
        f"On the {len(pairs.keys):,} problems in both, the mean rate is {pairs.left.mean():.3f} in "
        f"{names[0]} and {pairs.right.mean():.3f} in {names[1]}: a difference of {mean:+.3f}"
    )
    if pairs.interval is None:
        return f"{said}."
    low, high = pairs.interval
    sure = "" if low > 0 or high < 0 else ", which may be chance"
    return f"{said} (95% interval {low:+.3f} to {high:+.3f}){sure}."


def pair_facts(pairs: Pairs, names: Sequence[str]) -> Facts:
    """Return the figures that sum up a comparison."""
    count = len(pairs.keys)
    more, fewer = int((pairs.differences > 0).sum()), int((pairs.differences < 0).sum())
    correlation = pairs.correlation
    return [
        ("problems in both", f"{count:,}"),
        (f"only in {names[0]}", f"{pairs.only_left:,}"),
        (f"only in {names[1]}", f"{pairs.only_right:,}"),
        (f"{names[0]} branches more", f"{fewer:,} ({fewer / count:.0%})"),
        (f"{names[1]} branches more", f"{more:,} ({more / count:.0%})"),
        ("rank correlation", "–" if correlation is None else f"{correlation:+.2f}"),
    ]
