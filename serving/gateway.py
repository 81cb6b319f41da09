"""The queue before the encoder: fair among requests, emptied of those that are over, patient with restarts.

BentoML's batcher has one unbounded queue that nothing is ever taken out of. So windows wait here instead, and
no more calls are on their way than keep the encoder busy: what is abandoned is never run.
"""

import asyncio
import contextvars
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifier.windows import Window
from serving.errors import (
    ClientGoneError,
    EncoderDownError,
    EncoderFailedError,
    QueueTimeoutError,
    RequestTimeoutError,
    ServiceError,
)
from serving.limits import Limits
from serving.links import EncoderLink, LinkError
from serving.metrics import Metrics
from serving.slots import Slots, WaitingFuture
from serving.window_encoder import FAILED
from serving.window_text import probabilities_from_text, window_to_text

FloatArray = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)

_GATHER_SECONDS: Final = 0.001
"""How long an idle gateway waits for more windows: a request's windows of other lengths come this close."""
_ATTEMPTS: Final = 3
"""How often the encoder may go away under the windows of a job, whose calls all break off each time."""
_PROBE_SECONDS: Final = 0.25


class Ticket:
    """One request's place in the queue.

    It is made and cancelled in the event loop; `submit` is called by the thread that scores the request.

    Parameters
    ----------
    gateway
        The queue.
    """

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self.failure: asyncio.Future[ServiceError] = gateway.loop.create_future()
        self.error: ServiceError | None = None
        self.waiting: deque[_Job] = deque()
        self.jobs: set[_Job] = set()
        self.started = False
        self.first_job: float | None = None
        self.begun: float | None = None
        self.windows = 0
        self.encode_seconds = 0.0
        self._timers = [
            gateway.loop.call_later(gateway.limits.request_timeout, self._expire),
            gateway.loop.call_later(gateway.limits.queue_timeout, self._check_started),
        ]

    @property
    def queue_seconds(self) -> float:
        """Return how long the first windows waited, so far if they still do."""
        if self.first_job is None:
            return 0.0
        return (time.monotonic() if self.begun is None else self.begun) - self.first_job

    def submit(self, windows: Sequence[Window]) -> "Future[list[FloatArray]]":
        """Queue windows of one length.

        Returns
        -------
        Future
            Gives the kind probabilities of each window's steps.

        Raises
        ------
        ServiceError
            If the request is over already.
        """
        if self.error is not None:
            raise self.error
        job = _Job(self, [window_to_text(window) for window in windows], WaitingFuture(self._gateway.slots))
        self._gateway.loop.call_soon_threadsafe(self._gateway.add, job)
        return job.future

    def queued(self) -> None:
        """Note that the first windows wait for the encoder from now on."""
        self.first_job = time.monotonic()
        self._timers.append(
            self._gateway.loop.call_later(self._gateway.limits.queue_timeout, self._check_begun)
        )

    def cancel(self, error: ServiceError) -> None:
        """End the request: what it still has in the queue is not run."""
        if self.error is not None:
            return
        self.error = error
        if not self.failure.done():
            self.failure.set_result(error)
        self.close()

    def close(self) -> None:
        """Leave the queue."""
        self._gateway.tickets.discard(self)
        for timer in self._timers:
            timer.cancel()
        self.waiting.clear()
        for job in list(self.jobs):
            job.fail(self.error or ClientGoneError("the request is over"))
        self.jobs.clear()

    def _check_started(self) -> None:
        if not self.started:
            seconds = self._gateway.limits.queue_timeout
            self.cancel(QueueTimeoutError(f"all threads were busy for {seconds:g} seconds; try again later"))

    def _check_begun(self) -> None:
        if self.begun is None and self.jobs:
            seconds = self._gateway.limits.queue_timeout
            down = self._gateway.down_since is not None
            message = (
                f"the encoder could not begin with the request within {seconds:g} seconds; try again later"
            )
            self.cancel(EncoderDownError(message) if down else QueueTimeoutError(message))

    def _expire(self) -> None:
        seconds = self._gateway.limits.request_timeout
        self.cancel(
            RequestTimeoutError(
                f"the request took longer than {seconds:g} seconds; send fewer or shorter traces"
            )
        )


class QueuedEncoder:
    """The encoder that the scorer sees: it hands windows to the request whose thread asks.

    Parameters
    ----------
    batch_size
        Windows that the scorer should hand over at a time.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def submit(self, windows: Sequence[Window]) -> "Future[list[FloatArray]]":
        """Queue windows; see `classifier.encoder.StepEncoder`."""
        return current_ticket.get().submit(windows)


current_ticket: contextvars.ContextVar[Ticket] = contextvars.ContextVar("current_ticket")
"""The ticket of the request that a thread works for."""


class Gateway:
    """The queue before the encoder, in the event loop of one API process.

    Parameters
    ----------
    link
        Reaches the encoder.
    limits
        How long requests may wait and take.
    windows_a_call
        Windows in a full call.
    calls_ahead
        Most calls under way at a time.
    slots
        Which threads may compute; a thread that waits for windows gives its slot back.
    metrics
        Is told how calls went.
    """

    def __init__(
        self,
        link: EncoderLink,
        limits: Limits,
        *,
        windows_a_call: int,
        calls_ahead: int,
        slots: Slots,
        metrics: Metrics,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self.slots = slots
        self.description: dict[str, Any] | None = None
        self.down_since: float | None = time.monotonic()
        self._link = link
        self._windows_a_call = windows_a_call
        self._calls_ahead = calls_ahead
        self._metrics = metrics
        self.tickets: set[Ticket] = set()
        self._turns: deque[Ticket] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._pump_at: asyncio.TimerHandle | None = None
        self._give_up_at: asyncio.TimerHandle | None = None
        self._outages = 0
        self._probe = asyncio.create_task(self._probe_until_up())

    @property
    def down_seconds(self) -> float:
        """Return for how long the encoder has not answered; 0 while it does."""
        return 0.0 if self.down_since is None else time.monotonic() - self.down_since

    def open(self) -> Ticket:
        """Give a request its place."""
        ticket = Ticket(self)
        self.tickets.add(ticket)
        return ticket

    def add(self, job: "_Job") -> None:
        """Put a job into the queue."""
        ticket = job.ticket
        if ticket.error is not None:
            job.fail(ticket.error)
            return
        if ticket.first_job is None:
            ticket.queued()
        ticket.jobs.add(job)
        ticket.windows += len(job.texts)
        self._enqueue(job)
        if self._pump_at is None and len(self._calls) < self._calls_ahead:
            self._pump_at = self.loop.call_later(_GATHER_SECONDS, self._pump)

    async def close(self) -> None:
        """Stop calling the encoder."""
        self._probe.cancel()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(self._probe, *self._calls, return_exceptions=True)
        await self._link.close()

    def _enqueue(self, job: "_Job") -> None:
        if not job.ticket.waiting:
            self._turns.append(job.ticket)
        job.ticket.waiting.append(job)

    def _pump(self) -> None:
        self._pump_at = None
        while self.down_since is None and len(self._calls) < self._calls_ahead:
            batch = self._next_batch()
            if not batch:
                return
            call = asyncio.create_task(self._call(batch))
            self._calls.add(call)
            call.add_done_callback(self._called)

    def _called(self, call: "asyncio.Task[None]") -> None:
        self._calls.discard(call)
        self._pump()

    def _next_batch(self) -> list[tuple["_Job", int]]:
        """Take one window of each request in turn, until the call is full."""
        batch: list[tuple[_Job, int]] = []
        now = time.monotonic()
        while self._turns and len(batch) < self._windows_a_call:
            ticket = self._turns.popleft()
            if not ticket.waiting:
                continue
            if ticket.begun is None:
                ticket.begun = now
            job = ticket.waiting[0]
            batch.append((job, job.next_place()))
            if job.all_sent:
                ticket.waiting.popleft()
            if ticket.waiting:
                self._turns.append(ticket)
        return batch

    async def _call(self, batch: list[tuple["_Job", int]]) -> None:
        began, outages = time.monotonic(), self._outages
        try:
            texts = await self._link.encode([job.texts[place] for job, place in batch])
        except LinkError as error:
            self._broken(batch, error, outages)
            return
        seconds = time.monotonic() - began
        self._metrics.call(len(batch), seconds)
        for ticket in {job.ticket for job, _ in batch}:
            ticket.encode_seconds += seconds
        for (job, place), text in zip(batch, texts, strict=True):
            job.put(place, text)

    def _broken(self, batch: list[tuple["_Job", int]], error: LinkError, outages: int) -> None:
        """Send the windows of a call again, which was sent after so many outages."""
        logger.warning("%s; %d windows are sent again when it is back", error, len(batch))
        if self.down_since is None:
            self.down_since = time.monotonic()
            self._outages += 1
            self._probe = asyncio.create_task(self._probe_until_up())
            self._give_up_at = self.loop.call_later(self.limits.queue_timeout, self._give_up)
        for job, places in _by_job(batch).items():
            # All calls under way break off at once, and one job can have windows in each of them.
            if job.broken_after != outages:
                job.broken_after = outages
                job.attempts += 1
            if job.attempts < _ATTEMPTS:
                if job.ticket.error is None:
                    job.take_back(places)
                    if job not in job.ticket.waiting:
                        self._enqueue(job)
            else:
                job.ticket.cancel(
                    EncoderDownError("the encoder went away while it worked on the request; try again")
                )

    async def _probe_until_up(self) -> None:
        while True:
            try:
                self.description = await self._link.describe()
                break
            except LinkError:
                await asyncio.sleep(_PROBE_SECONDS)
        self.down_since = None
        if self._give_up_at is not None:
            self._give_up_at.cancel()
        self._pump()

    def _give_up(self) -> None:
        """End the requests that the encoder had begun with when it went away and did not come back."""
        for ticket in list(self.tickets):
            if ticket.jobs:
                ticket.cancel(
                    EncoderDownError("the encoder went away and has not come back; try again later")
                )


@dataclass(eq=False, slots=True)
class _Job:
    """Windows of one length that a request waits for."""

    ticket: Ticket
    texts: list[str]
    future: "Future[list[FloatArray]]"
    attempts: int = 0
    broken_after: int | None = None
    _unsent: deque[int] = field(init=False)
    _results: list[FloatArray | None] = field(init=False)
    _missing: int = field(init=False)

    def __post_init__(self) -> None:
        self._unsent = deque(range(len(self.texts)))
        self._results = [None] * len(self.texts)
        self._missing = len(self.texts)

    @property
    def all_sent(self) -> bool:
        return not self._unsent

    def next_place(self) -> int:
        return self._unsent.popleft()

    def take_back(self, places: list[int]) -> None:
        self._unsent.extendleft(reversed(places))

    def put(self, place: int, text: str) -> None:
        if text == FAILED:
            self.ticket.cancel(
                EncoderFailedError("the model could not be run on the request; the log says why")
            )
            return
        self._results[place] = probabilities_from_text(text)
        self._missing -= 1
        if not self._missing:
            self.ticket.jobs.discard(self)
            self._settle([one for one in self._results if one is not None])

    def fail(self, error: ServiceError) -> None:
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            logger.debug("The job was done already")

    def _settle(self, results: list[FloatArray]) -> None:
        try:
            self.future.set_result(results)
        except InvalidStateError:
            logger.debug("The job was cancelled already")


def _by_job(batch: list[tuple[_Job, int]]) -> dict[_Job, list[int]]:
    places: dict[_Job, list[int]] = {}
    for job, place in batch:
        places.setdefault(job, []).append(place)
    return places
