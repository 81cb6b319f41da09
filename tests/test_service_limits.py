"""The service's limits: each error has its status and its body, and what is abandoned is not run."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from serving.items import score_items
from serving.limits import Limits
from tests.example_traces import BRANCHING, CONVERGING
from tests.service_app import JSON, Connection, RunningApp, check_error, post, running_app, until

pytestmark = pytest.mark.anyio

BODY = json.dumps({"traces": [BRANCHING]}).encode()


@pytest.fixture
async def service() -> AsyncIterator[RunningApp]:
    async with running_app(Limits(max_body_bytes=100_000, max_items=8, max_in_flight=2)) as app:
        yield app


@pytest.fixture
async def impatient() -> AsyncIterator[RunningApp]:
    """Run a service in which no request may wait long for the encoder."""
    async with running_app(Limits(queue_timeout=0.5)) as app:
        yield app


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"traces": [NaN]}', "NaN is not a JSON number"),
        (b'{"traces": [{"trace": "a", "x": -1e999}]}', "-1e999 is too large for a JSON number"),
        (b'{"traces": ["\xff"]}', "not UTF-8 (byte 13 is 0xff)"),
        (b"[" * 50_000, "nested too deeply"),
        (b"1" * 5000, "not JSON"),
    ],
)
async def test_body_that_is_not_json(service: RunningApp, content: bytes, message: str) -> None:
    assert message in check_error(await post(service, content), 400, "malformed_body")["error"]


@pytest.mark.parametrize(
    ("request_body", "place"),
    [
        ([], "the body"),
        ({}, "traces"),
        ({"traces": "one"}, "traces"),
        ({"traces": [], "steps": "yes"}, "steps"),
        ({"traces": [], "max_rate": 1.5}, "max_rate"),
        ({"traces": [], "max_rate": "0.1"}, "max_rate"),
        ({"traces": [], "max_rates": 0.1}, "max_rates"),
        ({"traces": [], "schema": "no such"}, "there is no schema"),
        ({"traces": [], "column": ""}, "column"),
        ({"traces": [1] * 9}, "9 traces"),
    ],
)
async def test_request_of_another_shape(service: RunningApp, request_body: object, place: str) -> None:
    answer = await post(service, json.dumps(request_body))
    assert place in check_error(answer, 422, "invalid_request")["error"]


async def test_traces_inside_rows_count_too(service: RunningApp) -> None:
    four, nine = {"generations": ["So x = 4."] * 4}, {"generations": ["So x = 4."] * 9}
    for path, options in (("/v1/score", {}), ("/v1/filter", {"max_rate": 1})):
        answer = await service.client.post(path, json={"traces": [four, "So.", four], **options})
        body = check_error(answer, 422, "invalid_request")
        assert "9 traces" in body["error"]
        assert body["detail"] == {"max_items": 8}
    # A row that is too much on its own leaves the others alone.
    answer = await service.client.post("/v1/score", json={"traces": [nine, four, four]})
    bad, *good = answer.json()["results"]
    assert (bad["error_type"], [one["step_count"] for one in good]) == ("length", [4, 4])
    assert "9 traces" in bad["error"]
    lines = "".join(json.dumps(row) + "\n" for row in (nine, four, four, four))
    answer = await service.client.post(
        "/v1/score", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    assert ["error" in json.loads(line) for line in answer.text.splitlines()] == [True, False, False, False]


@pytest.mark.parametrize(
    "request_body",
    [
        {"traces": []},
        {"traces": [], "max_rate": 0.1, "keep": 0.5},
        {"traces": [], "keep": 0},
        {"traces": [], "max_rate": 0.1, "on_error": "fail"},
    ],
)
async def test_filter_request_of_another_shape(service: RunningApp, request_body: object) -> None:
    answer = await service.client.post("/v1/filter", json=request_body)
    check_error(answer, 422, "invalid_request")


async def test_rows_that_are_nested_deeply(service: RunningApp) -> None:
    statuses = set()
    for depth in range(900, 1000):
        nested = "[" * depth + "]" * depth
        content = f'{{"traces": [{{"trace": "So x = 4.", "x": {nested}}}], "max_rate": 1}}'
        answer = await service.client.post("/v1/filter", content=content, headers=JSON)
        statuses.add(answer.status_code)
        if answer.status_code == 422:
            assert "nested too deeply" in check_error(answer, 422, "invalid_request")["error"]
    assert statuses == {200, 400, 422}


async def test_body_that_is_too_large(service: RunningApp) -> None:
    large = json.dumps({"traces": ["x" * 100_000]}).encode()
    body = check_error(await post(service, large), 413, "body_too_large")
    assert body["detail"] == {"max_body_bytes": 100_000}

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 1000):
            yield large[start : start + 1000]

    check_error(await post(service, pieces()), 413, "body_too_large")


async def test_unknown_encodings_and_types(service: RunningApp) -> None:
    check_error(await post(service, BODY, content_encoding="br"), 415, "unsupported_body")
    answer = await service.client.post("/v1/score", content=BODY, headers={"content-type": "text/csv"})
    check_error(answer, 415, "unsupported_body")


async def test_paths_and_methods_that_are_not_there(service: RunningApp) -> None:
    check_error(await service.client.get("/v2/score"), 404, "not_found")
    answer = await service.client.get("/v1/score")
    check_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_requests_in_flight(service: RunningApp) -> None:
    service.link.open.clear()
    running = [asyncio.create_task(post(service, BODY)) for _ in range(2)]
    await until(lambda: service.endpoints.running()[1].in_flight == 2)
    answer = await post(service, BODY)
    check_error(answer, 429, "overloaded")
    assert answer.headers["retry-after"] == "1"
    service.link.open.set()
    assert [(await one).status_code for one in running] == [200, 200]
    assert (await post(service, BODY)).status_code == 200


async def test_queue_timeout(impatient: RunningApp) -> None:
    impatient.link.open.clear()
    first = asyncio.create_task(post(impatient, BODY))
    await until(lambda: impatient.link.windows == 1)
    answer = await post(impatient, json.dumps({"traces": [CONVERGING]}))
    check_error(answer, 503, "queue_timeout")
    assert answer.headers["retry-after"] == "5"
    impatient.link.open.set()
    assert (await first).status_code == 200
    # What waited in vain was never run.
    assert impatient.link.windows == 1


async def test_queue_timeout_of_a_request_that_is_slow_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(*arguments: Any) -> Any:
        time.sleep(0.4)
        return score_items(*arguments)

    monkeypatch.setattr("serving.requests.score_items", slowly)
    async with running_app(Limits(queue_timeout=0.2)) as service:
        service.link.open.clear()
        first = asyncio.create_task(post(service, BODY))
        await until(lambda: service.link.windows == 1)
        check_error(await post(service, BODY), 503, "queue_timeout")
        service.link.open.set()
        assert (await first).status_code == 200


async def test_queue_timeout_of_a_request_that_no_thread_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(*arguments: Any) -> Any:
        time.sleep(1)
        return score_items(*arguments)

    monkeypatch.setattr("serving.requests.score_items", slowly)
    async with running_app(Limits(queue_timeout=0.5)) as service:
        answers = await asyncio.gather(*(post(service, BODY) for _ in range(6)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert 0 < len(refused) < 6
        for answer in refused:
            assert "busy" in check_error(answer, 503, "queue_timeout")["error"]


async def test_request_timeout() -> None:
    async with running_app(Limits(request_timeout=2)) as service:
        service.link.open.clear()
        traces = ["\n".join(f"Line {line} of {number}." for line in range(3000)) for number in range(4)]
        answer = await post(service, json.dumps({"traces": [trace[:20_000] for trace in traces]}))
        check_error(answer, 504, "request_timeout")
        run = service.link.windows
        service.link.open.set()
        assert (await post(service, BODY)).status_code == 200
        # One call was under way; the rest of the request was dropped.
        assert run <= service.engine.settings.windows_a_call
        assert service.link.windows == run + 1


async def test_body_that_does_not_arrive() -> None:
    async with running_app(Limits(request_timeout=0.5)) as service:
        connection = Connection(service.app, "/v1/score", JSON)
        connection.send(BODY[:5], more=True)
        await until(lambda: connection.finished)
        assert connection.status == 504


async def test_client_that_goes_is_dropped_from_the_queue(service: RunningApp) -> None:
    service.link.open.clear()
    first = asyncio.create_task(post(service, BODY))
    await until(lambda: service.link.windows == 1)
    connection = Connection(service.app, "/v1/score", JSON)
    connection.send(json.dumps({"traces": [CONVERGING]}).encode(), more=False)
    admission = service.endpoints.running()[1]
    await until(lambda: admission.in_flight == 2)
    connection.disconnect()
    await until(lambda: admission.in_flight == 1)
    service.link.open.set()
    assert (await first).status_code == 200
    assert service.link.windows == 1


async def test_small_request_does_not_wait_for_a_large_one() -> None:
    async with running_app(Limits(max_in_flight=4)) as service:
        service.link.open.clear()
        large = "\n".join(f"Line {number} of many." for number in range(5000))
        slow = asyncio.create_task(post(service, json.dumps({"traces": [large]})))
        await until(lambda: service.link.windows > 0)
        small = asyncio.create_task(post(service, BODY))
        tickets = service.engine.gateway.tickets
        await until(lambda: len(tickets) == 2 and all(one.first_job is not None for one in tickets))
        calls = len(service.link.calls)
        service.link.open.set()
        assert (await small).status_code == 200
        # The small request was in the very next call, though dozens of windows were before it.
        assert len(service.link.calls) <= calls + 3
        assert not slow.done()
        assert (await slow).status_code == 200


async def test_encoder_that_breaks_off_is_asked_again(service: RunningApp) -> None:
    expected = (await post(service, BODY)).json()
    service.link.breaks = 2
    assert (await post(service, BODY)).json() == expected


async def test_encoder_that_keeps_breaking_off(service: RunningApp) -> None:
    service.link.breaks = 3
    check_error(await post(service, BODY), 503, "encoder_down")
    assert (await post(service, BODY)).status_code == 200


@pytest.mark.parametrize("requests", [1, 2, 3, 4])
async def test_one_crash_under_several_calls_fails_no_request(requests: int) -> None:
    lines = "\n".join(f"Line {number} of many." for number in range(5000))
    async with running_app(device="cuda") as service:
        link, ahead = service.link, service.engine.settings.calls_ahead
        link.open.clear()
        # Small requests keep the encoder busy until the large ones are in the queue.
        small = []
        for number in range(ahead):
            small.append(asyncio.create_task(post(service, BODY)))
            await until(lambda number=number: len(link.calls) == number + 1)
        body = json.dumps({"traces": [lines]})
        large = [asyncio.create_task(post(service, body)) for _ in range(requests)]
        tickets = service.engine.gateway.tickets
        await until(lambda: len(tickets) == ahead + requests and all(ticket.jobs for ticket in tickets))
        link.open.set()
        link.open.clear()
        await until(lambda: len(link.calls) == 2 * ahead)
        link.lost = ahead
        link.open.set()
        assert [(await one).status_code for one in [*small, *large]] == [200] * (ahead + requests)
        assert not link.lost


async def test_encoder_that_is_down(impatient: RunningApp) -> None:
    impatient.link.broken = True
    answer = await post(impatient, BODY)
    check_error(answer, 503, "encoder_down")
    assert not impatient.endpoints.ready
    impatient.link.broken = False
    await until(lambda: impatient.endpoints.ready)
    assert (await post(impatient, BODY)).status_code == 200


async def test_window_that_fails_leaves_other_requests_alone(service: RunningApp) -> None:
    await post(service, BODY)
    service.link.failing = {service.link.calls[0][0]}
    bad, good = await asyncio.gather(post(service, BODY), post(service, json.dumps({"traces": [CONVERGING]})))
    check_error(bad, 500, "encoder_failed")
    assert good.status_code == 200


async def test_shutting_down(service: RunningApp) -> None:
    admission = service.endpoints.running()[1]
    service.link.open.clear()
    running = asyncio.create_task(post(service, BODY))
    await until(lambda: service.link.windows == 1)
    drained = asyncio.create_task(admission.drain(5))
    await until(lambda: admission.draining)
    assert not service.endpoints.ready
    answer = await post(service, BODY)
    check_error(answer, 503, "draining")
    assert answer.headers["connection"] == "close"
    assert not drained.done()
    service.link.open.set()
    assert (await running).status_code == 200
    assert await drained


async def test_shutting_down_does_not_wait_for_ever(service: RunningApp) -> None:
    service.link.open.clear()
    running = asyncio.create_task(post(service, BODY))
    await until(lambda: service.link.windows == 1)
    assert not await service.endpoints.running()[1].drain(0.05)
    service.link.open.set()
    await running


async def test_failure_of_our_own_says_nothing_of_the_trace(
    service: RunningApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("serving.requests.score_items", fail)
    body = check_error(await post(service, BODY), 500, "internal")
    assert body["detail"] == "RuntimeError"
    assert "Alternatively" not in caplog.text


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys"
    path.write_text("# of the tests\nfirst-key\nsecond-key\n")
    return str(path)


async def test_api_keys(keys: str) -> None:
    async with running_app(api_keys="third-key", api_keys_file=keys) as service:
        for key in ("first-key", "second-key", "third-key"):
            answer = await post(service, BODY, authorization=f"Bearer {key}")
            assert answer.status_code == 200
        for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "first-key"}):
            answer = await post(service, BODY, **header)
            check_error(answer, 401, "api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
        check_error(await service.client.get("/v1/info"), 401, "api_key")
        check_error(await service.client.post("/v1/filter", content=BODY), 401, "api_key")
        document = (await service.client.get("/openapi.json")).json()
        assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


async def test_cors_is_off_unless_asked_for() -> None:
    origin = {"origin": "https://page.example", "access-control-request-method": "POST"}
    async with running_app() as service:
        answer = await service.client.options("/v1/score", headers=origin)
        assert "access-control-allow-origin" not in answer.headers
    async with running_app(cors_origins="https://page.example, https://other.example") as service:
        answer = await service.client.options("/v1/score", headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://page.example"
        stranger = await service.client.options("/v1/score", headers=origin | {"origin": "https://x.example"})
        assert "access-control-allow-origin" not in stranger.headers
