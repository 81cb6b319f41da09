"""An encoder whose output encodes its input, so that tests of order and batching are exact."""

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np
import numpy.typing as npt

from classifier.windows import Window


class DebugEncoder:
    """Turns each step's tokens into probabilities by arithmetic alone; costs next to nothing.

    A step's probabilities depend on all of its tokens and their order and on nothing else: not on the window,
    its context or its neighbours in the batch.

    Parameters
    ----------
    batch_size
        Windows in one call.
    """

    providers = ("DebugEncoder",)

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size

    def submit(self, windows: Sequence[Window]) -> "Future[list[npt.NDArray[np.float32]]]":
        """Compute at once; see `classifier.encoder.StepEncoder`."""
        future: Future[list[npt.NDArray[np.float32]]] = Future()
        future.set_result([self._probabilities(window) for window in windows])
        return future

    def _probabilities(self, window: Window) -> npt.NDArray[np.float32]:
        rows = []
        for start, end in zip(window.starts, window.ends, strict=True):
            tokens = window.tokens[start:end]
            places = np.arange(1, len(tokens) + 1)
            weights = [int((tokens * places**power).sum() % 997) + 1 for power in range(4)]
            rows.append(weights)
        table = np.array(rows, dtype=np.float64)
        probabilities: npt.NDArray[np.float32] = (table / table.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities
