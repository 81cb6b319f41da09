"""Samples of unlabelled traces, for a model to label or with the heuristics' votes as soft labels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Tokenizer

from classifier.kinds import KINDS
from classifier.steps import split_steps
from classifier.windows import WindowLayout
from training.corpus import LabelledTrace, labelled_trace
from training.soft_labels import VoteWeights, label_votes
from training.trace_files import TraceRow

EXCERPT_CHARACTERS = 6_000
"""At most this much of each trace is taken, so that many traces and problems fit the sample."""


def sample_excerpts(
    traces: Iterable[TraceRow], characters: int, seed: int
) -> list[tuple[str, list[tuple[int, int]]]]:
    """Sample parts of traces, the models in turn, so that each teacher's style is heard.

    Parameters
    ----------
    traces
        The unlabelled traces.
    characters
        How much text to take in all.
    seed
        Seed of the choice.

    Returns
    -------
    list of (trace, spans)
        Traces, each with the steps of the chosen part.
    """
    random = np.random.default_rng(seed)
    by_model: dict[str, list[str]] = defaultdict(list)
    for trace in traces:
        by_model[trace.model].append(trace.trace)
    queues = [[texts[index] for index in random.permutation(len(texts))] for texts in by_model.values()]
    chosen: list[tuple[str, list[tuple[int, int]]]] = []
    taken = 0
    while queues and taken < characters:
        for queue in list(queues):
            text = queue.pop()
            if not queue:
                queues.remove(queue)
            spans = _excerpt(text, random)
            if spans:
                chosen.append((text, spans))
                taken += spans[-1][1] - spans[0][0]
            if taken >= characters:
                break
    return chosen


def unlabelled_traces(
    traces: Iterable[TraceRow], characters: int, seed: int, tokenizer: Tokenizer, layout: WindowLayout
) -> list[LabelledTrace]:
    """Sample and tokenise parts of traces for a model to label; their targets are 0.

    Parameters
    ----------
    traces, characters, seed
        As for `sample_excerpts`.
    tokenizer, layout
        Those of the model.
    """
    return [
        labelled_trace(trace, spans, np.zeros((len(spans), len(KINDS)), dtype=np.float32), tokenizer, layout)
        for trace, spans in sample_excerpts(traces, characters, seed)
    ]


def heuristic_traces(
    excerpts: Sequence[tuple[str, list[tuple[int, int]]]],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    weights: VoteWeights,
) -> list[LabelledTrace]:
    """Label excerpts by the heuristics' votes.

    Parameters
    ----------
    excerpts
        Traces with the steps to label.
    tokenizer, layout
        Those of the model.
    weights
        How the votes are weighed.
    """
    return [
        labelled_trace(trace, spans, label_votes(trace, spans, weights), tokenizer, layout)
        for trace, spans in excerpts
    ]


def _excerpt(trace: str, random: np.random.Generator) -> list[tuple[int, int]]:
    spans = split_steps(trace)
    if len(trace) <= EXCERPT_CHARACTERS:
        return spans
    first = int(random.integers(0, len(trace) - EXCERPT_CHARACTERS))
    return [span for span in spans if first <= span[0] and span[1] <= first + EXCERPT_CHARACTERS]
