"""Gathers windows of equal length into batches and puts the results where they belong."""

from collections import deque
from concurrent.futures import Future

import numpy as np
import numpy.typing as npt

from classifier.encoder import StepEncoder
from classifier.windows import Window

FloatArray = npt.NDArray[np.float32]

_BATCHES_AHEAD = 4
"""Batches under way for each thread of the encoder: enough to keep it busy while the next text is tokenised,
few enough to bound memory."""


class WindowQueue:
    """Batches windows by length, runs them, and writes each step's probabilities into its trace's array.

    Parameters
    ----------
    encoder
        Runs the batches; one that does not say how many `threads` it has is taken to have two.
    """

    def __init__(self, encoder: StepEncoder) -> None:
        self._encoder = encoder
        self._most_running = _BATCHES_AHEAD * getattr(encoder, "threads", 2)
        self._open: dict[int, list[tuple[Window, FloatArray]]] = {}
        self._running: deque[tuple[Future[list[FloatArray]], list[tuple[Window, FloatArray]]]] = deque()

    def add(self, window: Window, destination: FloatArray) -> None:
        """Add a window; its results are in `destination`, float32 [steps, 4], after `finish`."""
        length = len(window.tokens)
        batch = self._open.setdefault(length, [])
        batch.append((window, destination))
        if len(batch) >= self._encoder.batch_size:
            self._submit(length)

    def finish(self) -> None:
        """Run what is left and wait for all results."""
        for length in sorted(self._open):
            if self._open[length]:
                self._submit(length)
        while self._running:
            self._collect()

    def _submit(self, length: int) -> None:
        batch = self._open.pop(length)
        self._running.append((self._encoder.submit([window for window, _ in batch]), batch))
        if len(self._running) > self._most_running:
            self._collect()

    def _collect(self) -> None:
        future, batch = self._running.popleft()
        for (window, destination), probabilities in zip(batch, future.result(), strict=True):
            after = window.first_step + window.step_count
            destination[window.first_step : after] = probabilities
