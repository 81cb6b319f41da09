"""The service as it is run: both of its processes, started by `branching serve` on a free port."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from classifier import BranchScorer
from classifier.debug_encoder import DebugEncoder
from tests.example_traces import BRANCHING, CONVERGING, TRACES
from tests.service_process import RunningService, running_service

API, ENCODER = "branch_scoring", "window_encoder"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("service"), threads=2) as one:
        yield one


@pytest.fixture(scope="module")
def library() -> BranchScorer:
    return BranchScorer()


def request_bodies(count: int, seed: int) -> list[list[str]]:
    rng = random.Random(seed)
    sentences = [sentence + "." for trace in (BRANCHING, CONVERGING) for sentence in trace.split(". ")]
    return [
        [" ".join(rng.choices(sentences, k=rng.randint(1, 25))) for _ in range(rng.randint(1, 4))]
        for _ in range(count)
    ]


async def send_all(url: str, bodies: list[list[str]], clients: int) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        return await asyncio.gather(
            *(client.post("/v1/score", json={"traces": body, "steps": True}) for body in bodies)
        )


def check(answer: httpx.Response, traces: list[str], library: BranchScorer) -> None:
    assert answer.status_code == 200, answer.text
    for result, score in zip(answer.json()["results"], library.score_batch(traces), strict=True):
        assert result["branch_rate"] == score.branch_rate
        assert [step["kind_probabilities"] for step in result["steps"]] == [
            step.kind_probabilities for step in score.steps
        ]


def test_scores_under_load_are_those_of_the_library(service: RunningService, library: BranchScorer) -> None:
    bodies = request_bodies(24, seed=1)
    for body, answer in zip(bodies, asyncio.run(send_all(service.url, bodies, 12)), strict=True):
        check(answer, body, library)


def test_poisoned_item_among_good_ones(service: RunningService, library: BranchScorer) -> None:
    good = [f"{TRACES[0]} This is number {number}." for number in range(31)]
    for poison in ("x" * 10_000_000, "\ud800 and \udfff."):
        content = json.dumps({"traces": [*good[:5], poison, *good[5:]]})
        answer = httpx.post(
            f"{service.url}/v1/score",
            content=content,
            headers={"content-type": "application/json"},
            timeout=120,
        )
        results = answer.json()["results"]
        bad = results.pop(5)
        assert ("error" in bad) == (poison != "\ud800 and \udfff.")
        expected = [score.branch_rate for score in library.score_batch(good)]
        assert [result["branch_rate"] for result in results] == expected


def test_two_processes_and_the_loopback_only(service: RunningService) -> None:
    assert len(service.workers(API)) == 1
    assert len(service.workers(ENCODER)) == 1
    port = int(service.url.rpartition(":")[2])
    for process in (psutil.Process(service.process.pid), *service.workers(API), *service.workers(ENCODER)):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1"
                assert process.pid == service.process.pid or connection.laddr.port == port


def test_probes_and_information(service: RunningService, library: BranchScorer) -> None:
    for path in ("/livez", "/readyz"):
        assert httpx.get(f"{service.url}{path}", timeout=20).status_code == 200
    info = httpx.get(f"{service.url}/v1/info", timeout=20).json()
    assert info["model"]["sha256"] == library.model.sha256
    assert info["providers"] == ["CPUExecutionProvider"]
    assert info["encoder"] == {"threads": 2, "batch_size": 4}
    assert httpx.post(f"{service.url}/livez", timeout=20).status_code == 405


def test_metrics_count_what_was_done(service: RunningService) -> None:
    def metric(name: str) -> float:
        lines = httpx.get(f"{service.url}/metrics", timeout=20).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    names = {
        'branching_traces_total{outcome="scored"}': 2,
        'branching_traces_total{outcome="empty"}': 1,
        "branching_branch_rate_count": 2,
        "branching_queue_seconds_count": 1,
        "branching_tokenise_seconds_count": 1,
        "branching_request_traces_sum": 3,
        'branching_refused_total{error_type="invalid_request"}': 1,
    }
    before = {name: metric(name) for name in names}
    windows = metric("branching_call_windows_sum")
    calls = metric("branching_encode_seconds_count")
    httpx.post(f"{service.url}/v1/score", json={"traces": [BRANCHING, CONVERGING, ""]}, timeout=60)
    httpx.post(f"{service.url}/v1/score", json={"trace": BRANCHING}, timeout=60)
    assert {name: metric(name) - before[name] for name in names} == names
    assert metric("branching_call_windows_sum") >= windows + 2
    assert metric("branching_encode_seconds_count") > calls
    assert "bentoml_service_request_total" in httpx.get(f"{service.url}/metrics", timeout=20).text


def test_timers_of_bentoml_are_not_left_behind() -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "import types, serving.service\n"
            "from bentoml._internal.server.base_app import BaseAppFactory\n"
            "factory = types.SimpleNamespace(timeout=5, max_concurrency=None)\n"
            "(middleware,) = BaseAppFactory.middlewares.fget(factory)\n"
            "app = object()\n"
            "assert middleware.cls(app, **middleware.kwargs) is app",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_log_has_no_trace(service: RunningService) -> None:
    hidden = "The hidden phrase is quicksilver."
    for content in (
        json.dumps({"traces": [hidden]}),
        json.dumps({"traces": [hidden], "x": 1}),
        '{"' + hidden,
    ):
        httpx.post(
            f"{service.url}/v1/score?note=quicksilver",
            content=content,
            headers={"content-type": "application/json"},
            timeout=60,
        )
    assert "/v1/score" in service.text()
    assert "quicksilver" not in service.text()


@dataclass(frozen=True, slots=True)
class Outcome:
    """When a request was sent and answered, and the answer or the error of the connection."""

    sent: float
    answered: float
    answer: Any

    @property
    def status(self) -> int | None:
        return self.answer.status_code if isinstance(self.answer, httpx.Response) else None


async def load_until(url: str, body: list[str], clients: int, stop: asyncio.Event) -> list[Outcome]:
    """Send one request after the other from several clients."""
    outcomes: list[Outcome] = []

    async def client(http: httpx.AsyncClient) -> None:
        while not stop.is_set():
            sent = time.monotonic()
            try:
                answer: Any = await http.post("/v1/score", json={"traces": body})
            except httpx.ConnectError as error:
                answer = error
                stop.set()
            except httpx.TransportError as error:
                answer = error
            outcomes.append(Outcome(sent, time.monotonic(), answer))

    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        await asyncio.gather(*(client(http) for _ in range(clients)))
    return outcomes


def test_killed_encoder_comes_back(tmp_path: Path) -> None:
    expected = BranchScorer(encoder=DebugEncoder()).score(BRANCHING).branch_rate
    with running_service(tmp_path, encoder="debug", debug_delay=0.02, queue_timeout=25) as service:

        async def run() -> tuple[float, list[Outcome]]:
            stop = asyncio.Event()
            load = asyncio.create_task(load_until(service.url, [BRANCHING], 6, stop))
            await asyncio.sleep(1)
            (worker,) = service.workers(ENCODER)
            worker.kill()
            killed = time.monotonic()
            while time.monotonic() < killed + 60:
                await asyncio.sleep(0.5)
                if await asyncio.to_thread(service.ready) and service.workers(ENCODER):
                    break
            await asyncio.sleep(1)
            stop.set()
            return killed, await load

        killed, outcomes = asyncio.run(run())
        for outcome in outcomes:
            assert outcome.status in (200, 503), repr(outcome)
            if outcome.status == 200:
                assert outcome.answer.json()["results"][0]["branch_rate"] == expected
        again = min(one.answered for one in outcomes if one.answered > killed + 1 and one.status == 200)
        # BentoML looks every ten seconds; the rest is the start of a process on a machine that may be busy.
        assert again - killed < 60
        assert service.terminate() == 0


def test_sigterm_loses_no_request(tmp_path: Path) -> None:
    with running_service(tmp_path, encoder="debug", debug_delay=0.05) as service:

        async def run() -> tuple[float, list[Outcome], list[int]]:
            stop = asyncio.Event()
            load = asyncio.create_task(load_until(service.url, [BRANCHING] * 8, 12, stop))
            await asyncio.sleep(1)
            signalled = time.monotonic()
            service.process.terminate()
            ready: list[int] = []
            async with httpx.AsyncClient(base_url=service.url, timeout=10) as http:
                while not stop.is_set():
                    try:
                        ready.append((await http.get("/readyz")).status_code)
                    except httpx.TransportError:
                        break
                    await asyncio.sleep(0.02)
            stop.set()
            return signalled, await load, ready

        signalled, outcomes, ready = asyncio.run(run())
        assert service.process.wait(60) == 0
        assert 503 in ready
        assert any(one.sent < signalled < one.answered and one.status == 200 for one in outcomes)
        for outcome in outcomes:
            if outcome.status is None:  # no one listened any more
                assert outcome.sent > signalled, repr(outcome)
            elif outcome.status != 200:
                assert outcome.status == 503
                assert outcome.answer.json()["error_type"] == "draining"
        assert "Traceback" not in service.text()
