"""Every labelling function on examples of our own, and what the views of steps tell."""

import time

import numpy as np
import pytest

from classifier.errors import OptionError
from classifier.kinds import KINDS
from classifier.steps import split_steps
from tests.heuristic_examples import EXAMPLES, PASSAGES, example_steps
from training.heuristics import ABSTAIN, LABELLING_FUNCTIONS, LabellingFunction, view_steps
from training.votes import FUNCTION_NAMES, gold_votes, vote_matrix

FUNCTIONS = {function.name: function for function in LABELLING_FUNCTIONS}


def vote_on(function: LabellingFunction, example: str) -> int:
    return function(view_steps(example_steps(example))[-1])


def test_every_function_has_a_name_of_its_own_and_examples() -> None:
    assert len(FUNCTIONS) == len(LABELLING_FUNCTIONS)
    assert list(EXAMPLES) == list(FUNCTION_NAMES)
    assert all(catches and leaves for catches, leaves in EXAMPLES.values())


def test_every_kind_has_functions() -> None:
    assert {function.kind for function in LABELLING_FUNCTIONS} == set(KINDS)


@pytest.mark.parametrize("function", LABELLING_FUNCTIONS, ids=FUNCTION_NAMES)
def test_description_says_what_is_caught_and_what_is_left(function: LabellingFunction) -> None:
    assert function.description.startswith("Catch ")
    assert "leave " in function.description.lower()


@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name, (catches, _) in EXAMPLES.items() for example in catches]
)
def test_function_catches(name: str, example: str) -> None:
    assert vote_on(FUNCTIONS[name], example) == KINDS.index(FUNCTIONS[name].kind)


@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name, (_, leaves) in EXAMPLES.items() for example in leaves]
)
def test_function_leaves(name: str, example: str) -> None:
    assert vote_on(FUNCTIONS[name], example) == ABSTAIN


def test_view_reads_openers_and_lead() -> None:
    view = view_steps(["**But wait**, hmm… the _lid_ is ajar."])[0]

    assert view.openers == {"but", "wait", "hmm"}
    assert view.lead == "the _lid_ is ajar."
    assert view.adversative


@pytest.mark.parametrize("text", ["No lid fits.", "Well-made lids fit.", "Nowhere is a lid."])
def test_words_that_only_look_like_openers_are_none(text: str) -> None:
    assert not view_steps([text])[0].openers


def test_view_strips_list_markers_and_straightens_quotes() -> None:
    item, number, prose = view_steps(["- A lid “fits”.", "12. A lid fits.", "3.5 lids fit."])

    assert (item.plain, item.is_item) == ('a lid "fits".', True)
    assert (number.plain, number.is_item) == ("a lid fits.", True)
    assert (prose.plain, prose.is_item) == ("3.5 lids fit.", False)


def test_view_counts_what_came_before() -> None:
    views = view_steps(
        ["Maybe tin.", "No, tin bends.", "Let me check the lid.", "So the answer is zinc.", "Fine."]
    )
    past = views[-1].past

    assert (past.proposals, past.rejections, past.checks, past.conclusions) == (1, 1, 1, 1)
    assert (past.since_proposal, past.since_rejection, past.hedged_lately) == (4, 3, 2)
    assert views[0].past.since_proposal == 0


def test_view_depends_on_nothing_that_comes_later() -> None:
    steps = PASSAGES["@restless"] + PASSAGES["@concluded"]
    whole = view_steps(steps)

    for length in (1, 5, len(steps) - 1):
        part = view_steps(steps[:length])
        for function in LABELLING_FUNCTIONS:
            assert [function(view) for view in part] == [function(view) for view in whole[:length]]


def test_quotation_that_never_closes_ends_after_a_few_steps() -> None:
    views = view_steps(
        ['The sign reads: "Mind the step.', *(f"Line {number} follows." for number in range(12))]
    )

    assert views[1].in_quote
    assert not views[-1].in_quote


def test_fence_closes_the_code() -> None:
    views = view_steps(["```", "x = 1", "```", "The code is done."])

    assert [view.in_code for view in views] == [True, True, True, False]


def test_restless_and_calm_passages_differ_in_tempo() -> None:
    restless = view_steps([*PASSAGES["@restless"], "End."])[-1]
    calm = view_steps([*PASSAGES["@calm"], "End."])[-1]

    assert restless.restless
    assert not calm.restless
    assert calm.tempo == 0.0


def test_vote_matrix_has_a_row_a_span_and_a_column_a_function() -> None:
    trace = " ".join(PASSAGES["@restless"])
    spans = split_steps(trace)
    votes = vote_matrix(trace, spans)

    assert votes.dtype == np.int8
    assert votes.shape == (len(spans), len(LABELLING_FUNCTIONS))
    for column, function in enumerate(LABELLING_FUNCTIONS):
        assert set(votes[:, column].tolist()) <= {ABSTAIN, function.vote}


def test_vote_matrix_reads_the_text_before_and_between_spans() -> None:
    trace = " ".join([*PASSAGES["@restless"], "Maybe the frame was brittle."])
    spans = split_steps(trace)
    whole = vote_matrix(trace, spans)

    assert (vote_matrix(trace, spans[-1:]) == whole[-1:]).all()
    assert (vote_matrix(trace, [spans[0], spans[5], spans[-1]]) == whole[[0, 5, -1]]).all()
    assert (vote_matrix("Maybe the frame was brittle.", [(0, 28)]) != whole[-1:]).any()


def test_vote_matrix_of_nothing_is_empty() -> None:
    assert vote_matrix("A lid.", []).shape == (0, len(LABELLING_FUNCTIONS))
    assert gold_votes([]).shape == (0, len(LABELLING_FUNCTIONS))


@pytest.mark.parametrize("spans", [[(3, 3)], [(0, 99)], [(2, 4), (0, 2)], [(0, 4), (2, 6)], [(-1, 2)]])
def test_spans_that_do_not_fit_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(OptionError, match="does not fit"):
        vote_matrix("A lid.", spans)


@pytest.mark.parametrize(
    "text",
    [
        "but " * 20_000,
        "the " * 20_000,
        '"' * 50_000,
        "let me " * 15_000,
        "a:" * 30_000,
        "?" * 50_000,
        "1. " * 20_000,
    ],
)
def test_hostile_step_takes_linear_time(text: str) -> None:
    started = time.process_time()
    views = view_steps([text])
    for function in LABELLING_FUNCTIONS:
        function(views[0])

    assert time.process_time() - started < 5
