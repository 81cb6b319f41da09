"""Streaming: a result a line, in order, as the lines come; errors that cannot be overlooked."""

import asyncio
import gzip
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from classifier import BranchScorer
from classifier.debug_encoder import DebugEncoder
from serving.limits import Limits
from serving.stream import StreamAbortedError
from tests.example_traces import BRANCHING, CONVERGING, TRACES
from tests.service_app import Connection, RunningApp, running_app, until

pytestmark = pytest.mark.anyio

NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def library() -> BranchScorer:
    return BranchScorer(encoder=DebugEncoder())


@pytest.fixture
async def service() -> AsyncIterator[RunningApp]:
    limits = Limits(max_body_bytes=50_000, max_stream_bytes=2_000_000, max_items=2)
    async with running_app(limits) as app:
        yield app


def line(item: object) -> bytes:
    return json.dumps(item).encode() + b"\n"


def results(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(one) for one in body.splitlines()]


async def test_one_result_a_line_in_order(service: RunningApp, library: BranchScorer) -> None:
    traces = [f"{TRACES[number % len(TRACES)]} This is number {number}." for number in range(300)]
    body = b"".join(line(trace if number % 2 else {"trace": trace}) for number, trace in enumerate(traces))
    answer = await service.client.post("/v1/score", content=body, headers=NDJSON)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["x-model-sha256"] == library.model.sha256
    expected = [score.branch_rate for score in library.score_batch(traces)]
    assert [result["branch_rate"] for result in results(answer.content)] == expected


async def test_options_are_query_parameters(service: RunningApp) -> None:
    answer = await service.client.post(
        "/v1/score?steps=true&max_rate=1", content=line(BRANCHING), headers=NDJSON
    )
    (result,) = results(answer.content)
    assert result["keep"] is True
    assert len(result["steps"]) == result["step_count"]
    for query in ("steps=maybe", "max_rate=x", "max_rate=2", "unknown=1", "schema=none-such"):
        answer = await service.client.post(f"/v1/score?{query}", content=line(BRANCHING), headers=NDJSON)
        assert (answer.status_code, answer.json()["error_type"]) == (422, "invalid_request")


async def test_bad_lines_are_their_own_errors(service: RunningApp) -> None:
    body = (
        line(CONVERGING) + b"not JSON\n\n  \r\n" + b'"\xff"\n' + line(None) + json.dumps(BRANCHING).encode()
    )
    answer = await service.client.post("/v1/score", content=body, headers=NDJSON)
    assert [result.get("error_type") for result in results(answer.content)] == [
        None,
        "format",
        "format",
        "type",
        None,
    ]


async def test_compressed_stream(service: RunningApp) -> None:
    body = gzip.compress(line(CONVERGING) * 3)
    headers = NDJSON | {"content-encoding": "gzip"}
    answer = await service.client.post("/v1/score", content=body, headers=headers)
    assert len(results(answer.content)) == 3
    cut = await service.client.post("/v1/score", content=body[:-4], headers=headers)
    assert (cut.status_code, cut.json()["error_type"]) == (400, "malformed_body")


async def test_empty_stream(service: RunningApp) -> None:
    answer = await service.client.post("/v1/score", content=b"", headers=NDJSON)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_results_come_before_the_stream_ends(service: RunningApp) -> None:
    connection = Connection(service.app, "/v1/score", NDJSON)
    for number in range(3):
        connection.send(line(CONVERGING), more=True)
        await until(lambda number=number: connection.body.count(b"\n") == number + 1)
    assert not connection.finished
    connection.send(b"", more=False)
    await until(lambda: connection.finished)
    assert connection.body.count(b"\n") == 3
    connection.disconnect()
    await connection.task


async def test_client_that_goes_ends_the_stream(service: RunningApp) -> None:
    admission = service.endpoints.running()[1]
    for more in (True, False):
        service.link.open.clear()
        connection = Connection(service.app, "/v1/score", NDJSON)
        connection.send(line(CONVERGING) * 600, more=more)
        await until(lambda: service.link.windows > 0)
        connection.disconnect()
        await until(lambda: admission.in_flight == 0)
        run = service.link.windows
        service.link.open.set()
        await connection.task
        await asyncio.sleep(0.05)
        assert service.link.windows == run
        service.link.calls.clear()


async def test_error_after_the_answer_began_breaks_it_off(service: RunningApp) -> None:
    connection = Connection(service.app, "/v1/score", NDJSON)
    connection.send(line(CONVERGING), more=True)
    await until(lambda: connection.body)
    connection.send(b'"' + b"x" * 60_000, more=True)
    with pytest.raises(StreamAbortedError, match="body_too_large"):
        await connection.task
    assert connection.status == 200
    assert not connection.finished
    assert results(connection.body)[-1].keys() == {"error", "error_type", "detail"}


async def test_silent_client_is_not_waited_for() -> None:
    async with running_app(Limits(request_timeout=0.2)) as service:
        connection = Connection(service.app, "/v1/score", NDJSON)
        connection.send(b'"half a li', more=True)
        await until(lambda: connection.finished)
    assert (connection.status, json.loads(connection.body)["error_type"]) == (504, "request_timeout")


async def test_client_that_sends_nothing_in_pieces_is_not_waited_for() -> None:
    async with running_app(Limits(request_timeout=0.3)) as service:
        connection = Connection(service.app, "/v1/score", NDJSON | {"content-encoding": "gzip"})
        for _ in range(100):
            if connection.finished:
                break
            connection.send(gzip.compress(b""), more=True)
            await asyncio.sleep(0.05)
    assert (connection.status, json.loads(connection.body)["error_type"]) == (504, "request_timeout")


async def test_stream_that_holds_nothing_has_a_limit(service: RunningApp) -> None:
    passed_over = struct.pack("<II", 0x184D2A50, 100_000) + bytes(100_000)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield passed_over

    headers = NDJSON | {"content-encoding": "zstd"}
    answer = await service.client.post("/v1/score", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["error_type"]) == (413, "body_too_large")
    assert answer.json()["detail"] == {"max_stream_bytes": 2_000_000}


async def test_stream_has_a_limit(service: RunningApp) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield line("x" * 10_000)

    answer = await service.client.post("/v1/score", content=endless(), headers=NDJSON)
    assert b'"error_type":"body_too_large"' in answer.content.splitlines()[-1]


async def test_stream_of_tiny_lines_is_linear(service: RunningApp) -> None:
    body = b"1\n" * 10_000
    answer = await asyncio.wait_for(
        service.client.post("/v1/score", content=body, headers=NDJSON), timeout=20
    )
    assert len(results(answer.content)) == 10_000


async def test_streams_count_as_requests_in_flight() -> None:
    async with running_app(Limits(max_in_flight=1)) as service:
        connection = Connection(service.app, "/v1/score", NDJSON)
        connection.send(line(CONVERGING), more=True)
        await until(lambda: connection.body)
        answer = await service.client.post("/v1/score", content=line(CONVERGING), headers=NDJSON)
        assert (answer.status_code, answer.json()["error_type"]) == (429, "overloaded")
        connection.disconnect()
        await connection.task
