"""The service's scores: the library's to the bit, one result an item, whatever stands beside it."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from classifier import BranchScorer
from classifier.columns import RowScorer
from classifier.debug_encoder import DebugEncoder
from serving.limits import Limits
from tests.example_traces import BRANCHING, CONVERGING, TRACES
from tests.service_app import RunningApp, running_app

pytestmark = pytest.mark.anyio

LIMITS = Limits(max_trace_characters=20_000, max_items=40)


@pytest.fixture(scope="module")
def library() -> BranchScorer:
    return BranchScorer(encoder=DebugEncoder())


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[RunningApp]:
    async with running_app(LIMITS) as app:
        yield app


async def score(service: RunningApp, traces: list[Any], **options: Any) -> list[dict[str, Any]]:
    answer = await service.client.post("/v1/score", content=json.dumps({"traces": traces, **options}))
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def check(result: dict[str, Any], library: BranchScorer, trace: str) -> None:
    expected = library.score(trace)
    assert result["branch_rate"] == expected.branch_rate
    assert result["branch_count"] == expected.branch_count
    assert result["step_count"] == expected.step_count
    assert result["kinds"] == expected.kinds


async def test_scores_are_those_of_the_library(service: RunningApp, library: BranchScorer) -> None:
    results = await score(service, TRACES, steps=True)
    for result, trace in zip(results, TRACES, strict=True):
        check(result, library, trace)
        steps = library.score(trace).steps
        assert [(one["start"], one["end"], one["kind"]) for one in result["steps"]] == [
            (step.start, step.end, step.kind) for step in steps
        ]
        assert [one["kind_probabilities"] for one in result["steps"]] == [
            step.kind_probabilities for step in steps
        ]
        assert [one["probability"] for one in result["steps"]] == [step.probability for step in steps]


async def test_concurrent_requests_do_not_mix(service: RunningApp, library: BranchScorer) -> None:
    rng = random.Random(3)
    sentences = [f"Line {number} says {number * 37 % 101}. " for number in range(400)]
    requests = [
        ["".join(rng.sample(sentences, rng.randint(1, 120))) for _ in range(rng.randint(1, 5))]
        for _ in range(40)
    ]
    answers = await asyncio.gather(*(score(service, request) for request in requests))
    for request, results in zip(requests, answers, strict=True):
        for trace, result in zip(request, results, strict=True):
            check(result, library, trace)
    # Windows of several requests shared calls, or the test shows nothing.
    assert len(service.link.calls) < service.link.windows


@pytest.mark.parametrize(
    ("poison", "error_type"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (None, "type"),
        (7, "type"),
        ([], "type"),
        ({"unknown": 1}, "schema"),
        ({"trace": None}, "type"),
        ("x" * 10_000_000, "length"),
        ({"trace": "y" * 10_000_000}, "length"),
        ("Сложим оба числа и получим сумму, равную двенадцати.", "language"),
    ],
)
async def test_poisoned_item_is_its_own_error(
    service: RunningApp, library: BranchScorer, poison: object, error_type: str
) -> None:
    good = [f"{CONVERGING} Number {number}." for number in range(31)]
    results = await score(service, [*good[:13], poison, *good[13:]])
    bad = results.pop(13)
    assert bad.keys() == {"error", "error_type"}
    assert bad["error_type"] == error_type
    for result, trace in zip(results, good, strict=True):
        check(result, library, trace)


async def test_lone_surrogates_are_scored(service: RunningApp, library: BranchScorer) -> None:
    broken = "The sum is \ud800 nine. Then halve it\udfff."
    results = await score(service, [CONVERGING, broken], steps=True)
    check(results[1], library, broken)
    assert results[1]["steps"][-1]["end"] == len(broken)


async def test_rows_of_known_schemas(service: RunningApp, library: BranchScorer) -> None:
    rows = [
        {"messages": [{"role": "assistant", "content": f"<think>{BRANCHING}</think>Two hours."}]},
        {"problem": "How long?", "trace": BRANCHING},
        {"generations": [f"<think>{BRANCHING}</think>", f"<think>{CONVERGING}</think>"]},
        {"generations": [f"<think>{BRANCHING}</think>", "<think></think>"]},
    ]
    results = await score(service, rows)
    check(results[0], library, BRANCHING)
    check(results[1], library, BRANCHING)
    for result, columns in zip(results, RowScorer(library).score_rows(rows), strict=True):
        if columns["branch_error"] is None:
            for name in ("branch_rate", "branch_count", "step_count"):
                assert result[name] == columns[name]
            assert result.get("branch_rates") == columns.get("branch_rates")
        else:
            assert f"{result['error_type']}: {result['error']}" == columns["branch_error"]
    assert len(results[2]["branch_rates"]) == 2


async def test_schema_and_column_are_obeyed(service: RunningApp, library: BranchScorer) -> None:
    row = {"mine": CONVERGING, "trace": BRANCHING}
    check((await score(service, [row], column="mine"))[0], library, CONVERGING)
    check((await score(service, [row], schema="trace"))[0], library, BRANCHING)


async def test_the_reasoning_that_was_scored_comes_back(service: RunningApp) -> None:
    rows = [
        {"messages": [{"role": "assistant", "content": f"<think>{BRANCHING}</think>Two."}]},
        {"generations": [f"<think>{BRANCHING}</think>1", f"<think>{CONVERGING}</think>2"]},
        {"trace": None},
    ]
    one, two, failed = await score(service, rows, texts=True)
    assert one["texts"] == [BRANCHING]
    assert two["texts"] == [BRANCHING, CONVERGING]
    assert "texts" not in failed
    assert "texts" not in (await score(service, rows[:1]))[0]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    answer = await service.client.post(
        "/v1/score?texts=true", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    assert [json.loads(line).get("texts") for line in answer.text.splitlines()] == [
        one["texts"],
        two["texts"],
        None,
    ]


async def test_marked_reasoning_is_read_unless_the_text_is_as_is(
    service: RunningApp, library: BranchScorer
) -> None:
    text = f"  <think>\n{BRANCHING}\n</think>\nTwo hours."
    (marked,) = await score(service, [text], steps=True)
    check(marked, library, BRANCHING)
    first = marked["steps"][0]
    assert BRANCHING.startswith(text[first["start"] : first["end"]])
    (as_is,) = await score(service, [text], as_is=True)
    check(as_is, library, text)


async def test_steps_of_several_marked_blocks_point_into_the_text(
    service: RunningApp, library: BranchScorer
) -> None:
    blocks = [CONVERGING, f"{BRANCHING}\n\nThen add 😀 up.", "So it is 9."]
    text = "Hm? " + " Calling.\n".join(f"<think> {block} </think>" for block in blocks) + "Nine."
    (result,) = await score(service, [text], steps=True)
    joined = "\n\n".join(blocks)
    check(result, library, joined)
    expected = [joined[step.start : step.end] for step in library.score(joined).steps]
    assert [text[step["start"] : step["end"]] for step in result["steps"]] == expected


def turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            turn("user", "Solve it. So what?")
            + turn("assistant", "<think>So\n\nx = 4.</think>4")
            + turn("user", "Now 5.")
            + turn("assistant", "<think>Now add.</think>5"),
            [(75, 85), (168, 176)],
        ),
        ("So x = 4? Okay.<think>Okay.</think>4", [(22, 27)]),
        ("<think>Okay.</think>Okay.", [(7, 12)]),
    ],
)
async def test_steps_point_at_the_reasoning_and_not_at_the_same_words_elsewhere(
    service: RunningApp, text: str, expected: list[tuple[int, int]]
) -> None:
    (result,) = await score(service, [text], steps=True)
    assert [(step["start"], step["end"]) for step in result["steps"]] == expected


async def test_highest_rate_decides_what_is_kept(service: RunningApp, library: BranchScorer) -> None:
    rates = sorted(library.score(trace).branch_rate for trace in TRACES)
    for trace, result in zip(TRACES, await score(service, TRACES, max_rate=rates[2]), strict=True):
        assert result["keep"] is (library.score(trace).branch_rate <= rates[2])
    (bad,) = await score(service, [None], max_rate=0.5)
    assert "keep" not in bad
    assert "keep" not in (await score(service, [BRANCHING]))[0]


async def choose(service: RunningApp, traces: list[Any], **options: Any) -> dict[str, Any]:
    answer = await service.client.post("/v1/filter", content=json.dumps({"traces": traces, **options}))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_filter_by_rate(service: RunningApp, library: BranchScorer) -> None:
    rates = [library.score(trace).branch_rate for trace in TRACES]
    cut = sorted(rates)[2]
    rows = [{"id": number, "trace": trace} for number, trace in enumerate(TRACES)]
    found = await choose(service, [*rows, None], max_rate=cut)
    assert found["max_rate"] == cut
    assert [one["trace"] for one in found["kept"]] == [
        row for row, rate in zip(rows, rates, strict=True) if rate <= cut
    ] + [None]
    assert [one["branch_rate"] for one in found["kept"]] == [rate for rate in rates if rate <= cut] + [None]
    assert found["kept"][-1]["branch_error"].startswith("type: ")
    assert [one["index"] for one in found["dropped"]] == [
        number for number, rate in enumerate(rates) if rate > cut
    ]
    for one in found["dropped"]:
        assert one["reason"] == f"its branch rate {rates[one['index']]:.4f} is above {found['max_rate']:.4f}"


async def test_filter_by_fraction(service: RunningApp, library: BranchScorer) -> None:
    found = await choose(service, [*TRACES, ""], keep=0.5, on_error="drop")
    rates = sorted(library.score(trace).branch_rate for trace in TRACES)
    assert found["max_rate"] == rates[2]
    assert len(found["kept"]) == 3
    assert found["dropped"][-1]["reason"].startswith("it has no score (empty: ")
    nothing = await choose(service, ["", None], keep=0.5)
    assert (nothing["max_rate"], len(nothing["kept"])) == (None, 2)


async def test_filtered_rows_come_back_as_they_were(service: RunningApp) -> None:
    row = {"trace": BRANCHING, "other": ["\ud800", 1.5, {"deep": None}], "big": 2**80}
    found = await choose(service, [row], max_rate=1)
    assert found["kept"][0]["trace"] == row


async def test_answers_state_what_scored(service: RunningApp, library: BranchScorer) -> None:
    answer = await service.client.post("/v1/score", json={"traces": []})
    model = answer.json()["model"]
    assert answer.json()["results"] == []
    assert model["sha256"] == library.model.sha256
    assert model["threshold"] == library.threshold
    info = (await service.client.get("/v1/info")).json()
    assert info["model"] == model
    assert info["limits"] == LIMITS.to_dict()
    assert info["providers"] == ["DebugEncoder"]


async def test_device_is_the_one_that_the_encoder_runs_on(
    service: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def device(*providers: str) -> object:
        monkeypatch.setattr(service.engine.gateway, "description", {"providers": list(providers)})
        return (await service.client.get("/v1/info")).json()["device"]

    assert await device("CUDAExecutionProvider", "CPUExecutionProvider") == "cuda"
    assert await device("CPUExecutionProvider") == "cpu"
    assert await device("DebugEncoder") == service.endpoints.settings.resolved_device
    assert await device() == "cpu"


async def test_answers_say_where_time_went(service: RunningApp) -> None:
    answer = await service.client.post("/v1/score", json={"traces": TRACES})
    names = [part.split(";")[0] for part in answer.headers["server-timing"].split(", ")]
    assert names == ["queue", "tokenise", "encode"]
