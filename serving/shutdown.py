"""SIGTERM and SIGINT: requests in flight are answered first, and the encoder outlives those who need it.

BentoML signals all of its processes at once and uvicorn stops listening at once. Instead, an API process says
that it is not ready and answers what it has, and an encoder process waits for the API processes.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Final

import psutil

_POLL_SECONDS: Final = 0.2

logger = logging.getLogger(__name__)


def before_stopping(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do some work before a SIGTERM or SIGINT stops the process.

    It must be called in the main thread, in the event loop, after the server has set its own handlers.

    Parameters
    ----------
    work
        Called once, in the event loop; then the server's own handler is.
    """
    loop = asyncio.get_running_loop()
    begun: set[asyncio.Task[None]] = set()
    for number in (signal.SIGTERM, signal.SIGINT):
        server_handler = signal.getsignal(number)

        async def stop(handler: Any = server_handler, number: int = number) -> None:
            await work()
            if callable(handler):
                handler(number, None)

        def begin(stop: Callable[[], Coroutine[Any, Any, None]] = stop) -> None:
            if not begun:
                begun.add(asyncio.ensure_future(stop()))

        def handle(_: int, __: FrameType | None, begin: Callable[[], None] = begin) -> None:
            loop.call_soon_threadsafe(begin)

        signal.signal(number, handle)


async def wait_for_siblings(service_name: str, seconds: float) -> None:
    """Wait until none of the processes that BentoML started for a service is left.

    Parameters
    ----------
    service_name
        The service.
    seconds
        How long to wait at most.
    """
    try:
        async with asyncio.timeout(seconds):
            while _siblings(service_name):
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        logger.warning("Processes of %s are still there after %g seconds", service_name, seconds)


def _siblings(service_name: str) -> list[int]:
    parent = psutil.Process().parent()
    found = []
    for process in parent.children() if parent is not None else []:
        try:
            if process.status() != psutil.STATUS_ZOMBIE and service_name in process.cmdline():
                found.append(process.pid)
        except psutil.Error:
            logger.debug("Process %d has just ended", process.pid)
    return found
