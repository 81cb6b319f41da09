"""The labelled steps of many documents as flat arrays, and scorers' probabilities in the same order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from classifier.errors import OptionError
from classifier.kinds import KIND_CODES, KINDS
from training.bootstrap import FloatArray
from training.cue_words import WORD_LISTS, cue_free
from training.gold import GoldDocument
from training.metrics import BoolArray, IndexArray

Probabilities = Mapping[str, Sequence[npt.ArrayLike]]
"""For each scorer one array a document: P(branch) [steps], or the kinds' probabilities [steps, 4]."""

_ROUNDING: Final = 1e-5


@dataclass(frozen=True, slots=True)
class StepTable:
    """The labelled steps of all documents in a row.

    Parameters
    ----------
    branches
        Whether the step branches.
    kinds
        The step's kind as its place in `KINDS`, -1 where unknown.
    documents
        The step's document, counted from 0 without a gap.
    lengths
        One number a document: its trace's characters.
    without_wide_cues, without_any_cues
        Whether the step holds no cue of the wide list, and of none of the lists.
    """

    branches: BoolArray
    kinds: IndexArray
    documents: IndexArray
    lengths: FloatArray
    without_wide_cues: BoolArray
    without_any_cues: BoolArray

    @classmethod
    def of(cls, documents: Sequence[GoldDocument]) -> "StepTable":
        """Lay out the labelled steps of documents.

        Parameters
        ----------
        documents
            Labelled documents; those without a labelled step are left out.

        Raises
        ------
        OptionError
            If there is no labelled step.
        """
        steps = [step for document in documents for step in document.steps]
        if not steps:
            raise OptionError("the gold documents have no labelled step; give a gold file that has some")
        kinds = [-1 if step.kind is None else KINDS.index(KIND_CODES[step.kind]) for step in steps]
        whole = cls(
            branches=np.array([step.branches for step in steps], np.bool_),
            kinds=np.array(kinds, np.intp),
            documents=np.repeat(np.arange(len(documents)), [len(document.steps) for document in documents]),
            lengths=np.array([len(document.trace) for document in documents], np.float64),
            without_wide_cues=cue_free(documents, ["wide"]),
            without_any_cues=cue_free(documents, WORD_LISTS),
        )
        return whole.subset(np.ones(len(steps), np.bool_))

    def subset(self, mask: BoolArray) -> "StepTable":
        """Keep some steps, and the documents that still have one.

        Parameters
        ----------
        mask
            Which steps to keep.
        """
        kept, documents = np.unique(self.documents[mask], return_inverse=True)
        return StepTable(
            branches=self.branches[mask],
            kinds=self.kinds[mask],
            documents=documents,
            lengths=self.lengths[kept],
            without_wide_cues=self.without_wide_cues[mask],
            without_any_cues=self.without_any_cues[mask],
        )

    def rates(self, values: FloatArray | BoolArray) -> FloatArray:
        """Return each document's mean of a value a step.

        Parameters
        ----------
        values
            One number a step.
        """
        sums = np.bincount(self.documents, weights=values, minlength=self.lengths.size)
        return sums / np.bincount(self.documents, minlength=self.lengths.size)


def flatten(documents: Sequence[GoldDocument], probabilities: Probabilities) -> dict[str, FloatArray]:
    """Put each scorer's probabilities into the order of a `StepTable`.

    Parameters
    ----------
    documents
        The documents that were scored.
    probabilities
        For each scorer one array a document.

    Returns
    -------
    dict
        Scorer, its array [steps of all documents] or [steps of all documents, 4].

    Raises
    ------
    OptionError
        If an array does not fit its document, or holds anything but numbers from 0 to 1.
    """
    return {name: _flatten_scorer(documents, name, arrays) for name, arrays in probabilities.items()}


def _flatten_scorer(
    documents: Sequence[GoldDocument], name: str, arrays: Sequence[npt.ArrayLike]
) -> FloatArray:
    if len(arrays) != len(documents):
        raise OptionError(f"{name}: {len(arrays)} arrays of probabilities for {len(documents)} documents")
    pieces = []
    for document, given in zip(documents, arrays, strict=True):
        array = np.asarray(given, np.float64)
        if array.shape not in ((len(document.steps),), (len(document.steps), len(KINDS))):
            raise OptionError(
                f"{name}, document {document.id!r}: probabilities of shape {array.shape}, expected "
                f"({len(document.steps)},) or ({len(document.steps)}, {len(KINDS)})"
            )
        if document.steps:
            pieces.append(array)
    if len({piece.ndim for piece in pieces}) > 1:
        raise OptionError(f"{name}: kind probabilities for some documents, P(branch) alone for others")
    flat = np.concatenate(pieces) if pieces else np.zeros(0)
    if not ((flat >= -_ROUNDING) & (flat <= 1 + _ROUNDING)).all():
        raise OptionError(f"{name}: probabilities must be numbers from 0 to 1")
    return np.clip(flat, 0, 1)
