"""The client: the library's scores through a service, batches, retries, and what errors mean."""

import asyncio
import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from classifier import BranchScorer
from classifier.cli import app
from classifier.client import AsyncScoringClient, ClientOptions, ScoringClient, ServedScore
from classifier.columns import RowScorer
from classifier.debug_encoder import DebugEncoder
from classifier.endpoint import open_http
from classifier.errors import (
    EmptyTraceError,
    EndpointError,
    LanguageError,
    OptionError,
    RowError,
    TraceLengthError,
    TraceTypeError,
)
from classifier.loading import endpoint_loader
from tests.example_traces import BRANCHING, CONVERGING, TRACES
from tests.service_process import free_port, running_service

ODD = ["", None, 7, "Сложим оба числа и получим двенадцать.", "A lone \ud800 surrogate."]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("service")
    keys = folder / "keys"
    keys.write_text("the-key\n")
    with running_service(
        folder, encoder="debug", max_items=8, max_body_bytes=60_000, api_keys_file=keys
    ) as service:
        yield service.url
        assert "the-key" not in service.text()


@pytest.fixture(scope="module")
def library() -> BranchScorer:
    return BranchScorer(encoder=DebugEncoder())


def check(found: ServedScore | RowError, library: BranchScorer, trace: object, *, steps: bool) -> None:
    (expected,) = library.score_batch_or_errors([trace])
    if isinstance(expected, RowError):
        assert type(found) is type(expected)
        assert isinstance(found, RowError)
        assert found.column_text == expected.column_text
        return
    assert isinstance(found, ServedScore)
    for name in ("branch_rate", "branch_count", "step_count", "kinds"):
        assert getattr(found, name) == getattr(expected, name)
    assert list(found.steps) == (expected.steps if steps else [])


@pytest.mark.parametrize("steps", [False, True])
def test_scores_are_those_of_the_library(url: str, library: BranchScorer, steps: bool) -> None:
    # More than one request, and more traces and longer ones in a request than the service takes.
    traces = [*TRACES, *ODD, f"<think>{BRANCHING}</think>Two.", *[f"{CONVERGING} {n}." for n in range(50)]]
    traces += [BRANCHING * 60, BRANCHING * 60, BRANCHING * 60]
    with ScoringClient(url, api_key="the-key", steps=steps, batch_size=16) as client:
        for found, trace in zip(client.score_batch_or_errors(traces), traces, strict=True):
            check(found, library, trace, steps=steps)
        check(client.score(BRANCHING), library, BRANCHING, steps=steps)
        assert client.score_batch([]) == []
        assert client.info()["model"]["sha256"] == library.model.sha256


def test_scores_from_an_event_loop(url: str, library: BranchScorer) -> None:
    traces = [*TRACES, *ODD, *[f"{CONVERGING} {n}." for n in range(40)]]

    async def score() -> None:
        async with AsyncScoringClient(url, api_key="the-key", batch_size=9, connections=3) as client:
            found = await client.score_batch_or_errors(traces)
            for one, trace in zip(found, traces, strict=True):
                check(one, library, trace, steps=False)
            check(await client.score(BRANCHING), library, BRANCHING, steps=False)
            with pytest.raises(EmptyTraceError):
                await client.score_batch([BRANCHING, ""])
            assert (await client.info())["version"]

    asyncio.run(score())


def test_trace_that_is_too_long_for_the_service(url: str) -> None:
    with ScoringClient(url, api_key="the-key") as client:
        good, bad = client.score_batch_or_errors([BRANCHING, "x" * 70_000])
        assert isinstance(good, ServedScore)
        assert isinstance(bad, TraceLengthError)

    async def score() -> list[ServedScore | RowError]:
        async with AsyncScoringClient(url, api_key="the-key") as client:
            return await client.score_batch_or_errors([BRANCHING, "x" * 70_000])

    assert asyncio.run(score())[0] == good


def test_first_bad_trace_is_raised(url: str) -> None:
    with ScoringClient(url, api_key="the-key") as client, pytest.raises(LanguageError) as raised:
        client.score_batch([BRANCHING, ODD[3], ""])  # type: ignore[list-item]
    assert raised.value.__notes__ == ["This was trace 1 of the batch."]


def test_key_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScoringClient(url) as client, pytest.raises(EndpointError, match="401"):
        client.score(BRANCHING)
    monkeypatch.setenv("BRANCHING_API_KEY", "the-key")
    with ScoringClient(url) as client:
        assert client.score(BRANCHING).step_count


def test_columns_are_those_of_the_library(url: str, library: BranchScorer) -> None:
    rows = [
        {"messages": [{"role": "assistant", "content": f"<think>{BRANCHING}</think>Two hours."}]},
        {"trace": CONVERGING},
        {"generations": [f"<think>{BRANCHING}</think>", f"<think>{CONVERGING}</think>"]},
        {"trace": None},
        {"generations": [f"<think>{BRANCHING}</think>", "<think>\ud800</think>"]},
    ]
    client = ScoringClient(url, api_key="the-key")
    for steps in (False, True):
        served = pickle.loads(pickle.dumps(client.columns(steps=steps)))  # noqa: S301
        assert served.score_rows(rows) == RowScorer(library, steps=steps).score_rows(rows)


def test_in_datasets_map(url: str, library: BranchScorer) -> None:
    datasets = pytest.importorskip("datasets")
    traces = [f"{trace} {number}." for number in range(5) for trace in TRACES]
    data = datasets.Dataset.from_dict({"trace": traces})
    columns = ScoringClient(url, api_key="the-key").columns("trace")
    mapped = data.map(columns, batched=True, batch_size=7, num_proc=2, load_from_cache_file=False)
    assert mapped["branch_rate"] == [score.branch_rate for score in library.score_batch(traces)]


def test_from_the_command_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRANCHING_API_KEY", "the-key")
    source = tmp_path / "traces.jsonl"
    source.write_text("".join(json.dumps({"trace": trace}) + "\n" for trace in [*TRACES, None]))

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as stop:
            app(["score", str(source), *arguments], prog_name="branching")
        return int(str(stop.value.code or 0))

    served, local = tmp_path / "served.jsonl", tmp_path / "local.jsonl"
    assert run("-o", str(served), "--endpoint", url, "--steps") == 1
    monkeypatch.setattr("classifier.scorer.OnnxEncoder", lambda *_, **__: DebugEncoder())
    assert run("-o", str(local), "--steps") == 1
    assert served.read_bytes() == local.read_bytes()

    assert run("-o", str(tmp_path / "none.jsonl"), "--endpoint", url, "--threads", "2") == 2
    assert "--endpoint scores elsewhere: leave out --threads" in capfd.readouterr().err
    monkeypatch.setenv("BRANCHING_API_KEY", "wrong")
    assert run("-o", str(tmp_path / "none.jsonl"), "--endpoint", url) == 2
    assert "401" in capfd.readouterr().err
    assert not (tmp_path / "none.jsonl").exists()


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
