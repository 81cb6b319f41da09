"""The labelling functions' votes on the steps of a trace."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import OptionError
from classifier.steps import split_steps
from training.gold import GoldDocument
from training.heuristics import LABELLING_FUNCTIONS, StepView, view_steps

Votes = NDArray[np.int8]
"""[steps, functions]: for each the position of a kind in `classifier.kinds.KINDS`, or `ABSTAIN`."""

FUNCTION_NAMES: Final = tuple(function.name for function in LABELLING_FUNCTIONS)
"""Names of the columns of a vote matrix."""


def vote_matrix(trace: str, spans: Sequence[tuple[int, int]]) -> Votes:
    """Let every labelling function vote on given steps of a trace.

    Parameters
    ----------
    trace
        The whole trace.
    spans
        Character offsets of the steps, ascending and not overlapping. Text before and between them is
        split into steps too and read as their left context.

    Returns
    -------
    array of int8 [spans, functions]
        Each vote is the position of a kind in `KINDS`, or `ABSTAIN`.

    Raises
    ------
    OptionError
        If a span is empty, lies outside the trace, or the spans overlap or are out of order.
    """
    views = _view_spans(trace, spans)
    votes = np.empty((len(views), len(LABELLING_FUNCTIONS)), dtype=np.int8)
    for row, view in enumerate(views):
        votes[row] = [function(view) for function in LABELLING_FUNCTIONS]
    return votes


def gold_votes(documents: Sequence[GoldDocument]) -> Votes:
    """Let every labelling function vote on the labelled steps of documents, all in a row.

    Parameters
    ----------
    documents
        Labelled documents; their labels are not looked at.
    """
    matrices = [vote_matrix(document.trace, document.spans) for document in documents]
    return np.concatenate(matrices) if matrices else np.empty((0, len(LABELLING_FUNCTIONS)), dtype=np.int8)


def _view_spans(trace: str, spans: Sequence[tuple[int, int]]) -> list[StepView]:
    texts: list[str] = []
    wanted: list[int] = []
    position = 0
    for start, end in spans:
        if not position <= start < end <= len(trace):
            raise OptionError(
                f"span ({start}, {end}) does not fit: spans must be ascending, not empty, not overlap and "
                f"lie within the trace's {len(trace)} characters"
            )
        between = trace[position:start]
        if between and not between.isspace():
            texts.extend(between[left:right] for left, right in split_steps(between))
        wanted.append(len(texts))
        texts.append(trace[start:end])
        position = end
    views = view_steps(texts)
    return [views[index] for index in wanted]
