"""Given spans are read in the context of the text around them."""

import pytest

from classifier.errors import OptionError
from classifier.spans import with_context

TRACE = "Start with the sum. It is nine. Now halve it. That gives four and a half."


def test_text_before_and_between_becomes_context() -> None:
    spans = [(20, 31), (46, len(TRACE))]
    pieces, scored = with_context(TRACE, spans)
    assert [TRACE[start:end] for start, end in pieces] == [
        "Start with the sum.",
        "It is nine.",
        "Now halve it.",
        "That gives four and a half.",
    ]
    assert scored == [False, True, False, True]


def test_touching_spans_need_no_context() -> None:
    assert with_context("ab", [(0, 1), (1, 2)]) == ([(0, 1), (1, 2)], [True, True])


def test_only_near_text_is_read() -> None:
    trace = "Far away. " * 1_000 + "The step."
    pieces, scored = with_context(trace, [(len(trace) - 9, len(trace))])
    assert scored[-1]
    assert pieces[0][0] >= len(trace) - 1_009


@pytest.mark.parametrize(
    "spans", [[(3, 3)], [(4, 2)], [(0, 5), (4, 9)], [(5, 9), (0, 4)], [(0, 1_000)], [(-2, 4)]]
)
def test_spans_that_do_not_fit_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(OptionError, match="spans must be ascending"):
        with_context(TRACE, spans)
