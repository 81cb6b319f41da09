"""Which rows each arm trains on. Every filter of one source drops exactly the same number."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from classifier.errors import OptionError
from classifier.selection import order_by_branch_rate
from classifier.steps import split_steps
from training.cue_words import WORD_LISTS
from training.study.config import Arm


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of a source, with all that an arm may go by.

    Parameters
    ----------
    problem, trace, answer
        The row.
    tokens
        Tokens of the whole conversation.
    branch_rate
        The classifier's branch rate; None if it could not be scored.
    """

    problem: str
    trace: str
    answer: str
    tokens: int
    branch_rate: float | None


def kept_numbers(arm: Arm, rows: Sequence[SourceRow], seed: int) -> list[int]:
    """Return the numbers of the rows that an arm trains on, ascending.

    Parameters
    ----------
    arm
        The arm.
    rows
        The rows of its source.
    seed
        What is dropped at random depends on it; and so does which of equal rows is dropped.

    Raises
    ------
    OptionError
        If nothing would be left, or nothing dropped by a filter.
    """
    if arm.kind in ("divergent", "convergent"):
        return list(range(len(rows)))
    count = round(arm.keep * len(rows))
    if not 0 < count < len(rows):
        raise OptionError(
            f"arm {arm.name}: keeping {arm.keep:g} of {len(rows)} rows leaves {count}; "
            "give more rows, or another fraction"
        )
    shuffled = random.Random(seed).sample(range(len(rows)), len(rows))
    keys = _keys(arm, [rows[number] for number in shuffled])
    order = order_by_branch_rate(keys) if keys is not None else range(len(rows))
    return sorted(shuffled[index] for index in list(order)[:count])


def three_word_share(trace: str) -> float:
    """Return the share of steps with one of three words, the filter of arXiv 2604.01702."""
    steps = split_steps(trace)
    pattern = WORD_LISTS["three_words"]
    hits = sum(bool(pattern.search(trace[start:end])) for start, end in steps)
    return hits / len(steps) if steps else 0.0


def _keys(arm: Arm, rows: Sequence[SourceRow]) -> list[float | None] | None:
    """Return what is dropped from the top of, None for a random choice."""
    if arm.kind == "branch_rate":
        return [row.branch_rate for row in rows]
    if arm.kind == "three_words":
        return [three_word_share(row.trace) for row in rows]
    if arm.kind == "length":
        return [float(row.tokens) for row in rows]
    return None
