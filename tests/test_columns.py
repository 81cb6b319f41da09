"""Rows of any schema in, score columns out."""

import pickle
from typing import Any

import pytest

from classifier import BranchScorer
from classifier.columns import SCORE_COLUMNS
from classifier.debug_encoder import DebugEncoder
from classifier.errors import RowFormatError
from tests.example_traces import BRANCHING, CONVERGING


@pytest.fixture(scope="module")
def scorer() -> BranchScorer:
    return BranchScorer(encoder=DebugEncoder())


def test_columns_of_good_and_bad_rows(scorer: BranchScorer) -> None:
    rows = [
        {"trace": CONVERGING},
        {"trace": None},
        RowFormatError("line 3 is not JSON"),
        {"trace": BRANCHING},
    ]
    first, null, unparsed, last = scorer.columns().score_rows(rows)
    assert tuple(first) == SCORE_COLUMNS
    score = scorer.score(CONVERGING)
    assert first == {
        "branch_rate": score.branch_rate,
        "branch_count": score.branch_count,
        "step_count": score.step_count,
        "branch_error": None,
    }
    assert last["branch_rate"] == scorer.score(BRANCHING).branch_rate
    assert unparsed == dict.fromkeys(SCORE_COLUMNS) | {"branch_error": "format: line 3 is not JSON"}
    assert null["branch_rate"] is None
    assert null["branch_error"]


def test_several_traces_in_a_row(scorer: BranchScorer) -> None:
    (row,) = scorer.columns().score_rows([{"problem": "?", "generations": [CONVERGING, BRANCHING]}])
    rates = [scorer.score(CONVERGING).branch_rate, scorer.score(BRANCHING).branch_rate]
    assert row["branch_rates"] == rates
    assert row["branch_rate"] == sum(rates) / 2


def test_one_bad_trace_of_several_is_named(scorer: BranchScorer) -> None:
    (row,) = scorer.columns().score_rows(
        [{"problem": "?", "generations": [CONVERGING, "这是一个中文的推理过程。"]}]
    )
    assert row["branch_rate"] is None
    assert row["branch_error"].startswith("language: trace 1 of 2: ")


def test_steps_are_added_on_request(scorer: BranchScorer) -> None:
    good, bad = scorer.columns(steps=True).score_rows([{"trace": BRANCHING}, {"trace": ""}])
    score = scorer.score(BRANCHING)
    assert [(step["start"], step["end"]) for step in good["branch_steps"]] == list(score.spans)
    assert bad["branch_steps"] is None


def test_batch_of_columns(scorer: BranchScorer) -> None:
    batch: dict[str, list[object]] = {"id": [1, 2], "trace": [CONVERGING, BRANCHING]}
    added = scorer.columns("trace")(batch)
    assert list(added) == list(SCORE_COLUMNS)
    assert added["branch_rate"] == [scorer.score(text).branch_rate for text in (CONVERGING, BRANCHING)]


def test_function_survives_pickling() -> None:
    function = pickle.loads(pickle.dumps(BranchScorer(threads=1).columns("trace")))  # noqa: S301
    assert function({"trace": ["One step."]})["step_count"] == [1]


def test_datasets_map_keeps_types_where_all_is_null(scorer: BranchScorer) -> None:
    datasets: Any = pytest.importorskip("datasets")
    rows = {"id": [1, 2, 3, 4], "trace": [CONVERGING, BRANCHING, None, None]}
    dataset = datasets.Dataset.from_dict(rows)
    scored = dataset.map(scorer.columns("trace"), batched=True, batch_size=2, load_from_cache_file=False)
    types = {name: feature.dtype for name, feature in scored.features.items()}
    assert types == {
        "id": "int64",
        "trace": "string",
        "branch_rate": "float64",
        "branch_count": "int32",
        "step_count": "int32",
        "branch_error": "string",
    }
    assert scored["branch_rate"][:2] == [scorer.score(text).branch_rate for text in (CONVERGING, BRANCHING)]
    assert scored["branch_rate"][2:] == [None, None]
    assert scored["id"][:] == [1, 2, 3, 4]
