"""Few threads compute at a time, many may wait: so that the event loop gets its turn."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


class Stopwatch:
    """Counts the seconds that a thread computes, and those that it waits for its turn to.

    Parameters
    ----------
    waited
        Seconds that it waited before it first got its turn.
    """

    def __init__(self, waited: float) -> None:
        self.waited = waited
        self._computed = 0.0
        self._since: float | None = time.perf_counter()

    @property
    def computed(self) -> float:
        """Return the seconds of computing so far."""
        return self._computed + (0.0 if self._since is None else time.perf_counter() - self._since)

    def pause(self) -> None:
        """Stop counting for a while, or for good."""
        self._computed, self._since = self.computed, None

    def resume(self, waited: float) -> None:
        """Go on counting, after so many seconds of waiting for a turn."""
        self.waited += waited
        self._since = time.perf_counter()


class Slots:
    """A number of threads that may compute side by side; the others wait in line.

    Those that have computed before go first: the sooner they end, the fewer there are.

    Parameters
    ----------
    count
        How many.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._lines: tuple[deque[threading.Event], ...] = (deque(), deque())
        self._of_thread = threading.local()

    @contextmanager
    def computing(self) -> Iterator[Stopwatch]:
        """Hold a slot.

        Yields
        ------
        Stopwatch
            Counts the seconds that the thread computes, without those in which it waits.
        """
        began = time.perf_counter()
        self._take(self._lines[1])
        watch = self._of_thread.watch = Stopwatch(time.perf_counter() - began)
        try:
            yield watch
        finally:
            watch.pause()
            self._give()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Give the slot that the thread holds to others for a while."""
        watch: Stopwatch = self._of_thread.watch
        watch.pause()
        self._give()
        try:
            yield
        finally:
            began = time.perf_counter()
            self._take(self._lines[0])
            watch.resume(time.perf_counter() - began)

    def _take(self, line: deque[threading.Event]) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Event()
            line.append(turn)
        turn.wait()

    def _give(self) -> None:
        with self._lock:
            # A slot goes from hand to hand, so that no one can push in.
            for line in self._lines:
                if line:
                    line.popleft().set()
                    return
            self._free += 1


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
