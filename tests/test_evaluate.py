"""Figures of scorers on labelled documents, from arrays of probabilities."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, cohen_kappa_score

from classifier.errors import OptionError
from tests.toy_gold import DOCUMENTS, Oracle, labels_and_scores, toy_document, without_kinds
from training.baselines import WordList
from training.cue_words import WORD_LISTS, cue_free
from training.evaluate import (
    FIGURES,
    ModelSteps,
    StepScorer,
    evaluate_parts,
    evaluate_probabilities,
    part_names,
    score_documents,
)
from training.gold import GoldDocument


def test_figures_equal_sklearns_on_the_same_steps() -> None:
    scorers: dict[str, StepScorer] = {"model": Oracle(0.9), "wide": WordList("wide")}
    evaluation = evaluate_probabilities(
        DOCUMENTS,
        {name: score_documents(scorer, DOCUMENTS) for name, scorer in scorers.items()},
        {"model": 0.4, "wide": 0.5},
        resamples=50,
    )
    for (name, scorer), threshold in zip(scorers.items(), (0.4, 0.5), strict=True):
        labels, scores = labels_and_scores(DOCUMENTS, scorer)
        figures = evaluation.figures[name]
        assert list(figures) == list(FIGURES)
        assert figures["average_precision"].value == pytest.approx(average_precision_score(labels, scores))
        assert figures["kappa"].value == pytest.approx(cohen_kappa_score(labels, scores >= threshold))
        free = cue_free(DOCUMENTS, WORD_LISTS)
        assert figures["average_precision_without_any_cues"].value == pytest.approx(
            average_precision_score(labels[free], scores[free])
        )
        kinds = np.array([step.kind for document in DOCUMENTS for step in document.steps])
        pair = np.isin(kinds, ["C", "R"])
        assert figures["average_precision_restart"].value == pytest.approx(
            average_precision_score(labels[pair], scores[pair])
        )
    assert evaluation.documents == 20
    assert evaluation.steps == 240
    assert evaluation.branching_steps == labels_and_scores(DOCUMENTS, Oracle())[0].sum()


def test_a_perfect_scorer_gets_perfect_figures() -> None:
    figures = evaluate_probabilities(
        DOCUMENTS, {"model": score_documents(Oracle(0.02), DOCUMENTS)}, {"model": 0.5}, resamples=50
    ).figures["model"]
    for name in ("average_precision", "precision", "recall", "f1", "kappa", "macro_f1", "top_tenth_overlap"):
        assert figures[name].value == 1
        assert (figures[name].low, figures[name].high) == (1, 1)
    assert figures["rate_rank_correlation"].value > 0.95
    assert figures["expected_calibration_error"].value < 0.02
    assert figures["brier"].value < 0.001


def test_intervals_hold_the_figure_and_narrow_with_documents() -> None:
    def interval(documents: Sequence[GoldDocument]) -> float:
        estimate = evaluate_probabilities(
            documents, {"model": score_documents(Oracle(0.8), documents)}, {"model": 0.5}, resamples=200
        ).figures["model"]["average_precision"]
        assert estimate.low < estimate.value < estimate.high
        return estimate.high - estimate.low

    assert interval([toy_document(seed) for seed in range(120)]) < 0.7 * interval(DOCUMENTS)


def test_the_same_seed_gives_the_same_intervals() -> None:
    probabilities = {"model": score_documents(Oracle(0.8), DOCUMENTS)}

    def low(seed: int) -> float:
        evaluation = evaluate_probabilities(DOCUMENTS, probabilities, {"model": 0.5}, resamples=50, seed=seed)
        return evaluation.figures["model"]["average_precision"].low

    assert low(1) == low(1)
    assert low(1) != low(2)


def test_differences_are_the_reference_minus_the_other() -> None:
    probabilities = {
        "model": score_documents(Oracle(0.5), DOCUMENTS),
        "seal": score_documents(WordList("seal"), DOCUMENTS),
        "again": score_documents(Oracle(0.5), DOCUMENTS),
    }
    evaluation = evaluate_probabilities(
        DOCUMENTS, probabilities, dict.fromkeys(probabilities, 0.5), resamples=100
    )
    differences = evaluation.differences("model")
    assert list(differences) == ["seal", "again"]
    ahead = differences["seal"]["average_precision"]
    ours, theirs = (evaluation.figures[name]["average_precision"].value for name in ("model", "seal"))
    assert ahead.value == pytest.approx(ours - theirs)
    assert 0 < ahead.low <= ahead.value <= ahead.high
    same = differences["again"]["kappa"]
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_scores_of_zero_and_one_have_no_calibration_and_no_kinds() -> None:
    figures = evaluate_probabilities(
        DOCUMENTS, {"wide": score_documents(WordList("wide"), DOCUMENTS)}, {"wide": 0.5}, resamples=10
    ).figures["wide"]
    for name in ("expected_calibration_error", "brier", "macro_f1"):
        assert figures[name].as_dict() == {"value": None, "low": None, "high": None}


def test_labels_without_kinds_give_no_figures_of_kinds() -> None:
    documents = [without_kinds(document) for document in DOCUMENTS]
    figures = evaluate_probabilities(
        documents, {"model": score_documents(Oracle(), documents)}, {"model": 0.5}, resamples=10
    ).figures["model"]
    assert np.isnan(figures["macro_f1"].value)
    assert np.isnan(figures["average_precision_restart"].value)
    assert figures["average_precision"].value > 0.9


def test_the_threshold_itself_branches_in_single_precision() -> None:
    document = toy_document(0, "CA")
    tenth = np.float32(0.1)
    array = np.array([[0.95, 0.05, 0, 0], [1 - tenth, tenth, 0, 0]], np.float32)
    figures = evaluate_probabilities([document], {"model": [array]}, {"model": 0.1}, resamples=5).figures
    assert figures["model"]["recall"].value == 1
    assert figures["model"]["precision"].value == 1


def test_documents_without_labelled_steps_are_left_out() -> None:
    empty = replace(toy_document(1), steps=())
    documents = [empty, *DOCUMENTS, empty]
    with_empty = evaluate_probabilities(
        documents, {"model": score_documents(Oracle(), documents)}, {"model": 0.5}, resamples=10
    )
    assert with_empty.documents == len(DOCUMENTS)
    with pytest.raises(OptionError, match="no labelled step"):
        evaluate_probabilities([empty], {"model": [np.zeros(0)]}, {"model": 0.5})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([np.zeros(2)], "1 arrays of probabilities for 2 documents"),
        ([np.zeros(2), np.zeros(3)], r"shape \(3,\), expected \(2,\) or \(2, 4\)"),
        ([np.zeros(2), np.zeros((2, 3))], r"shape \(2, 3\)"),
        ([np.zeros(2), np.zeros((2, 4))], "for others"),
        ([np.zeros(2), np.array([0.5, 1.5])], "from 0 to 1"),
        ([np.zeros(2), np.array([0.5, np.nan])], "from 0 to 1"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused(arrays: list[NDArray[np.float64]], message: str) -> None:
    documents = [toy_document(0, "CA"), toy_document(1, "CB")]
    with pytest.raises(OptionError, match=message):
        evaluate_probabilities(documents, {"model": arrays}, {"model": 0.5})


def test_parts_are_evaluated_on_their_own_steps() -> None:
    probabilities = {"model": score_documents(Oracle(0.8), DOCUMENTS)}
    parts = evaluate_parts(
        DOCUMENTS, probabilities, {"model": 0.5}, part_names(DOCUMENTS, "group"), resamples=20, seed=4
    )
    assert list(parts) == ["group-0", "group-1"]
    alone = evaluate_probabilities(
        DOCUMENTS[1::2], {"model": probabilities["model"][1::2]}, {"model": 0.5}, resamples=20, seed=4
    )
    for name, estimate in alone.figures["model"].items():
        ours = parts["group-1"].figures["model"][name]
        assert (ours.value, ours.low) == pytest.approx((estimate.value, estimate.low), nan_ok=True)


def test_positions_split_the_steps_of_each_document() -> None:
    names = part_names(DOCUMENTS[:1], "position")
    assert names[0][0] == "0–20 %"
    assert names[0][-1] == "80–100 %"
    parts = evaluate_parts(
        DOCUMENTS, {"model": score_documents(Oracle(), DOCUMENTS)}, {"model": 0.5},
        part_names(DOCUMENTS, "position"), resamples=5,
    )  # fmt: skip
    assert sum(part.steps for part in parts.values()) == 240
    assert all(part.documents == 20 for part in parts.values())


def test_part_names_say_where_nothing_is_given_and_refuse_other_words() -> None:
    assert set(part_names(DOCUMENTS[:1], "source")[0]) == {"(none)"}
    with pytest.raises(OptionError, match="expected group, model, source, domain or position"):
        part_names(DOCUMENTS, "colour")


def test_a_domain_is_its_sources_or_else_the_source() -> None:
    sources = ("karthikv792/LLMs-Planning", "a/mixed-source", "")
    documents = [replace(DOCUMENTS[0], source=source) for source in sources]
    assert [names[0] for names in part_names(documents, "domain")] == [
        "planning",
        "a/mixed-source",
        "(none)",
    ]


def test_model_steps_ask_the_scorer_for_the_labelled_spans() -> None:
    class Recorder:
        def score_steps_kinds(self, trace: str, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
            self.asked = (trace, list(spans))
            return np.full((len(spans), 4), 0.25, np.float32)

    recorder = Recorder()
    document = toy_document(3)
    assert ModelSteps(recorder).probabilities(document).shape == (12, 4)
    assert recorder.asked == (document.trace, document.spans)
