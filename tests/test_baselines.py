"""The baselines: what they find, what they lack, and that they reach the known figures."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from classifier.errors import OptionError
from tests.toy_gold import DOCUMENTS, labels_and_scores, toy_document
from training.baselines import LabelVote, TfidfBaseline, WordList
from training.cue_words import WORD_LISTS, cue_free, step_texts
from training.evaluate import evaluate_probabilities, score_documents
from training.gold import GoldDocument, GoldStep, read_gold
from training.soft_labels import VoteWeights
from training.votes import FUNCTION_NAMES


@pytest.mark.parametrize(
    ("name", "branching", "plain"),
    [
        ("three_words", "So perhaps it rains.", "So it may rain."),
        ("seal", "Wait, the door is locked.", "They wait at the door."),
        ("seal", "Let me check the sum.", "The sum checks out."),
        ("wide", "Hmm, what now?", "He said hmm."),
        ("wide", "I must have made a mistake there.", "The mistake is theirs."),
        ("wide", "But wait, the lid is open.", "But we wait."),
    ],
)
def test_word_lists_find_their_cues(name: str, branching: str, plain: str) -> None:
    text = f"{branching} {plain}"
    cut = len(branching)
    steps = (GoldStep(0, cut, True, None), GoldStep(cut + 1, len(text), False, None))
    document = GoldDocument("d", text, steps, "", "", "", "")
    assert WordList(name).probabilities(document).tolist() == [1, 0]
    assert cue_free([document], [name]).tolist() == [False, True]
    assert step_texts(document) == [branching, plain]


def test_an_unknown_word_list_is_refused() -> None:
    with pytest.raises(OptionError, match="there are three_words, seal, wide"):
        WordList("short")


def test_word_lists_are_those_of_the_data(shared_data: Path) -> None:
    readme = (shared_data / "README.md").read_text(encoding="utf-8")
    lists = dict(re.findall(r"^- (three words|SEAL|wide): `(.*)`$", readme, re.M))
    assert {name: pattern.pattern for name, pattern in WORD_LISTS.items()} == {
        "three_words": lists["three words"],
        "seal": lists["SEAL"],
        "wide": lists["wide"],
    }


def test_label_vote_gives_a_distribution_a_step() -> None:
    votes = LabelVote().probabilities(toy_document(2))
    assert votes.shape == (12, 4)
    assert votes.sum(axis=1) == pytest.approx(1)


def test_label_vote_takes_other_weights() -> None:
    always_restart = VoteWeights(
        FUNCTION_NAMES, np.array([0.0, 0.0, 0.0, 50.0]), np.zeros((len(FUNCTION_NAMES), 4)), "nothing"
    )
    votes = LabelVote(always_restart).probabilities(toy_document(2))
    assert votes == pytest.approx(np.tile([0.0, 0.0, 0.0, 1.0], (12, 1)))


def test_tfidf_learns_which_words_branch() -> None:
    baseline = TfidfBaseline().fit([toy_document(seed) for seed in range(100, 160)])
    labels, scores = labels_and_scores(DOCUMENTS, baseline)
    assert average_precision_score(labels, scores) > 0.95
    assert baseline.probabilities(replace(DOCUMENTS[0], steps=())).shape == (0,)


def test_tfidf_says_what_it_lacks() -> None:
    with pytest.raises(OptionError, match="not fitted"):
        TfidfBaseline().probabilities(DOCUMENTS[0])
    with pytest.raises(OptionError, match="of the 3 given, 0 branch"):
        TfidfBaseline().fit([toy_document(0, "CCC")])
    with pytest.raises(OptionError, match="cannot learn from 2 training steps"):
        TfidfBaseline().fit([toy_document(0, "CB")])


@pytest.mark.parametrize(
    ("list_name", "average_precision", "kappa"),
    [("three_words", 0.31, 0.35), ("seal", 0.26, 0.31), ("wide", 0.44, 0.55)],
)
def test_word_lists_reach_the_known_figures(
    list_name: str, average_precision: float, kappa: float, shared_data: Path
) -> None:
    documents = read_gold([shared_data / "gold" / "dev.jsonl.gz"])
    scores = {list_name: score_documents(WordList(list_name), documents)}
    figures = evaluate_probabilities(documents, scores, {list_name: 0.5}, resamples=10).figures[list_name]
    assert figures["average_precision"].value == pytest.approx(average_precision, abs=0.006)
    assert figures["kappa"].value == pytest.approx(kappa, abs=0.006)


@pytest.mark.slow
def test_tfidf_reaches_the_known_figures(shared_data: Path) -> None:
    gold = shared_data / "gold"
    baseline = TfidfBaseline().fit(read_gold([gold / "train.jsonl.gz"]))
    documents = read_gold([gold / "dev.jsonl.gz"])
    figures = evaluate_probabilities(
        documents, {"tfidf": score_documents(baseline, documents)}, {"tfidf": 0.5}, resamples=10
    ).figures["tfidf"]
    assert figures["average_precision"].value == pytest.approx(0.86, abs=0.01)
    assert figures["kappa"].value == pytest.approx(0.70, abs=0.015)
