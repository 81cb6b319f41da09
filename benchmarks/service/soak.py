"""Many clients for minutes: scores are compared with the library's, errors counted, memory watched.

Run from the repository's root:

    python -m benchmarks.service.soak --clients 64 --seconds 300
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.service.load import (
    Outcomes,
    closed_loop,
    make_trace,
    resident_megabytes,
    sender,
    server_processes,
)
from benchmarks.service.options import parse_service_options, service_parser
from classifier import BranchScorer
from tests.service_process import running_service

SAMPLE_SECONDS = 2.0


def main() -> None:
    """Measure and print the figures as JSON."""
    parser = service_parser(__doc__, clients=64)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--requests", type=int, default=150, help="different requests, sent over and over")
    options = parse_service_options(parser)
    others, settings = options.others, options.settings
    rng = random.Random(5)
    requests = [
        [make_trace(rng, rng.choice((200, 1000, 2000, 6000))) for _ in range(rng.randint(1, 4))]
        for _ in range(others.requests)
    ]
    library = BranchScorer(options.model)
    expected = [[score.branch_rate for score in library.score_batch(request)] for request in requests]
    outcomes = Outcomes()
    load_average = psutil.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), **settings) as service:
        processes = server_processes(service.process.pid)
        memory = asyncio.run(
            _soak(service.url, requests, expected, options.clients, others.seconds, processes, outcomes)
        )
    minute_one = _around(memory, 60)
    at_the_end = _around(memory, others.seconds)
    report: dict[str, Any] = {
        "cores": psutil.cpu_count(),
        "load_average_before": load_average,
        "clients": options.clients,
        "seconds": others.seconds,
        "settings": settings,
        "requests": len(outcomes.all),
        "traces": sum(len(requests[number % len(requests)]) for number in range(len(outcomes.all))),
        "statuses": outcomes.statuses,
        "wrong": outcomes.wrong,
        "p50_ms": outcomes.percentile(0.5) * 1000,
        "p99_ms": outcomes.percentile(0.99) * 1000,
        "megabytes_at_minute_one": minute_one,
        "megabytes_at_the_end": at_the_end,
        "growth": at_the_end / minute_one - 1,
        "megabytes_every_30_s": [round(_around(memory, at)) for at in range(0, int(others.seconds) + 1, 30)],
    }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


async def _soak(
    url: str,
    requests: list[list[str]],
    expected: list[list[float]],
    clients: int,
    seconds: float,
    processes: list[psutil.Process],
    outcomes: Outcomes,
) -> list[tuple[float, float]]:
    """Send for so long; return the memory of the processes over time."""
    memory: list[tuple[float, float]] = []
    began = time.perf_counter()

    async def watch() -> None:
        while True:
            memory.append((time.perf_counter() - began, resident_megabytes(processes)))
            await asyncio.sleep(SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    async with sender(url, requests, expected, outcomes) as send:
        await closed_loop(send, clients, 10**9, seconds)
    watching.cancel()
    return memory


def _around(memory: list[tuple[float, float]], at: float) -> float:
    """Return the mean of the samples within five seconds of a time, or the one that is nearest."""
    near = [megabytes for when, megabytes in memory if abs(when - at) <= 5]
    return sum(near) / len(near) if near else min(memory, key=lambda one: abs(one[0] - at))[1]


if __name__ == "__main__":
    main()
