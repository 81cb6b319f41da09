"""Puts given spans of a trace into the context of the text around them."""

from collections.abc import Sequence

from classifier.errors import OptionError
from classifier.steps import split_steps

Span = tuple[int, int]

_CONTEXT_CHARACTERS = 1_000
"""Text before a span that is read as its context: more than a window's left context ever holds."""


def with_context(trace: str, spans: Sequence[Span]) -> tuple[list[Span], list[bool]]:
    """Add the steps between and before given spans, which the model reads but does not score.

    Parameters
    ----------
    trace
        The whole trace.
    spans
        Character offsets of the steps to score, ascending and not overlapping.

    Returns
    -------
    spans, scored
        All steps in order, and for each whether it is one of the given ones.

    Raises
    ------
    OptionError
        If a span is empty, lies outside the trace, or the spans overlap or are out of order.
    """
    pieces: list[Span] = []
    scored: list[bool] = []
    position = 0
    for start, end in spans:
        if not position <= start < end <= len(trace):
            raise OptionError(
                f"span ({start}, {end}) does not fit: spans must be ascending, not empty, not overlap and "
                f"lie within the trace's {len(trace)} characters"
            )
        gap_start = max(position, start - _CONTEXT_CHARACTERS)
        gap = trace[gap_start:start]
        if not gap.isspace():
            between = [(gap_start + left, gap_start + right) for left, right in split_steps(gap)]
            pieces.extend(between)
            scored.extend([False] * len(between))
        pieces.append((start, end))
        scored.append(True)
        position = end
    return pieces, scored
