"""Figures of step scorers on labelled documents, each with an interval by bootstrap over documents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from classifier.errors import OptionError
from classifier.kinds import KINDS
from classifier.scorer import branch_probabilities
from training import metrics
from training.bootstrap import Estimate, FloatArray, document_weights
from training.domains import DOMAINS
from training.gold import GoldDocument
from training.step_table import Probabilities, StepTable, flatten

FIGURES: Final[Mapping[str, str]] = {
    "average_precision": "average precision",
    "average_precision_without_wide_cues": "- no wide cue",
    "average_precision_without_any_cues": "- no cue at all",
    "average_precision_alternative": "- A against C",
    "average_precision_backtrack": "- B against C",
    "average_precision_restart": "- R against C",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "kappa": "Cohen's kappa",
    "macro_f1": "macro-F1 of kinds",
    "rate_rank_correlation": "rate correlation",
    "rate_rank_correlation_given_length": "- given length",
    "length_rank_correlation": "- with length",
    "top_tenth_overlap": "top-tenth overlap",
    "expected_calibration_error": "calibration error",
    "brier": "Brier score",
}
"""Every figure's key and its name in tables; a leading dash marks a variant of the one above."""

COMPARED_FIGURES: Final = ("average_precision", "kappa", "rate_rank_correlation")
"""The figures of which differences between scorers are taken."""

POSITIONS: Final = ("0–20 %", "20–40 %", "40–60 %", "60–80 %", "80–100 %")
"""Parts of a trace, by where a step starts."""


class StepScorer(Protocol):
    """Anything that scores the labelled steps of a document without looking at the labels."""

    def probabilities(self, document: GoldDocument) -> npt.NDArray[np.floating]:
        """Return P(branch) [steps], or the probabilities of the kinds [steps, 4] in the order of `KINDS`."""
        ...


class KindScorer(Protocol):
    """The part of `BranchScorer` that evaluation needs."""

    def score_steps_kinds(self, trace: str, spans: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
        """Return the probabilities of the kinds [spans, 4] of given spans of a trace."""
        ...


class ModelSteps:
    """Scores labelled steps by a model.

    Parameters
    ----------
    scorer
        A `BranchScorer`, or anything with its `score_steps_kinds`.
    """

    def __init__(self, scorer: KindScorer) -> None:
        self._scorer = scorer

    def probabilities(self, document: GoldDocument) -> npt.NDArray[np.floating]:
        """Score the labelled steps of a document.

        Parameters
        ----------
        document
            A labelled document; its labels are not looked at.

        Returns
        -------
        array [steps, 4]
            Probabilities of the kinds.
        """
        return self._scorer.score_steps_kinds(document.trace, document.spans)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of several scorers on the same documents and the same resamples of them."""

    documents: int
    steps: int
    branching_steps: int
    length_rank_correlation: Estimate
    """Rank correlation of the gold rates with the traces' lengths in characters."""
    figures: dict[str, dict[str, Estimate]]
    """Scorer, key of `FIGURES`, figure; a figure that does not apply is NaN."""

    def differences(self, reference: str) -> dict[str, dict[str, Estimate]]:
        """Return how far a scorer is ahead of each other one, on the same resamples.

        Parameters
        ----------
        reference
            A scorer's name.

        Returns
        -------
        dict
            For each other scorer, `COMPARED_FIGURES` of the reference minus the other's.
        """
        ours = self.figures[reference]
        return {
            name: {figure: ours[figure].minus(theirs[figure]) for figure in COMPARED_FIGURES}
            for name, theirs in self.figures.items()
            if name != reference
        }


def score_documents(scorer: StepScorer, documents: Iterable[GoldDocument]) -> list[FloatArray]:
    """Score the labelled steps of documents.

    Parameters
    ----------
    scorer
        What scores them.
    documents
        Labelled documents.

    Returns
    -------
    list of array
        One a document, [steps] or [steps, 4].
    """
    return [np.asarray(scorer.probabilities(document), np.float64) for document in documents]


def step_probabilities(probabilities: FloatArray) -> FloatArray:
    """Return P(branch) of steps, from it or from the probabilities of the kinds.

    Parameters
    ----------
    probabilities
        [steps], or [steps, 4] in the order of `KINDS`.
    """
    if probabilities.ndim == 1:
        return probabilities
    return branch_probabilities(probabilities.astype(np.float32)).astype(np.float64)


def evaluate_probabilities(
    documents: Sequence[GoldDocument],
    probabilities: Probabilities,
    thresholds: Mapping[str, float],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Compute every figure of every scorer from its probabilities of the labelled steps.

    Parameters
    ----------
    documents
        Labelled documents; those without a labelled step are left out.
    probabilities
        For each scorer one array a document: P(branch) [steps], or the kinds' probabilities [steps, 4].
    thresholds
        For each scorer the P(branch) from which a step is said to branch; its kind then is the most
        probable of the other three.
    resamples
        Number of bootstrap resamples of the documents.
    seed
        Seed of the resampling.

    Returns
    -------
    Evaluation
        Over all documents.

    Raises
    ------
    OptionError
        If there is no labelled step, or the arrays do not fit the documents.
    """
    table = StepTable.of(documents)
    return _evaluate(table, flatten(documents, probabilities), thresholds, resamples, seed)


def evaluate_parts(
    documents: Sequence[GoldDocument],
    probabilities: Probabilities,
    thresholds: Mapping[str, float],
    parts: Sequence[npt.ArrayLike],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Evaluation]:
    """Compute the figures within parts of the steps, such as those of one source model.

    Parameters
    ----------
    documents, probabilities, thresholds, resamples, seed
        As in `evaluate_probabilities`.
    parts
        For each document the name of its part, or one name a step; see `part_names`.

    Returns
    -------
    dict
        Part, its evaluation, sorted by name.

    Raises
    ------
    OptionError
        If there is no labelled step, or the arrays do not fit the documents.
    """
    table = StepTable.of(documents)
    flat = flatten(documents, probabilities)
    names = np.concatenate(
        [
            np.broadcast_to(np.asarray(part, dtype=np.str_), len(document.steps))
            for document, part in zip(documents, parts, strict=True)
        ]
    )
    return {
        str(name): _evaluate(
            table.subset(names == name),
            {scorer: array[names == name] for scorer, array in flat.items()},
            thresholds,
            resamples,
            seed,
        )
        for name in np.unique(names)
    }


def part_names(documents: Sequence[GoldDocument], by: str) -> list[npt.NDArray[np.str_]]:
    """Name the part that each labelled step belongs to.

    Parameters
    ----------
    documents
        Labelled documents.
    by
        `group`, `model` or `source`: the document's; `domain`: its source's, or the source where that is of
        mixed domain; `position`: the fifth of the trace, by characters, in which the step starts.

    Returns
    -------
    list of array of str
        One name a step for each document; `(none)` where the document does not say.

    Raises
    ------
    OptionError
        If `by` is another word.
    """
    if by == "position":
        return [
            np.array(
                [POSITIONS[len(POSITIONS) * start // len(document.trace)] for start, _ in document.spans]
            )
            for document in documents
        ]
    if by not in ("group", "model", "source", "domain"):
        raise OptionError(
            f"cannot split figures by {by!r}; expected group, model, source, domain or position"
        )
    names = [DOMAINS.get(one.source, one.source) if by == "domain" else getattr(one, by) for one in documents]
    return [
        np.full(len(document.steps), name or "(none)")
        for document, name in zip(documents, names, strict=True)
    ]


def _evaluate(
    table: StepTable,
    probabilities: Mapping[str, FloatArray],
    thresholds: Mapping[str, float],
    resamples: int,
    seed: int,
) -> Evaluation:
    weights = document_weights(table.lengths.size, resamples, seed)
    gold_rates = table.rates(table.branches)
    return Evaluation(
        documents=table.lengths.size,
        steps=table.branches.size,
        branching_steps=int(table.branches.sum()),
        length_rank_correlation=_estimate(metrics.rank_correlation(gold_rates, table.lengths, weights)),
        figures={
            name: _figures(table, array, thresholds[name], weights) for name, array in probabilities.items()
        },
    )


def _figures(
    table: StepTable, probabilities: FloatArray, threshold: float, weights: FloatArray
) -> dict[str, Estimate]:
    has_kinds = probabilities.ndim == 2
    branch = step_probabilities(probabilities)
    # As `TraceScore.branch_count` decides: in single precision.
    decided = branch.astype(np.float32) >= np.float32(threshold)
    rates, gold_rates = table.rates(branch), table.rates(table.branches)
    undefined = np.full(len(weights), np.nan)
    samples = dict.fromkeys(FIGURES, undefined)
    masks = {
        "average_precision": np.ones(branch.size, np.bool_),
        "average_precision_without_wide_cues": table.without_wide_cues,
        "average_precision_without_any_cues": table.without_any_cues,
        **{
            f"average_precision_{kind}": (table.kinds == 0) | (table.kinds == place)
            for place, kind in enumerate(KINDS)
            if place > 0
        },
    }
    for name, mask in masks.items():
        samples[name] = metrics.average_precision(
            branch[mask], table.branches[mask], table.documents[mask], weights
        )
    samples |= metrics.decision_figures(decided, table.branches, table.documents, weights)
    known = table.kinds >= 0
    if has_kinds and known.any():
        kinds = np.where(decided, 1 + probabilities[:, 1:].argmax(axis=1), 0)
        samples["macro_f1"] = metrics.macro_f1(
            kinds[known], table.kinds[known], table.documents[known], weights, len(KINDS)
        )
    if not np.isin(branch, (0, 1)).all():
        samples |= metrics.calibration_figures(branch, table.branches, table.documents, weights)
    samples["rate_rank_correlation"] = metrics.rank_correlation(rates, gold_rates, weights)
    samples["rate_rank_correlation_given_length"] = metrics.partial_rank_correlation(
        rates, gold_rates, table.lengths, weights
    )
    samples["length_rank_correlation"] = metrics.rank_correlation(rates, table.lengths, weights)
    samples["top_tenth_overlap"] = metrics.top_tenth_overlap(gold_rates, rates, weights)
    return {name: _estimate(samples[name]) for name in FIGURES}


def _estimate(samples: FloatArray) -> Estimate:
    """Split off the figure on the documents as they are, which stands first."""
    return Estimate.from_samples(float(samples[0]), samples[1:])
