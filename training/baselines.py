"""What the model has to beat: three cue-word lists, the heuristics' vote, and a bag of words."""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union

from classifier.errors import OptionError
from training.cue_words import WORD_LISTS, step_texts
from training.gold import GoldDocument
from training.soft_labels import VoteWeights, label_votes

DECISION_THRESHOLD: Final = 0.5
"""The baselines decide for a branch from this score on."""


class WordList:
    """Scores a step 1 where it holds a cue of a list, else 0.

    Parameters
    ----------
    name
        A key of `WORD_LISTS`.
    """

    def __init__(self, name: str) -> None:
        if name not in WORD_LISTS:
            raise OptionError(f"no word list is named {name!r}; there are {', '.join(WORD_LISTS)}")
        self._pattern = WORD_LISTS[name]

    def probabilities(self, document: GoldDocument) -> NDArray[np.float64]:
        """Score the labelled steps of a document.

        Parameters
        ----------
        document
            A labelled document; its labels are not looked at.

        Returns
        -------
        array [steps]
            0 or 1.
        """
        return np.array([bool(self._pattern.search(text)) for text in step_texts(document)], np.float64)


class LabelVote:
    """Scores a step by the labelling functions' vote, the label that the model's first stage learns from.

    Parameters
    ----------
    weights
        What each function's vote counts; by default the weights that come with the package, which were
        fitted on the documents that the shipped model learned from.
    """

    def __init__(self, weights: VoteWeights | None = None) -> None:
        self._weights = weights

    def probabilities(self, document: GoldDocument) -> NDArray[np.float64]:
        """Score the labelled steps of a document.

        Parameters
        ----------
        document
            A labelled document; its labels are not looked at.

        Returns
        -------
        array [steps, kinds]
            Soft labels in the order of `KINDS`.
        """
        return np.asarray(label_votes(document.trace, document.spans, self._weights), np.float64)


class TfidfBaseline:
    """Logistic regression on a step's words, word pairs and runs of 3 to 5 characters; no context.

    The settings are those that come nearest to the figures the project first measured on its development
    set: TF-IDF with logarithmic counts; words in at least 2, character runs in at least 3 steps; the two
    classes weighted equally, inverse regularisation strength 3.
    """

    def __init__(self) -> None:
        self._pipeline: Pipeline | None = None

    def fit(self, documents: Sequence[GoldDocument]) -> Self:
        """Learn from labelled documents.

        Parameters
        ----------
        documents
            Documents of which some steps branch and some do not.

        Returns
        -------
        TfidfBaseline
            Itself.

        Raises
        ------
        OptionError
            If the documents have only branching steps, or none, or too few words to learn from.
        """
        texts = [text for document in documents for text in step_texts(document)]
        labels = [step.branches for document in documents for step in document.steps]
        if len(set(labels)) < 2:
            raise OptionError(
                f"the TF-IDF baseline needs training steps that branch and some that do not; "
                f"of the {len(labels)} given, {sum(labels)} branch"
            )
        pipeline = make_pipeline(
            make_union(
                TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
                TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=3, sublinear_tf=True),
            ),
            LogisticRegression(C=3, class_weight="balanced", solver="liblinear", random_state=0),
        )
        try:
            self._pipeline = pipeline.fit(texts, labels)
        except ValueError as error:
            raise OptionError(
                f"the TF-IDF baseline cannot learn from {len(labels)} training steps: {error}"
            ) from error
        return self

    def probabilities(self, document: GoldDocument) -> NDArray[np.float64]:
        """Score the labelled steps of a document.

        Parameters
        ----------
        document
            A labelled document; its labels are not looked at.

        Returns
        -------
        array [steps]
            P(branch).

        Raises
        ------
        OptionError
            If the baseline was not fitted.
        """
        if self._pipeline is None:
            raise OptionError("the TF-IDF baseline was not fitted; call fit(documents) first")
        if not document.steps:
            return np.zeros(0)
        return np.asarray(self._pipeline.predict_proba(step_texts(document))[:, 1], np.float64)
