"""What serving costs beside calling the library: CPU seconds a trace, wall time at saturation, latencies.

Run from the repository's root:

    python -m benchmarks.service.cost --seconds 20
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
    cpu_seconds,
    make_trace,
    open_loop,
    sender,
    server_processes,
)
from benchmarks.service.options import parse_service_options, service_parser
from classifier import BranchScorer
from classifier.debug_encoder import DebugEncoder
from tests.service_process import running_service


def main() -> None:
    """Measure and print the figures as JSON."""
    parser = service_parser(__doc__, clients=16)
    parser.add_argument("--characters", type=int, default=2000, help="of a trace")
    parser.add_argument("--seconds", type=float, default=20, help="of each part")
    parser.add_argument("--per-request", type=int, nargs="*", default=[1, 16], help="traces in a request")
    options = parse_service_options(parser)
    others, settings = options.others, options.settings
    rng = random.Random(7)
    traces = [make_trace(rng, others.characters) for _ in range(256)]
    report: dict[str, Any] = {
        "characters": others.characters,
        "cores": psutil.cpu_count(),
        "load_average_before": psutil.getloadavg()[0],
        "settings": settings,
    }
    debug = settings.get("encoder") == "debug"
    library = BranchScorer(options.model, encoder=DebugEncoder() if debug else None)
    library.score_batch(traces[:8])
    report["library"] = measure_library(library, traces, others.seconds)
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), **settings) as service:
        processes = server_processes(service.process.pid)
        lone = asyncio.run(alone(service.url, traces, others.seconds))
        report["alone_ms"] = {"p50": lone.percentile(0.5) * 1000, "p99": lone.percentile(0.99) * 1000}
        for size in others.per_request:
            groups = [traces[start : start + size] for start in range(0, len(traces), size)]
            expected = [[score.branch_rate for score in library.score_batch(group)] for group in groups]
            report[f"saturated, {size} a request"] = asyncio.run(
                saturated(service.url, groups, expected, options.clients, others.seconds, processes)
            )
        first = report[f"saturated, {others.per_request[0]} a request"]
        half = first["requests_per_second"] / 2
        outcomes = Outcomes()
        asyncio.run(half_load(service.url, traces, half, others.seconds, outcomes))
        report["half_load_ms"] = {
            "p50": outcomes.percentile(0.5) * 1000,
            "p99": outcomes.percentile(0.99) * 1000,
            "statuses": outcomes.statuses,
        }
    for name, part in report.items():
        if name.startswith("saturated"):
            part["cpu_ratio"] = part["cpu_ms_a_trace"] / report["library"]["cpu_ms_a_trace"]
            part["wall_ratio"] = report["library"]["traces_per_second"] / part["traces_per_second"]
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


def measure_library(scorer: BranchScorer, traces: list[str], seconds: float) -> dict[str, float]:
    """Score in this process for so long."""
    process = [psutil.Process()]
    cpu, began, done = cpu_seconds(process), time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        scorer.score_batch(traces[done % len(traces) :][:32])
        done += len(traces[done % len(traces) :][:32])
    return {
        "cpu_ms_a_trace": 1000 * (cpu_seconds(process) - cpu) / done,
        "traces_per_second": done / (time.perf_counter() - began),
    }


async def alone(url: str, traces: list[str], seconds: float) -> Outcomes:
    """Send one trace after the other."""
    warm_up, outcomes = Outcomes(), Outcomes()
    requests = [[trace] for trace in traces]
    async with sender(url, requests, None, warm_up) as send:
        await closed_loop(send, 1, 20, seconds)
    async with sender(url, requests, None, outcomes) as send:
        await closed_loop(send, 1, 200, seconds)
    return outcomes


async def saturated(
    url: str,
    requests: list[list[str]],
    expected: list[list[float]],
    clients: int,
    seconds: float,
    processes: list[psutil.Process],
) -> dict[str, Any]:
    """Let clients send as fast as they get answers."""
    outcomes = Outcomes()
    async with sender(url, requests, expected, outcomes) as send:
        cpu, began = cpu_seconds(processes), time.perf_counter()
        sent = await closed_loop(send, clients, 10**9, seconds)
        wall = time.perf_counter() - began
        used = cpu_seconds(processes) - cpu
    done = sent * len(requests[0])
    return {
        "requests": sent,
        "statuses": outcomes.statuses,
        "wrong": outcomes.wrong,
        "cpu_ms_a_trace": 1000 * used / done,
        "traces_per_second": done / wall,
        "requests_per_second": sent / wall,
        "p50_ms": outcomes.percentile(0.5) * 1000,
        "p99_ms": outcomes.percentile(0.99) * 1000,
    }


async def half_load(url: str, traces: list[str], rate: float, seconds: float, outcomes: Outcomes) -> None:
    """Send at half the rate of saturation."""
    async with sender(url, [[trace] for trace in traces], None, outcomes) as send:
        await open_loop(send, rate, seconds, random.Random(11))


if __name__ == "__main__":
    main()
