"""The cue-word lists that figures call "word list" and "steps without any cue"."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.gold import GoldDocument

WORD_LISTS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        # The share of steps with one of these three words is the filter of arXiv 2604.01702.
        "three_words": re.compile(r"\b(perhaps|another|alternatively)\b", re.IGNORECASE),
        "seal": re.compile(
            r"verify|make sure|hold on|think again|'s correct|'s incorrect|let me check|seems right|^wait"
            r"|think differently|another (way|approach|method|solution|strategy|technique)|^alternatively",
            re.IGNORECASE,
        ),
        "wide": re.compile(
            r"\balternatively\b"
            r"|\banother (way|approach|method|solution|strategy|technique|idea|thought|possibility|option"
            r"|angle|perspective)\b"
            r"|\bdifferent(ly)? (approach|way|method|angle)\b"
            r"|let me try (another|a different)|let's try (another|a different)|\bwhat if\b"
            r"|on second thought|\bor (maybe|perhaps)\b|^(perhaps|maybe)\b"
            r"|^(but |oh |hmm,? ?|no,? )*wait\b|\bhold on\b|that('s| is) (not right|wrong|incorrect)"
            r"|can't be right|doesn't (work|make sense|match|fit)"
            r"|let me (re-?(consider|think|check|examine|visit|do|read)|start over|correct|backtrack)"
            r"|i (made|must have made) (a|an) (mistake|error)|\bcontradict|^no[,.]|\bactually,? (no|wait)\b"
            r"|^hmm\b",
            re.IGNORECASE,
        ),
    }
)
"""The cue lists by name; a step has a cue where its text matches."""


def step_texts(document: GoldDocument) -> list[str]:
    """Return the text of each labelled step.

    Parameters
    ----------
    document
        A labelled document.
    """
    return [document.trace[start:end] for start, end in document.spans]


def cue_free(documents: Iterable[GoldDocument], lists: Iterable[str]) -> NDArray[np.bool_]:
    """Say of each labelled step, all documents in a row, whether it holds no cue of any of the lists.

    Parameters
    ----------
    documents
        Labelled documents.
    lists
        Keys of `WORD_LISTS`.

    Returns
    -------
    array of bool [steps of all documents]
        True where no list matches.
    """
    patterns = [WORD_LISTS[name] for name in lists]
    return np.array(
        [
            not any(pattern.search(text) for pattern in patterns)
            for document in documents
            for text in step_texts(document)
        ],
        np.bool_,
    )
