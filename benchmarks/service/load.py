"""Shared by the service's benchmarks: traces, load from this process, CPU time of the server's processes."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import psutil

_OPENERS = (
    "So",
    "Then",
    "Now",
    "Hence",
    "Wait,",
    "Alternatively,",
    "Let me check:",
    "But",
    "Or maybe",
    "Next",
)
_MIDDLES = (
    "the sum of the two numbers is",
    "the train has covered",
    "we can factor the left side into",
    "the remaining cards number",
    "the angle at the base must be",
    "that would make the total",
    "the second equation gives",
)


def make_trace(rng: random.Random, characters: int) -> str:
    """Return a trace of about so many characters."""
    sentences: list[str] = []
    size = 0
    while size < characters:
        sentences.append(f"{rng.choice(_OPENERS)} {rng.choice(_MIDDLES)} {rng.randint(2, 999)}.")
        size += len(sentences[-1]) + 1
    return " ".join(sentences)[:characters]


def server_processes(parent: int) -> list[psutil.Process]:
    """Return the processes of a service by the id of its first one."""
    process = psutil.Process(parent)
    return [process, *process.children(recursive=True)]


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU time that processes have used."""
    return float(sum(times.user + times.system for times in (one.cpu_times() for one in processes)))


def resident_megabytes(processes: Sequence[psutil.Process]) -> float:
    """Return the memory that processes hold."""
    return float(sum(one.memory_info().rss for one in processes)) / 1e6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Parameters
    ----------
    sent, answered
        When, in seconds of `time.perf_counter`.
    status
        Of the answer; 0 for a connection that failed.
    right
        Whether the scores were the expected ones.
    """

    sent: float
    answered: float
    status: int
    right: bool

    @property
    def seconds(self) -> float:
        """Return the latency."""
        return self.answered - self.sent


@dataclass
class Outcomes:
    """What a load run saw.

    Parameters
    ----------
    all
        One a request, in the order of their ends.
    """

    all: list[Outcome] = field(default_factory=list)

    @property
    def statuses(self) -> dict[int, int]:
        """Return how often each status was answered; 0 for a connection that failed."""
        return dict(Counter(one.status for one in self.all))

    @property
    def wrong(self) -> int:
        """Return how many answers with status 200 had other scores than the expected ones."""
        return sum(one.status == 200 and not one.right for one in self.all)

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies of the answers with status 200, in seconds."""
        ordered = sorted(one.seconds for one in self.all if one.status == 200)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


Send = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def sender(
    url: str, requests: Sequence[list[str]], expected: Sequence[list[float]] | None, outcomes: Outcomes
) -> AsyncIterator[Send]:
    """Yield a function that sends one of the requests and counts its outcome."""
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
    async with httpx.AsyncClient(base_url=url, timeout=330, limits=limits) as client:

        async def send(number: int) -> None:
            number %= len(requests)
            began = time.perf_counter()
            try:
                answer = await client.post("/v1/score", json={"traces": requests[number]})
            except httpx.TransportError:
                outcomes.all.append(Outcome(began, time.perf_counter(), status=0, right=True))
                return
            ended = time.perf_counter()
            right = True
            if answer.status_code == 200 and expected is not None:
                rates = [result.get("branch_rate") for result in answer.json()["results"]]
                right = rates == expected[number]
            outcomes.all.append(Outcome(began, ended, answer.status_code, right))

        yield send


async def closed_loop(send: Send, clients: int, requests: int, seconds: float) -> int:
    """Let clients send one request after the other; return how many were sent."""
    deadline = time.perf_counter() + seconds
    sent = 0

    async def client() -> None:
        nonlocal sent
        while sent < requests and time.perf_counter() < deadline:
            number, sent = sent, sent + 1
            await send(number)

    await asyncio.gather(*(client() for _ in range(clients)))
    return sent


async def open_loop(send: Send, rate: float, seconds: float, rng: random.Random) -> None:
    """Send requests at random times, so many a second, whatever the answers do."""
    deadline = time.perf_counter() + seconds
    running: set[asyncio.Task[None]] = set()
    number = 0
    while time.perf_counter() < deadline:
        task = asyncio.ensure_future(send(number))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
        await asyncio.sleep(rng.expovariate(rate))
    await asyncio.gather(*running)
