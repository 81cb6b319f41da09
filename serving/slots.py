"""Few threads compute at a time, many may wait: so that the event loop gets its turn."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


class Stopwatch:
    """Counts the seconds that a thread computes."""

    def __init__(self) -> None:
        self._counted = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Return the seconds so far."""
        return self._counted + (0.0 if self._since is None else time.perf_counter() - self._since)

    def start(self) -> None:
        """Start, or go on."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Stop for a while, or for good."""
        self._counted, self._since = self.seconds, None


class Slots:
    """A number of threads that may compute side by side.

    Parameters
    ----------
    count
        How many.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)
        self._of_thread = threading.local()

    @contextmanager
    def computing(self) -> Iterator[Stopwatch]:
        """Hold a slot.

        Yields
        ------
        Stopwatch
            Counts the seconds that the thread computes, without those in which it waits.
        """
        with self._free:
            watch = self._of_thread.watch = Stopwatch()
            watch.start()
            try:
                yield watch
            finally:
                watch.stop()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Give the slot that the thread holds to others for a while."""
        watch: Stopwatch = self._of_thread.watch
        watch.stop()
        self._free.release()
        try:
            yield
        finally:
            self._free.acquire()
            watch.start()


class WaitingFuture(Future[Result]):
    """A future whose waiter gives its slot to others.

    Parameters
    ----------
    slots
        The slots, one of which every thread that calls `result` holds.
    """

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self._slots = slots

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result."""
        if self.done():
            return super().result(timeout)
        with self._slots.waiting():
            return super().result(timeout)
