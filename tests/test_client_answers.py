"""The client and answers of every kind: busy, broken, late, of another model, or of no service at all."""

import asyncio
import json
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from classifier.client import AsyncScoringClient, ClientOptions, ScoringClient, ServedScore
from classifier.endpoint import open_http
from classifier.errors import EndpointError, OptionError, RowError, TraceTypeError
from classifier.loading import endpoint_loader
from tests.example_traces import BRANCHING
from tests.service_process import free_port

Handler = Callable[[httpx.Request], httpx.Response]
GOOD = {"branch_rate": 0.5, "branch_count": 1, "step_count": 2, "kinds": {}}


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Handler], None]:
    """Return a function that puts a handler in the place of every service."""
    monkeypatch.setattr("classifier.endpoint._back_off", lambda state: 0.01)

    def put(handler: Handler) -> None:
        transport = httpx.MockTransport(handler)
        monkeypatch.setattr(
            "classifier.endpoint._http_options", lambda url, *_: {"transport": transport, "base_url": url}
        )

    return put


def test_service_of_another_kind(serve: Callable[[Handler], None]) -> None:
    serve(lambda request: httpx.Response(200, json={"version": "0"}))
    with pytest.raises(EndpointError, match="does not say which model it runs"):
        endpoint_loader("http://service")()


def score_both_ways(**options: Any) -> list[ServedScore]:
    async def score() -> ServedScore:
        async with AsyncScoringClient("http://service", **options) as client:
            return await client.score(BRANCHING)

    with ScoringClient("http://service", **options) as client:
        return [client.score(BRANCHING), asyncio.run(score())]


@pytest.mark.parametrize("status", [429, 503])
def test_busy_service_is_tried_again(serve: Callable[[Handler], None], status: int) -> None:
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        if len(seen) % 3:
            return httpx.Response(
                status, json={"error": "busy", "error_type": "x"}, headers={"Retry-After": "0"}
            )
        return httpx.Response(200, json={"results": [GOOD]})

    serve(handle)
    assert [score.branch_rate for score in score_both_ways()] == [0.5, 0.5]
    assert len(seen) == 6
    assert len(set(seen)) == 1


def test_service_that_stays_busy(serve: Callable[[Handler], None]) -> None:
    serve(lambda request: httpx.Response(503, json={"error": "no time", "error_type": "queue_timeout"}))
    with pytest.raises(EndpointError, match="503: no time"):
        score_both_ways(retry_seconds=0.05)


def test_waits_as_long_as_it_is_asked_to(serve: Callable[[Handler], None]) -> None:
    answers = [
        httpx.Response(429, headers={"Retry-After": "1"}),
        httpx.Response(200, json={"results": [GOOD]}),
    ]
    serve(lambda request: answers.pop(0))
    done = threading.Event()

    def score() -> None:
        ScoringClient("http://service").score(BRANCHING)
        done.set()

    threading.Thread(target=score, daemon=True).start()
    assert not done.wait(0.9)
    assert done.wait(5)


def test_does_not_wait_longer_than_it_may_try(serve: Callable[[Handler], None]) -> None:
    seen: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(1)
        return httpx.Response(503, headers={"Retry-After": "3600"})

    serve(handle)
    began = time.monotonic()
    with pytest.raises(EndpointError, match="503: no known answer; it asks to wait 3600 seconds"):
        score_both_ways(retry_seconds=3)
    assert time.monotonic() - began < 2
    assert len(seen) == 1


def test_broken_connection_is_tried_again(serve: Callable[[Handler], None]) -> None:
    broken = iter([True, False, True, False])

    def handle(request: httpx.Request) -> httpx.Response:
        if next(broken):
            raise httpx.RemoteProtocolError("the server went away")
        return httpx.Response(200, json={"results": [GOOD]})

    serve(handle)
    assert len(score_both_ways()) == 2


def test_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.endpoint._FIRST_PATIENCE", 0.1)
    with (
        ScoringClient(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(EndpointError, match="cannot be reached"),
    ):
        client.score(BRANCHING)


def test_service_that_is_too_slow(serve: Callable[[Handler], None]) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too slow")

    serve(handle)
    with pytest.raises(EndpointError, match="did not answer in time"):
        score_both_ways()


def test_key_from_a_file_is_used_without_its_line_break(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ClientOptions()
    for key in (" the-key\n", "the-key"):
        with open_http("http://service", key, options) as client:
            assert client.headers["authorization"] == "Bearer the-key"
    monkeypatch.setenv("BRANCHING_API_KEY", "the-key\r\n")
    with open_http("http://service", None, options) as client:
        assert client.headers["authorization"] == "Bearer the-key"
    with open_http("http://service", "\n", options) as client:
        assert "authorization" not in client.headers


@pytest.mark.parametrize("key", ["clé-secret", "first secret\nsecond secret", "secret\x01"])
@pytest.mark.parametrize("client", [ScoringClient, AsyncScoringClient])
def test_key_that_is_none(client: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="the API key") as raised:
        client("http://service", api_key=key)
    assert "secret" not in str(raised.value)
    monkeypatch.setenv("BRANCHING_API_KEY", key)
    with pytest.raises(OptionError, match="BRANCHING_API_KEY") as raised:
        client("http://service")
    assert "secret" not in str(raised.value)


def test_request_that_cannot_be_sent_is_not_tried_again(serve: Callable[[Handler], None]) -> None:
    seen: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(1)
        raise httpx.LocalProtocolError("Illegal header value b'Bearer the-key\\n'")

    serve(handle)
    with pytest.raises(EndpointError, match="cannot be sent") as raised:
        score_both_ways()
    assert "the-key" not in str(raised.value)
    assert len(seen) == 1


@pytest.mark.parametrize("url", ["ftp://service", "service:3000", "http://127.0.0.1:abc"])
def test_address_that_is_none(url: str) -> None:
    with pytest.raises(EndpointError, match="not the address of a service"):
        ScoringClient(url).score(BRANCHING)

    async def score() -> None:
        async with AsyncScoringClient(url) as client:
            await client.score(BRANCHING)

    with pytest.raises(EndpointError, match="not the address of a service"):
        asyncio.run(score())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(404, text="nothing"), "404: no known answer; check that a scoring service"),
        (httpx.Response(200, text="hello"), "check that a scoring service"),
        (httpx.Response(200, json={"results": []}), "did not answer with 1 results"),
        (httpx.Response(504, json={"error": "too long", "error_type": "request_timeout"}), "504: too long"),
        (httpx.Response(422, json={"error": "odd", "error_type": "x", "detail": []}), "422: odd"),
    ],
)
def test_answers_that_are_of_no_use(
    serve: Callable[[Handler], None], answer: httpx.Response, message: str
) -> None:
    serve(lambda request: answer)
    with pytest.raises(EndpointError, match=message):
        score_both_ways()


def test_requests_are_limited_in_size(serve: Callable[[Handler], None]) -> None:
    sizes: list[tuple[int, int]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        traces = json.loads(request.content)["traces"]
        sizes.append((len(traces), sum(map(len, traces))))
        return httpx.Response(200, json={"results": [GOOD] * len(traces)})

    serve(handle)
    client = ScoringClient("http://service", batch_size=3, batch_characters=100)
    client.score_batch(["x" * 30] * 7 + ["y" * 90, "z" * 500])
    assert sorted(sizes) == [(1, 30), (1, 90), (1, 500), (3, 90), (3, 90)]


def test_failing_batch_ends_the_call(serve: Callable[[Handler], None]) -> None:
    calls: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        time.sleep(0.01)
        return httpx.Response(401, json={"error": "no key", "error_type": "api_key"})

    serve(handle)
    with pytest.raises(EndpointError, match="no key"):
        ScoringClient("http://service", batch_size=1, connections=1).score_batch([BRANCHING] * 200)
    assert len(calls) < 100


def info_of(sha256: str) -> dict[str, Any]:
    model = {"name": "m", "version": "1", "sha256": sha256, "precision": "fp32"}
    return {"model": {**model, "package_version": "0", "threshold": 0.5}, "providers": []}


@pytest.mark.parametrize("changed", [{"sha256": "b"}, {"precision": "fp16"}])
def test_service_that_changes_its_model(serve: Callable[[Handler], None], changed: dict[str, str]) -> None:
    info = info_of("a")
    models = iter([info["model"], {}, info["model"], {**info["model"], **changed}] * 2)

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/info":
            return httpx.Response(200, json=info)
        return httpx.Response(200, json={"model": next(models), "results": [GOOD]})

    serve(handle)
    with ScoringClient("http://service") as client:
        assert [client.score(BRANCHING).step_count for _ in range(3)] == [2, 2, 2]
        with pytest.raises(EndpointError, match="runs another model than before"):
            client.score(BRANCHING)

    async def score() -> None:
        async with AsyncScoringClient("http://service") as client:
            for _ in range(3):
                await client.score(BRANCHING)
            with pytest.raises(EndpointError, match="runs another model than before"):
                await client.score(BRANCHING)

    asyncio.run(score())


def test_run_has_the_model_that_its_provenance_names(serve: Callable[[Handler], None]) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/info":
            return httpx.Response(200, json=info_of("a"))
        return httpx.Response(200, json={"model": info_of("b")["model"], "results": [GOOD]})

    serve(handle)
    loaded = endpoint_loader("http://service")()
    assert loaded.provenance["model"]["sha256"] == "a"
    for scorer in (loaded.rows, pickle.loads(pickle.dumps(loaded.rows))):  # noqa: S301
        with pytest.raises(EndpointError, match="sha256 b, expected a"):
            scorer.score_rows([{"trace": BRANCHING}])


def test_errors_keep_their_type(serve: Callable[[Handler], None]) -> None:
    results = [
        {"error": "is null", "error_type": "type"},
        {"error": "of a later version", "error_type": "unheard_of"},
    ]
    serve(lambda request: httpx.Response(200, json={"results": results}))
    known, unknown = ScoringClient("http://service").score_batch_or_errors(["a", "b"])
    assert (type(known), str(known)) == (TraceTypeError, "is null")
    assert (type(unknown), str(unknown)) == (RowError, "unheard_of: of a later version")


@pytest.mark.parametrize("option", ["batch_size", "batch_characters", "connections", "timeout"])
def test_options_are_checked(option: str) -> None:
    with pytest.raises(OptionError, match=f"{option} is 0"):
        ScoringClient("http://service", **{option: 0})  # type: ignore[arg-type]


def test_package_that_is_missing(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "tenacity.py").write_text("raise ModuleNotFoundError('gone', name='tenacity')")
    run = subprocess.run(
        [sys.executable, "-c", "import classifier.client"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'branching-classifier[client]'" in run.stderr
