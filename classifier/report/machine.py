"""The figures of a report for machines: as JSON can hold them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifier.filtering.summary import CHARACTERS_PER_TOKEN, tokens
from classifier.kinds import KINDS
from classifier.report.figures import (
    QUANTILES,
    group_figures,
    keep_plans,
    length_figures,
    rate_histogram,
    rate_quantiles,
)
from classifier.selection_report import DEFAULT_FRACTIONS

if TYPE_CHECKING:
    from classifier.report.aggregate import Aggregate, StepSums
    from classifier.report.comparison import Pairs
    from classifier.report.figures import Group
    from classifier.report.scored_files import FloatArray, IntArray

_NAMES: Final = tuple(f"{quantile:g}" for quantile in QUANTILES)


def aggregate_dict(aggregate: Aggregate) -> dict[str, Any]:
    """Return the figures of some files."""
    rates = aggregate.scored
    plans = keep_plans(aggregate)
    histogram = rate_histogram(rates)
    lengths = aggregate.lengths[~np.isnan(aggregate.rates)]
    return {
        "inputs": aggregate.names,
        "provenance": aggregate.provenance,
        "unknown_provenance": aggregate.unknown_provenance,
        "rows": aggregate.rows,
        "scored": len(rates),
        "without_trace": aggregate.without_trace,
        "errors_by_type": dict(aggregate.errors.most_common()),
        "first_errors": aggregate.first_errors,
        "mean_branch_rate": float(rates.mean()) if len(rates) else None,
        "branch_rate_quantiles": _quantiles(rate_quantiles(rates)),
        "branch_rate_histogram": {
            "edges": histogram.edges.round(6).tolist(),
            "rows": histogram.counts.tolist(),
        },
        "steps": int(aggregate.step_counts.sum()),
        "branching_steps": int(aggregate.branch_counts.sum()),
        "tokens": tokens(float(aggregate.lengths.sum())),
        "characters_per_token": CHARACTERS_PER_TOKEN,
        "rank_correlation_with_length": length_figures(rates, lengths).correlation,
        "plans": [asdict(plan) for plan in plans if plan.keep in DEFAULT_FRACTIONS],
        "groups": {
            labels.column: [_group(group) for group in group_figures(aggregate, labels, [])]
            for labels in aggregate.groups
        },
        "positions": None if aggregate.steps is None else _positions(aggregate.steps),
    }


def pairs_dict(pairs: Pairs) -> dict[str, Any]:
    """Return the figures of a comparison."""
    return {
        "problems": len(pairs.keys),
        "only_in_first": pairs.only_left,
        "only_in_second": pairs.only_right,
        "mean_branch_rate_in_first": float(pairs.left.mean()),
        "mean_branch_rate_in_second": float(pairs.right.mean()),
        "mean_difference": float(pairs.differences.mean()),
        "mean_difference_interval": None if pairs.interval is None else list(pairs.interval),
        "rank_correlation": pairs.correlation,
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "value": group.name,
        "rows": group.rows,
        "scored": group.scored,
        "mean_branch_rate": group.mean if group.scored else None,
        "branch_rate_quantiles": _quantiles(group.quantiles),
        "kinds": None if group.kinds is None else _kinds(group.kinds),
    }


def _positions(sums: StepSums) -> list[dict[str, int]]:
    return [_kinds(kinds) for kinds in sums.kinds]


def _kinds(counts: IntArray) -> dict[str, int]:
    return dict(zip(KINDS, counts.tolist(), strict=True))


def _quantiles(quantiles: FloatArray) -> dict[str, float | None]:
    return {
        name: None if np.isnan(value) else float(value) for name, value in zip(_NAMES, quantiles, strict=True)
    }
