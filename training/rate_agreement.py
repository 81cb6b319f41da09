"""Whether own steps give a trace the branch rate that the annotators' steps give it, by the same scorer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from classifier.errors import OptionError
from classifier.steps import split_steps
from training.bootstrap import Estimate, FloatArray, document_weights
from training.evaluate import StepScorer, score_documents, step_probabilities
from training.gold import GoldDocument, GoldStep
from training.metrics import rank_correlation

Split = Callable[[str], Sequence[tuple[int, int]]]


@dataclass(frozen=True, slots=True, eq=False)
class RateAgreement:
    """Branch rates of the labelled part of each trace, by own steps and by the labelled steps."""

    own_rates: FloatArray
    gold_rates: FloatArray
    own_steps: int
    gold_steps: int
    rank_correlation: Estimate


def own_spans(document: GoldDocument, split: Split = split_steps) -> list[tuple[int, int]]:
    """Split a trace by our own rules and keep the steps of its labelled part.

    Parameters
    ----------
    document
        A labelled document.
    split
        The rules.

    Returns
    -------
    list of (start, end)
        The steps of which more than half the characters belong to labelled steps: a file may label a
        part of the trace only, and leave out steps in between.
    """
    labelled = np.zeros(len(document.trace))
    for step in document.steps:
        labelled[step.start : step.end] = 1
    before = np.concatenate([[0], np.cumsum(labelled)])
    return [
        (start, end)
        for start, end in split(document.trace)
        if 2 * (before[end] - before[start]) > end - start
    ]


def rate_agreement(
    documents: Sequence[GoldDocument],
    scorer: StepScorer,
    *,
    split: Split = split_steps,
    resamples: int = 1000,
    seed: int = 0,
) -> RateAgreement:
    """Score the labelled part of each trace twice, by own steps and by the labelled ones.

    Parameters
    ----------
    documents
        Labelled documents; those without a step on either side are left out.
    scorer
        What scores the steps of both.
    split
        The rules that make own steps.
    resamples, seed
        Of the bootstrap over documents.

    Returns
    -------
    RateAgreement
        The two rates of each document and their rank correlation.

    Raises
    ------
    OptionError
        If no document is left.
    """
    pairs = [
        (
            replace(document, steps=tuple(GoldStep(start, end, False, None) for start, end in spans)),
            document,
        )
        for document in documents
        if (spans := own_spans(document, split))
    ]
    if not pairs:
        raise OptionError("the gold documents have no labelled step; give a gold file that has some")
    own_rates = _rates(scorer, [own for own, _ in pairs])
    gold_rates = _rates(scorer, [gold for _, gold in pairs])
    samples = rank_correlation(own_rates, gold_rates, document_weights(len(pairs), resamples, seed))
    return RateAgreement(
        own_rates=own_rates,
        gold_rates=gold_rates,
        own_steps=sum(len(own.steps) for own, _ in pairs),
        gold_steps=sum(len(gold.steps) for _, gold in pairs),
        rank_correlation=Estimate.from_samples(float(samples[0]), samples[1:]),
    )


def _rates(scorer: StepScorer, documents: Sequence[GoldDocument]) -> FloatArray:
    return np.array([step_probabilities(array).mean() for array in score_documents(scorer, documents)])
