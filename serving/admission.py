"""Who may come in: a limited number of requests, none while the service shuts down."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from serving.errors import DrainingError, OverloadedError
from serving.metrics import Metrics


class Admission:
    """Counts the requests in flight in one API process.

    Parameters
    ----------
    most
        Most requests at a time.
    metrics
        Is told how many there are.
    """

    def __init__(self, most: int, metrics: Metrics) -> None:
        self.in_flight = 0
        self.draining = False
        self._most = most
        self._metrics = metrics
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count a request while it is answered.

        Raises
        ------
        OverloadedError
            If there are too many.
        DrainingError
            If the service is shutting down.
        """
        if self.draining:
            raise DrainingError("the service is shutting down; try again, another one may answer")
        if self.in_flight >= self._most:
            raise OverloadedError(
                f"{self.in_flight} requests are in flight, the most that this process takes; try again later"
            )
        self.in_flight += 1
        self._empty.clear()
        self._metrics.in_flight.inc()
        try:
            yield
        finally:
            self.in_flight -= 1
            self._metrics.in_flight.dec()
            if not self.in_flight:
                self._empty.set()

    async def drain(self, seconds: float) -> bool:
        """Let no one in any more, and wait for those who are in.

        Parameters
        ----------
        seconds
            How long to wait at most.

        Returns
        -------
        bool
            Whether all were answered.
        """
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
