"""Scores requests: their reading, splitting and tokenising in threads, their windows through the gateway."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from starlette.requests import Request

from classifier.scorer import BranchScorer
from classifier.version import __version__
from serving.errors import ClientGoneError, ServiceError
from serving.gateway import Gateway, QueuedEncoder, Ticket, current_ticket
from serving.links import EncoderLink
from serving.metrics import Metrics, service_metrics
from serving.settings import Settings, available_cores
from serving.slots import Slots

Result = TypeVar("Result")

_MOST_SLOTS = 4
"""Threads of Python that compute side by side: more only fight for the interpreter's lock."""
_MOST_READERS = 2
"""Processes that read files side by side: each may take more memory than all the rest."""


@dataclass(slots=True)
class Timing:
    """Where the time of a request went, in seconds.

    Parameters
    ----------
    queue
        Until the encoder began with it.
    tokenise
        Reading, splitting, tokenising, packing, and writing the answer.
    encode
        In calls of the encoder, which it shared with other requests.
    """

    queue: float = 0.0
    tokenise: float = 0.0
    encode: float = 0.0

    def header(self) -> str:
        """Return the value of a `Server-Timing` header."""
        parts = (("queue", self.queue), ("tokenise", self.tokenise), ("encode", self.encode))
        return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in parts)


class Engine:
    """What answers requests in one API process: the scorer, the threads, and the queue before the encoder.

    Parameters
    ----------
    settings
        How the service runs.
    link
        Reaches the encoder.
    """

    def __init__(self, settings: Settings, link: EncoderLink) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.metrics: Metrics = service_metrics()
        most_in_flight = -(-settings.limits.max_in_flight // settings.api_workers)
        self.most_in_flight = most_in_flight
        self._slots = Slots(min(_MOST_SLOTS, available_cores()))
        self._readers = threading.Semaphore(_MOST_READERS)
        self._threads = ThreadPoolExecutor(most_in_flight, thread_name_prefix="request")
        self.scorer = BranchScorer(
            settings.model, precision=settings.precision, encoder=QueuedEncoder(settings.windows_a_call)
        )
        self.gateway = Gateway(
            link,
            settings.limits,
            windows_a_call=settings.windows_a_call,
            calls_ahead=settings.calls_ahead,
            slots=self._slots,
            metrics=self.metrics,
        )

    @property
    def model(self) -> dict[str, Any]:
        """Return what scores, as every answer states it."""
        model = self.scorer.model
        return {
            "name": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "precision": model.precision,
            "package_version": __version__,
            "threshold": self.scorer.threshold,
        }

    async def run(self, request: Request, work: Callable[[], Result], timing: Timing) -> Result:
        """Run a request's work in a thread, until it is done, out of time, or no one waits for it.

        Parameters
        ----------
        request
            The request, whose body has been read.
        work
            What to do; it may use the scorer.
        timing
            Is told where the time went.

        Raises
        ------
        ServiceError
            If the request is over before its work is done.
        """
        gone = asyncio.create_task(_client_gone(request))
        try:
            return await self.run_until(gone, work, timing)
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def run_until(
        self, gone: "asyncio.Future[None]", work: Callable[[], Result], timing: Timing
    ) -> Result:
        """Run work in a thread, until it is done, out of time, or a future says that no one waits for it.

        Parameters
        ----------
        gone
            Is done when no one waits any more.
        work, timing
            As for `run`.

        Raises
        ------
        ServiceError
            If it is over before the work is done.
        """
        ticket = self.gateway.open()
        thread = _Thread(self._slots, ticket, work)
        done = asyncio.get_running_loop().run_in_executor(self._threads, thread.run)
        try:
            await asyncio.wait({done, gone, ticket.failure}, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                ticket.cancel(ClientGoneError("the client closed the connection"))
                # Its thread ends by itself, at the latest when it next hands over windows.
                done.add_done_callback(_swallow)
                raise ticket.error or ClientGoneError("the client closed the connection")
            result: Result = done.result()
            self.metrics.request(
                queue=thread.waited + ticket.queue_seconds,
                tokenise=thread.computed,
                windows=ticket.windows,
            )
            return result
        except asyncio.CancelledError:
            ticket.cancel(ClientGoneError("the request was cancelled"))
            done.add_done_callback(_swallow)
            raise
        finally:
            timing.queue += thread.waited + ticket.queue_seconds
            timing.encode += ticket.encode_seconds
            timing.tokenise += thread.computed
            ticket.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let others compute while the thread of a request waits for a process of its own, of which few run.

        Raises
        ------
        ServiceError
            If the request is over before its turn comes.
        """
        with self._slots.waiting(), self._readers:
            error = current_ticket.get().error
            if error is not None:
                raise error
            yield

    async def close(self) -> None:
        """Let go of the encoder and the threads."""
        await self.gateway.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Thread:
    """Work in a thread that holds a slot, and in which the scorer's windows belong to a ticket."""

    def __init__(self, slots: Slots, ticket: Ticket, work: Callable[[], Any]) -> None:
        self._slots = slots
        self._ticket = ticket
        self._work = work
        self._context = contextvars.copy_context()
        self.computed = 0.0
        self.waited = 0.0

    def run(self) -> Any:
        with self._slots.computing() as watch:
            if self._ticket.error is not None:
                raise self._ticket.error
            self._ticket.started = True
            try:
                return self._context.run(self._in_context)
            finally:
                self.computed, self.waited = watch.computed, watch.waited

    def _in_context(self) -> Any:
        current_ticket.set(self._ticket)
        return self._work()


async def _client_gone(request: Request) -> None:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return


def _swallow(done: "asyncio.Future[Any]") -> None:
    with suppress(ServiceError, asyncio.CancelledError):
        done.result()
