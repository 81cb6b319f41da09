"""Windows and their probabilities as short texts: what the API service and the encoder service exchange.

BentoML would pickle what its services exchange. Texts of base64 in JSON need no pickle, cost less, and carry
every bit of the probabilities.
"""

from base64 import b64decode, b64encode

import numpy as np
import numpy.typing as npt

from classifier.kinds import KINDS
from classifier.windows import Window

FloatArray = npt.NDArray[np.float32]


def window_to_text(window: Window) -> str:
    """Write a window: its length, its number of steps, its tokens, and where its steps start and end."""
    header = np.array([len(window.tokens), window.step_count])
    parts = (header, window.tokens, window.starts, window.ends)
    return b64encode(np.concatenate(parts).astype("<i4").tobytes()).decode()


def window_from_text(text: str) -> Window:
    """Read a window that `window_to_text` wrote.

    Raises
    ------
    ValueError
        If the text is not such a window.
    """
    numbers = np.frombuffer(b64decode(text, validate=True), dtype="<i4").astype(np.int64)
    length, steps = (int(number) for number in numbers[:2])
    if len(numbers) != 2 + length + 2 * steps or length < 1 or steps < 1:
        raise ValueError("the text is not a window")
    tokens, starts, ends = np.split(numbers[2:], [length, length + steps])
    return Window(tokens=tokens, starts=starts, ends=ends, first_step=0)


def probabilities_to_text(probabilities: FloatArray) -> str:
    """Write the kind probabilities of a window's steps, float32 [steps, 4]."""
    return b64encode(probabilities.astype("<f4").tobytes()).decode()


def probabilities_from_text(text: str) -> FloatArray:
    """Read the kind probabilities that `probabilities_to_text` wrote.

    Raises
    ------
    ValueError
        If the text is not such an array.
    """
    return (
        np.frombuffer(b64decode(text, validate=True), dtype="<f4").astype(np.float32).reshape(-1, len(KINDS))
    )
