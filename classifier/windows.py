"""Packs a trace's tokenised steps into token windows of a few fixed lengths, each with left context.

A trace becomes one stream of tokens: before each step a marker token, then the step's tokens. A window is a
start token, the end of the stream before its first step (the left context), and as many whole steps as fit.
Whatever room is left over is filled with more left context, so that padding is nearly nil.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WindowLayout:
    """How windows are laid out; a model is trained for one layout and stores it in its card.

    Parameters
    ----------
    lengths
        The window lengths in tokens, ascending. All windows of a trace have the last one, but its final
        window has the smallest that holds its steps and the left context.
    context_tokens
        The least number of left-context tokens, where the trace has as many before the window.
    max_steps
        The largest number of scored steps in a window.
    max_step_tokens
        A longer step keeps its first three quarters and its last quarter of this number.
    pad_id, start_id, marker_id
        The tokens for padding, for the start of a window and before each step.
    """

    lengths: tuple[int, ...]
    context_tokens: int
    max_steps: int
    max_step_tokens: int
    pad_id: int
    start_id: int
    marker_id: int

    def __post_init__(self) -> None:
        """Check that every step fits into the longest window beside its context."""
        if list(self.lengths) != sorted(set(self.lengths)) or not self.lengths:
            raise ValueError(f"window lengths must be ascending and not empty, got {self.lengths}")
        if self.max_step_tokens + self.context_tokens + 2 > self.lengths[-1]:
            raise ValueError(
                f"a step of {self.max_step_tokens} tokens behind {self.context_tokens} context tokens, a "
                f"start token and a marker does not fit a window of {self.lengths[-1]} tokens"
            )


@dataclass(frozen=True, slots=True)
class TokenStream:
    """A trace's steps as one stream of tokens.

    Parameters
    ----------
    tokens
        Token ids of all steps, each behind a marker, int64 [tokens].
    offsets
        Where each step begins in `tokens`, and at the end the length of `tokens`, int64 [steps + 1].
    """

    tokens: IntArray
    offsets: IntArray


@dataclass(frozen=True, slots=True)
class Window:
    """One input of the encoder.

    Parameters
    ----------
    tokens
        Token ids, padded to the window's length, int64 [length].
    starts, ends
        For each scored step where its marker stands and where its tokens end, int64 [steps in the window].
    first_step
        The index of the first scored step among the scored steps of the trace.
    """

    tokens: IntArray
    starts: IntArray
    ends: IntArray
    first_step: int

    @property
    def step_count(self) -> int:
        """Return the number of scored steps."""
        return len(self.starts)


def join_steps(step_tokens: Sequence[Sequence[int]], layout: WindowLayout) -> TokenStream:
    """Join tokenised steps to a stream, a marker before each and over-long steps shortened.

    Parameters
    ----------
    step_tokens
        The token ids of each step, without special tokens.
    layout
        The layout of the model.

    Returns
    -------
    TokenStream
        The stream and the offsets of the steps in it.
    """
    limit = layout.max_step_tokens
    tail = limit // 4
    joined: list[int] = []
    offsets = np.zeros(len(step_tokens) + 1, dtype=np.int64)
    for index, tokens in enumerate(step_tokens):
        joined.append(layout.marker_id)
        if len(tokens) > limit:
            joined.extend(tokens[: limit - tail])
            joined.extend(tokens[-tail:])
        else:
            joined.extend(tokens)
        offsets[index + 1] = len(joined)
    return TokenStream(np.array(joined, dtype=np.int64), offsets)


def pack_windows(
    stream: TokenStream, layout: WindowLayout, scored: npt.NDArray[np.bool_] | None = None
) -> Iterator[Window]:
    """Pack a trace's steps into windows, each scored step into exactly one.

    Parameters
    ----------
    stream
        The trace's tokens.
    layout
        The layout of the model.
    scored
        Which steps to score, bool [steps]; the others are only context. All of them by default.

    Yields
    ------
    Window
        The windows in the order of the trace.
    """
    offsets = stream.offsets
    wanted = np.arange(len(offsets) - 1) if scored is None else np.flatnonzero(scored)
    longest = layout.lengths[-1]
    position = 0
    while position < len(wanted):
        begin = int(offsets[wanted[position]])
        context = min(layout.context_tokens, begin)
        last_end = begin + longest - 1 - context
        fitting = int(np.searchsorted(offsets[wanted + 1], last_end, side="right"))
        after = min(fitting, position + layout.max_steps)
        steps = wanted[position:after]
        yield _window(stream, layout, steps, context, first_step=position)
        position = after


def _window(
    stream: TokenStream, layout: WindowLayout, steps: IntArray, context: int, first_step: int
) -> Window:
    begin, end = int(stream.offsets[steps[0]]), int(stream.offsets[steps[-1] + 1])
    needed = 1 + context + end - begin
    length = next(length for length in layout.lengths if length >= needed)
    from_token = max(0, begin - (length - 1 - (end - begin)))
    tokens = np.full(length, layout.pad_id, dtype=np.int64)
    tokens[0] = layout.start_id
    tokens[1 : 1 + end - from_token] = stream.tokens[from_token:end]
    shift = 1 - from_token
    return Window(
        tokens=tokens,
        starts=stream.offsets[steps] + shift,
        ends=stream.offsets[steps + 1] + shift,
        first_step=first_step,
    )
