"""Votes to soft labels: each function that votes adds its weights, and a softmax makes probabilities.

The combination is log-linear (maximum entropy): a step's log-odds are a bias a kind plus the sum, over the
functions that vote, of four weights a function. Unlike a naive Bayes product of accuracies, which counts
functions that say the same thing twice, the weights are fitted together, so functions that go along with
others share their evidence. Weights fitted on annotated steps are kept in `vote_weights.json`, so that
`label_votes` needs no data.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.kinds import KIND_CODES, KINDS
from training.gold import GoldDocument
from training.heuristics import ABSTAIN
from training.votes import FUNCTION_NAMES, Votes, gold_votes, vote_matrix

FloatArray = NDArray[np.float32]

WEIGHTS_FILE: Final = "vote_weights.json"
"""The committed weights, beside this module."""

INVERSE_REGULARISATION: Final = 1.0
"""Inverse strength of the L2 penalty that keeps the weights of rare functions small."""

_DECIMALS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class VoteWeights:
    """What each function's vote adds to the log-odds of the kinds.

    Parameters
    ----------
    functions
        Names of the labelling functions, in the order of the vote matrix's columns.
    bias
        Log-odds of the kinds where no function votes, float64 [4].
    weights
        What a function adds where it votes, float64 [functions, 4].
    fitted_on
        The data that the weights were fitted on, in words.
    """

    functions: tuple[str, ...]
    bias: NDArray[np.float64]
    weights: NDArray[np.float64]
    fitted_on: str

    def probabilities(self, votes: Votes) -> FloatArray:
        """Turn votes into soft labels.

        Parameters
        ----------
        votes
            A vote matrix [steps, functions].

        Returns
        -------
        array of float32 [steps, 4]
            Probabilities in the order of `KINDS`; every row sums to 1.

        Raises
        ------
        OptionError
            If the matrix has another number of functions.
        """
        if votes.ndim != 2 or votes.shape[1] != len(self.functions):
            raise OptionError(
                f"a vote matrix of shape {votes.shape} was given, but the weights are for "
                f"{len(self.functions)} functions: expected [steps, {len(self.functions)}]"
            )
        scores = self.bias + (votes != ABSTAIN).astype(np.float64) @ self.weights
        scores -= scores.max(axis=1, keepdims=True, initial=-np.inf) if len(scores) else 0.0
        odds = np.exp(scores)
        probabilities: FloatArray = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities

    def save(self, path: Path) -> None:
        """Write the weights as JSON, a line a function, rounded so that small changes make small diffs.

        Raises
        ------
        OutputFileError
            If the file cannot be written.
        """
        lines = [
            f"  {json.dumps(name)}: {json.dumps([round(float(value), _DECIMALS) for value in row])}"
            for name, row in zip(self.functions, self.weights, strict=True)
        ]
        bias = json.dumps([round(float(value), _DECIMALS) for value in self.bias])
        text = (
            f'{{\n"fitted_on": {json.dumps(self.fitted_on)},\n"kinds": {json.dumps(list(KINDS))},\n'
            f'"bias": {bias},\n"weights": {{\n' + ",\n".join(lines) + "\n}\n}\n"
        )
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputFileError(f"{path} cannot be written: {error.strerror or error}") from error

    @classmethod
    def parse(cls, text: str, place: str) -> Self:
        """Read weights from JSON.

        Parameters
        ----------
        text
            What `save` wrote.
        place
            What messages call it.

        Raises
        ------
        InputFileError
            If it is not such JSON, or its functions are not today's.
        """
        try:
            content = json.loads(text)
            functions = tuple(content["weights"])
            weights = np.array(list(content["weights"].values()), dtype=np.float64)
            bias = np.array(content["bias"], dtype=np.float64)
            fitted_on = str(content["fitted_on"])
            kinds = tuple(content["kinds"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputFileError(
                f"{place}: expected JSON with `fitted_on`, `kinds`, `bias` and `weights`, but {error!r}"
            ) from error
        if functions != FUNCTION_NAMES or kinds != KINDS or weights.shape != (len(functions), len(KINDS)):
            changed = sorted(set(functions) ^ set(FUNCTION_NAMES)) or ["their order or the kinds"]
            raise InputFileError(
                f"{place}: the weights are for other labelling functions ({', '.join(changed[:5])}); fit "
                "them again with `branching label --gold FILE --save-weights FILE`"
            )
        return cls(functions, bias, weights, fitted_on)


@cache
def committed_weights() -> VoteWeights:
    """Return the weights that come with the package."""
    text = resources.files(__package__).joinpath(WEIGHTS_FILE).read_text(encoding="utf-8")
    return VoteWeights.parse(text, WEIGHTS_FILE)


def fit_weights(votes: Votes, kinds: NDArray[np.int64], fitted_on: str = "") -> VoteWeights:
    """Fit weights on annotated steps: multinomial logistic regression on which functions vote.

    Parameters
    ----------
    votes
        A vote matrix [steps, functions].
    kinds
        The annotated kinds as positions in `KINDS`, [steps].
    fitted_on
        The data in words.

    Raises
    ------
    OptionError
        If a kind does not occur, as weights for it cannot be fitted.
    """
    from scipy.sparse import csr_array
    from sklearn.linear_model import LogisticRegression

    missing = [name for index, name in enumerate(KINDS) if not (kinds == index).any()]
    if missing:
        raise OptionError(
            f"no annotated step is {' or '.join(missing)}; give gold files in which every kind occurs"
        )
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=2_000)
    # A step gets a handful of votes, so the sparse form is many times faster.
    model.fit(csr_array((votes != ABSTAIN).astype(np.float64)), kinds)
    return VoteWeights(
        functions=FUNCTION_NAMES,
        bias=np.round(model.intercept_, _DECIMALS),
        weights=np.round(model.coef_.T, _DECIMALS),
        fitted_on=fitted_on,
    )


def gold_kinds(documents: Sequence[GoldDocument]) -> NDArray[np.int64]:
    """Return the kinds of the labelled steps of documents, all in a row, as positions in `KINDS`.

    Raises
    ------
    OptionError
        If a step has no kind.
    """
    kinds = []
    for document in documents:
        for step in document.steps:
            if step.kind is None:
                raise OptionError(
                    f"document {document.id}: step {step.start}..{step.end} has no `kind`; only "
                    f"gold files whose steps have one ({', '.join(KIND_CODES)}) can weigh the votes"
                )
            kinds.append(KINDS.index(KIND_CODES[step.kind]))
    return np.array(kinds, dtype=np.int64)


def fit_on_gold(documents: Sequence[GoldDocument]) -> VoteWeights:
    """Fit weights on labelled documents.

    Parameters
    ----------
    documents
        Documents whose steps have kinds.

    Raises
    ------
    OptionError
        If a step has no kind, or a kind does not occur.
    """
    kinds = gold_kinds(documents)
    return fit_weights(gold_votes(documents), kinds, f"{len(documents)} documents, {len(kinds)} steps")


def cross_fitted(
    votes: Votes, kinds: NDArray[np.int64], groups: Sequence[str], folds: int = 5
) -> FloatArray | None:
    """Label each annotated step by weights fitted on the other groups, so that the labels can be judged.

    Parameters
    ----------
    votes
        A vote matrix [steps, functions].
    kinds
        The annotated kinds as positions in `KINDS`, [steps].
    groups
        What must not be split between fitting and labelling, such as the problem, [steps].
    folds
        Into how many parts the groups are divided.

    Returns
    -------
    array of float32 [steps, 4] or None
        Soft labels; None if there are too few groups, or a kind is missing when one part is left out.
    """
    from sklearn.model_selection import GroupKFold

    if len(set(groups)) < folds:
        return None
    probabilities = np.zeros((len(votes), len(KINDS)), dtype=np.float32)
    for rest, part in GroupKFold(folds).split(votes, kinds, groups):
        if len(set(kinds[rest].tolist())) < len(KINDS):
            return None
        probabilities[part] = fit_weights(votes[rest], kinds[rest]).probabilities(votes[part])
    return probabilities


def label_votes(
    trace: str, spans: Sequence[tuple[int, int]], weights: VoteWeights | None = None
) -> FloatArray:
    """Label steps of a trace by the labelling functions alone.

    Parameters
    ----------
    trace
        The whole trace.
    spans
        Character offsets of the steps, ascending and not overlapping.
    weights
        How to weigh the votes; without any, those that come with the package.

    Returns
    -------
    array of float32 [spans, 4]
        Soft labels in the order of `KINDS`.

    Raises
    ------
    OptionError
        If the spans do not fit the trace.
    """
    return (weights or committed_weights()).probabilities(vote_matrix(trace, spans))
