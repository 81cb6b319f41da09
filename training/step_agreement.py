"""How well the package's own steps agree with labelled steps."""

from collections.abc import Iterable
from dataclasses import dataclass

from classifier.steps import split_steps
from training.gold import GoldDocument


@dataclass(frozen=True, slots=True)
class BoundaryAgreement:
    """Agreement of the own steps' starts and ends with the labelled ones', over all documents together."""

    precision: float
    recall: float
    f1: float


def boundary_agreement(documents: Iterable[GoldDocument]) -> BoundaryAgreement:
    """Compare where own steps and labelled steps start and end.

    A boundary is a start or an end together with its offset. Each trace is split as a whole; of its own
    boundaries only those count that lie in the labelled region, from the first labelled step's start to the
    last one's end.

    Parameters
    ----------
    documents
        Traces with labelled steps.

    Returns
    -------
    BoundaryAgreement
        `precision` is the share of own boundaries that are labelled ones, `recall` the share of labelled
        boundaries that are own ones, `f1` their harmonic mean; all 0 where nothing agrees.
    """
    agreeing = own_total = labelled_total = 0
    for document in documents:
        if not document.steps:
            continue
        first, last = document.steps[0].start, document.steps[-1].end
        labelled = _boundaries(document.spans)
        own = {
            (offset, is_start)
            for offset, is_start in _boundaries(split_steps(document.trace))
            if (first <= offset < last if is_start else first < offset <= last)
        }
        agreeing += len(own & labelled)
        own_total += len(own)
        labelled_total += len(labelled)
    if not agreeing:
        return BoundaryAgreement(precision=0.0, recall=0.0, f1=0.0)
    return BoundaryAgreement(
        precision=agreeing / own_total,
        recall=agreeing / labelled_total,
        f1=2 * agreeing / (own_total + labelled_total),
    )


def _boundaries(spans: Iterable[tuple[int, int]]) -> set[tuple[int, bool]]:
    return {boundary for start, end in spans for boundary in ((start, True), (end, False))}
