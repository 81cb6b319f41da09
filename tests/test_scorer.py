"""The scorer: same values on every path, offsets that fit, errors for single traces."""

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import BranchScorer, TraceScore
from classifier.debug_encoder import DebugEncoder
from classifier.errors import EmptyTraceError, LanguageError, OptionError, RowError, TraceTypeError
from classifier.kinds import BRANCH_KINDS, KINDS
from classifier.scorer import branch_probabilities
from tests.example_traces import BRANCHING, CONVERGING, TRACES


@pytest.fixture(scope="module")
def scorer() -> BranchScorer:
    return BranchScorer()


@pytest.fixture(scope="module")
def debug_scorer() -> BranchScorer:
    return BranchScorer(encoder=DebugEncoder())


def values(scores: list[TraceScore]) -> list[list[list[float]]]:
    return [score.probabilities.tolist() for score in scores]


def test_branching_trace_scores_higher(scorer: BranchScorer) -> None:
    converging, branching = scorer.score(CONVERGING), scorer.score(BRANCHING)
    assert converging.branch_rate < 0.1 < 0.25 < branching.branch_rate
    assert converging.branch_count == 0
    assert branching.branch_count >= 4


def test_score_is_consistent(scorer: BranchScorer) -> None:
    score = scorer.score(BRANCHING)
    steps = score.steps
    assert score.step_count == len(steps) == len(score.spans)
    assert score.branch_rate == pytest.approx(np.mean([step.probability for step in steps]), abs=1e-6)
    branching = [step for step in steps if step.probability >= scorer.threshold]
    assert score.branch_count == len(branching) == sum(score.kinds.values())
    assert list(score.kinds) == list(BRANCH_KINDS)
    for step in steps:
        assert list(step.kind_probabilities) == list(KINDS)
        assert sum(step.kind_probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert step.probability == pytest.approx(1 - step.kind_probabilities["convergent"], abs=1e-6)
        assert (step.kind != "convergent") == (step.probability >= scorer.threshold)
    for kind in BRANCH_KINDS:
        assert score.kinds[kind] == sum(step.kind == kind for step in steps)
    assert "branch_rate=" in repr(score)


def test_steps_cover_the_text(scorer: BranchScorer) -> None:
    for trace in TRACES:
        position = 0
        for step in scorer.score(trace).steps:
            assert trace[position : step.start].strip() == ""
            assert trace[step.start : step.end].strip() == trace[step.start : step.end] != ""
            position = step.end
        assert trace[position:].strip() == ""


def test_concurrent_calls_do_not_mix(scorer: BranchScorer) -> None:
    expected = values(scorer.score_batch(TRACES))
    results: list[list[list[list[float]]]] = []

    def work() -> None:
        results.append(values(scorer.score_batch(TRACES)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from([*TRACES, "One. Two. Three.", "A\n\nB\n\nC"]), max_size=40), st.integers(1, 9)
)
def test_order_is_kept(debug_scorer: BranchScorer, traces: list[str], batch_size: int) -> None:
    other = BranchScorer(encoder=DebugEncoder(batch_size))
    assert values(other.score_batch(traces)) == [
        debug_scorer.score(trace).probabilities.tolist() for trace in traces
    ]


def test_own_steps_score_the_same_as_the_trace(scorer: BranchScorer) -> None:
    score = scorer.score(BRANCHING)
    given_spans = scorer.score_steps(BRANCHING, list(score.spans))
    assert given_spans.dtype == np.float32
    assert given_spans.tolist() == score.step_probabilities.tolist()
    kinds = scorer.score_steps_kinds(BRANCHING, list(score.spans))
    assert branch_probabilities(kinds).tolist() == given_spans.tolist()


def test_text_before_given_spans_is_context(scorer: BranchScorer) -> None:
    proposal = "It could be the blue box."
    earlier = "Maybe it is the red box. But the red box is empty. Perhaps the green one? "
    alone = scorer.score_steps(proposal, [(0, len(proposal))])[0]
    trace = earlier + proposal
    behind = scorer.score_steps(trace, [(len(earlier), len(trace))])[0]
    assert behind > alone + 0.05


def test_no_spans_give_no_scores(scorer: BranchScorer) -> None:
    assert scorer.score_steps(CONVERGING, []).shape == (0,)


def test_wrong_spans_are_refused(scorer: BranchScorer) -> None:
    with pytest.raises(OptionError, match="must be ascending"):
        scorer.score_steps("abc", [(2, 9)])


@pytest.mark.parametrize(
    ("trace", "error", "message"),
    [
        (None, TraceTypeError, "the trace is null"),
        (7, TraceTypeError, "the trace is int"),
        (b"bytes", TraceTypeError, "the trace is bytes"),
        ("", EmptyTraceError, "empty"),
        (" \n\t\u3000", EmptyTraceError, "empty"),
        ("\u200b", EmptyTraceError, "no visible character"),
        ("Это рассуждение написано по-русски, и модель его не знает.", LanguageError, "unknown to the model"),
        ("我们先把两个数相加，然后再除以二。", LanguageError, "unknown to the model"),
    ],
)
def test_bad_traces_give_their_error(
    scorer: BranchScorer, trace: object, error: type[RowError], message: str
) -> None:
    good, bad, other = scorer.score_batch_or_errors([CONVERGING, trace, BRANCHING])
    assert isinstance(bad, error)
    assert message in str(bad)
    assert isinstance(good, TraceScore)
    assert isinstance(other, TraceScore)
    assert values([good, other]) == values(scorer.score_batch([CONVERGING, BRANCHING]))
    with pytest.raises(error) as raised:
        scorer.score_batch([CONVERGING, trace])  # type: ignore[list-item]
    assert raised.value.__notes__ == ["This was trace 1 of the batch."]


def test_lone_surrogates_are_replaced_one_for_one(scorer: BranchScorer) -> None:
    broken = "The sum is \ud800 nine. Then halve it\udfff."
    score = scorer.score(broken)
    clean = scorer.score(broken.replace("\ud800", "\ufffd").replace("\udfff", "\ufffd"))
    assert values([score]) == values([clean])
    assert score.spans[-1][1] == len(broken)


def test_long_trace_scores_in_bounded_memory() -> None:
    trace = "No break at all " * 70_000
    score = BranchScorer(encoder=DebugEncoder()).score(trace)
    assert score.step_count > 100
    assert max(end - start for start, end in score.spans) <= 10_000


def test_scorer_survives_pickling(scorer: BranchScorer) -> None:
    copy = pickle.loads(pickle.dumps(BranchScorer(threads=1)))  # noqa: S301
    assert copy.model == scorer.model
    assert copy.score(BRANCHING).branch_rate == scorer.score(BRANCHING).branch_rate


def test_scorer_says_what_it_runs_on(scorer: BranchScorer) -> None:
    assert scorer.providers[-1] == "CPUExecutionProvider"
    assert len(scorer.model.sha256) == 64
    assert 0 < scorer.threshold < 1
    assert scorer.card["kinds"] == list(KINDS)
