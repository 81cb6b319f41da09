"""Which rows a fine-tuning run trains on, in which order or by which weights, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.errors import OptionError
from classifier.selection import (
    BranchFilter,
    CountFilter,
    best_of,
    branch_rate_weights,
    order_by_branch_rate,
)
from training.sft_config import SelectionConfig, SftConfig
from training.sft_rows import SftRow

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selected:
    """The rows to train on.

    Parameters
    ----------
    rows
        In the order in which they are given to the trainer.
    weights
        How often each is to be drawn relative to the others; None if each is drawn once an epoch.
    manifest
        What was kept and dropped and why, as JSON can hold it.
    dropped
        One entry a dropped row: where it stands, why it was dropped, its rate and tokens.
    """

    rows: list[SftRow]
    weights: NDArray[np.float64] | None
    manifest: dict[str, Any]
    dropped: list[dict[str, Any]]


def select_rows(rows: Sequence[SftRow], scores: Sequence[Columns] | None, config: SftConfig) -> Selected:
    """Choose and order the rows.

    Parameters
    ----------
    rows
        All rows, each with its count of tokens.
    scores
        The score columns of each; None if no setting needs them.
    config
        The settings.

    Raises
    ------
    OptionError
        If a row is too long and that is to fail, or no row is left.
    RowError
        If a row has no score and that is to fail.
    """
    reasons: list[str | None] = [None] * len(rows)
    too_long = [number for number, row in enumerate(rows) if row.tokens > config.max_length]
    if too_long and config.too_long == "fail":
        first = rows[too_long[0]]
        raise OptionError(
            f"{len(too_long):,} of {len(rows):,} rows are longer than max_length={config.max_length} tokens, "
            f"the first is {first.place} with {first.tokens:,}; raise max_length, or set too_long to drop or "
            "truncate"
        )
    if config.too_long == "drop":
        for number in too_long:
            reasons[number] = f"longer than max_length={config.max_length} tokens"
    candidates = [number for number, reason in enumerate(reasons) if reason is None]
    report: dict[str, Any] | None = None
    if scores is not None and candidates:
        scored = [{**rows[number].row, **scores[number]} for number in candidates]
        kept, report = _apply(config.selection, scored)
        chosen = {candidates[index] for index in kept}
        for number in candidates:
            if number not in chosen:
                reasons[number] = f"policy {config.selection.policy}"
    numbers = [number for number, reason in enumerate(reasons) if reason is None]
    if not numbers:
        raise OptionError(
            f"no row is left to train on: of {len(rows):,}, "
            + ", ".join(f"{count:,} dropped ({why})" for why, count in Counter(reasons).items())
            + "; keep more of them"
        )
    weights = None
    if scores is not None:
        rates = [scores[number]["branch_rate"] for number in numbers]
        if config.is_curriculum:
            descending = config.order == "most_branching_first"
            numbers = [numbers[index] for index in order_by_branch_rate(rates, descending=descending)]
        if config.weight_strength:
            weights = branch_rate_weights(rates, strength=config.weight_strength)
    return Selected(
        rows=[rows[number] for number in numbers],
        weights=weights,
        manifest={
            "rows": len(rows),
            "kept": len(numbers),
            "dropped": {why: count for why, count in Counter(reasons).items() if why is not None},
            "truncated": len(too_long) if config.too_long == "truncate" else 0,
            "tokens_kept": sum(min(rows[number].tokens, config.max_length) for number in numbers),
            "selection": report,
        },
        dropped=[
            {
                "row": rows[number].place,
                "reason": reason,
                "branch_rate": None if scores is None else scores[number]["branch_rate"],
                "tokens": rows[number].tokens,
            }
            for number, reason in enumerate(reasons)
            if reason is not None
        ],
    )


def _apply(selection: SelectionConfig, scored: list[Columns]) -> tuple[list[int], dict[str, Any] | None]:
    """Return the numbers of the rows to keep, and a filter's report."""
    if selection.policy == "all":
        return list(range(len(scored))), None
    if selection.policy == "best_of":
        kept = best_of(scored, problem=selection.problem, correct=selection.correct, count=selection.count)
        return kept, None
    if selection.policy == "branch_count":
        assert selection.max_count is not None  # noqa: S101 - the settings were checked
        row_filter: BranchFilter | CountFilter = CountFilter(selection.max_count, selection.on_error)
    elif selection.max_rate is not None:
        row_filter = BranchFilter(selection.max_rate, on_error=selection.on_error)
    else:
        assert selection.keep is not None  # noqa: S101 - the settings were checked
        row_filter = BranchFilter.fit(scored, selection.keep, by=selection.by, on_error=selection.on_error)
    kept, report = row_filter.select(scored, by=selection.by)
    return kept, report.to_dict()
