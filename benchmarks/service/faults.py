"""What clients see while the encoder is killed, and while the service is told to stop, both under load.

Run from the repository's root:

    python -m benchmarks.service.faults --kills 3
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.service.load import Outcome, Outcomes, closed_loop, make_trace, sender
from benchmarks.service.options import parse_service_options, service_parser
from classifier import BranchScorer
from tests.service_process import RunningService, running_service

ENCODER = "window_encoder"
LONGEST = 120.0


def main() -> None:
    """Measure and print the figures as JSON."""
    parser = service_parser(__doc__, clients=16)
    parser.add_argument("--kills", type=int, default=3, help="how often the encoder is killed")
    options = parse_service_options(parser)
    others, settings = options.others, options.settings
    rng = random.Random(9)
    requests = [[make_trace(rng, 1000) for _ in range(2)] for _ in range(64)]
    library = BranchScorer(options.model)
    expected = [[score.branch_rate for score in library.score_batch(request)] for request in requests]
    load_average = psutil.getloadavg()[0]
    load = _Load(requests, expected, options.clients)
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), **settings) as service:
        kills = [asyncio.run(_kill(service, load)) for _ in range(others.kills)]
        stop = asyncio.run(_stop(service, load))
        stop["exit_code"] = service.process.wait(LONGEST)
    report = {
        "cores": psutil.cpu_count(),
        "load_average_before": load_average,
        "clients": options.clients,
        "settings": settings,
        "kill -9 of the encoder": kills,
        "SIGTERM": stop,
    }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


class _Load:
    """Clients that send the same requests over and over."""

    def __init__(self, requests: list[list[str]], expected: list[list[float]], clients: int) -> None:
        self._requests = requests
        self._expected = expected
        self._clients = clients

    @asynccontextmanager
    async def running(self, url: str) -> AsyncIterator[Outcomes]:
        """Send in the background; within, look at the outcomes."""
        outcomes = Outcomes()
        async with sender(url, self._requests, self._expected, outcomes) as send:
            sending = asyncio.create_task(closed_loop(send, self._clients, 10**9, LONGEST))
            try:
                yield outcomes
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)


async def _kill(service: RunningService, load: _Load) -> dict[str, Any]:
    async with load.running(service.url) as outcomes:
        await asyncio.sleep(3)
        (worker,) = service.workers(ENCODER)
        worker.kill()
        killed = time.perf_counter()
        # What the dead worker had answered may still be on its way for a moment.
        while (back := _first_good(outcomes, killed + 0.5)) is None:
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        gap = [one for one in outcomes.all if one.answered > killed]
    refused = [one for one in gap if one.status == 503]
    return {
        "seconds_until_the_next_answer": back.answered - killed,
        "statuses_after_the_kill": Outcomes(gap).statuses,
        "longest_wait_for_a_503": max((one.seconds for one in refused), default=None),
        "wrong": outcomes.wrong,
    }


async def _stop(service: RunningService, load: _Load) -> dict[str, Any]:
    async with load.running(service.url) as outcomes:
        await asyncio.sleep(3)
        signalled = time.perf_counter()
        service.process.terminate()
        ready: list[int] = []
        async with httpx.AsyncClient(base_url=service.url, timeout=10) as http:
            try:
                while True:
                    ready.append((await http.get("/readyz")).status_code)
                    await asyncio.sleep(0.02)
            except httpx.TransportError:
                ended = time.perf_counter()
    open_then = [one for one in outcomes.all if one.sent < signalled < one.answered]
    return {
        "in_flight_at_the_signal": Outcomes(open_then).statuses,
        "sent_after_it": Outcomes([one for one in outcomes.all if one.sent >= signalled]).statuses,
        "readyz_after_it": sorted(set(ready)),
        "seconds_until_nothing_listens": ended - signalled,
        "wrong": outcomes.wrong,
    }


def _first_good(outcomes: Outcomes, after: float) -> Outcome | None:
    return next((one for one in outcomes.all if one.status == 200 and one.answered > after), None)


if __name__ == "__main__":
    main()
