"""Labelled traces as token streams, and each epoch's windows and batches from them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from classifier.errors import OptionError
from classifier.kinds import KIND_CODES, KINDS
from classifier.spans import Span, with_context
from classifier.windows import TokenStream, Window, WindowLayout, join_steps, pack_windows
from training.config import TrainingConfig
from training.gold import GoldDocument

FloatArray = npt.NDArray[np.float32]

CUE_PHRASES = re.compile(
    r"\b(?:perhaps|maybe|another|alternatively|alternative|wait|hmm+|but|no|however|actually|instead|oh|"
    r"again|re-?(?:check|read|verify|examine|consider|visit|think)\w*|double[- ]check\w*|verify|check|"
    r"what if|hold on|on second thought|let me|let's|or|unless|mistake|wrong|incorrect|contradict\w*)\b",
    re.IGNORECASE,
)
"""Words that announce departures; hiding them now and then makes the model read the rest of the step."""


@dataclass(frozen=True, slots=True)
class LabelledTrace:
    """A trace, or the labelled part of one, ready to be packed.

    Parameters
    ----------
    stream
        The tokens of all steps, context included.
    scored
        Which steps have a target, bool [steps].
    targets
        Kind probabilities of the scored steps, float32 [scored steps, 4].
    cues
        For each token the number of the cue phrase it belongs to, 0 for none, int32 [tokens].
    """

    stream: TokenStream
    scored: npt.NDArray[np.bool_]
    targets: FloatArray
    cues: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of one length, stacked.

    Parameters
    ----------
    tokens
        int64 [windows, length].
    starts, ends
        int64 [windows, steps]; 0 where a window has fewer steps.
    targets
        float32 [windows, steps, 4].
    weights
        1 where there is a step, float32 [windows, steps].
    """

    tokens: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    targets: FloatArray
    weights: FloatArray


def kind_targets(document: GoldDocument) -> FloatArray:
    """Return a document's annotated kinds as one-hot rows, float32 [steps, 4].

    Raises
    ------
    OptionError
        If a step has no kind.
    """
    targets = np.zeros((len(document.steps), len(KINDS)), dtype=np.float32)
    for index, step in enumerate(document.steps):
        if step.kind is None:
            raise OptionError(
                f"document {document.id}: step {step.start}..{step.end} has no `kind`, and a model is "
                f"trained and calibrated on steps of known kind ({', '.join(KIND_CODES)}); add the kinds, or "
                "leave the document out"
            )
        targets[index, KINDS.index(KIND_CODES[step.kind])] = 1.0
    return targets


def labelled_trace(
    trace: str,
    spans: Sequence[Span],
    targets: FloatArray,
    tokenizer: Tokenizer,
    layout: WindowLayout,
) -> LabelledTrace:
    """Tokenise a trace whose steps have targets.

    Parameters
    ----------
    trace
        The whole trace.
    spans
        The labelled steps.
    targets
        Their kind probabilities, float32 [spans, 4].
    tokenizer, layout
        Those of the model.
    """
    pieces, scored = with_context(trace, spans)
    texts = [trace[start:end] for start, end in pieces]
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    stream = join_steps([encoding.ids for encoding in encodings], layout)
    cues: list[list[int]] = []
    number = 0
    for text, encoding in zip(texts, encodings, strict=True):
        found = [match.span() for match in CUE_PHRASES.finditer(text)]
        marks = [0] * len(encoding.ids)
        for left, right in found:
            number += 1
            for index, (start, end) in enumerate(encoding.offsets):
                if start < right and end > left:
                    marks[index] = number
        cues.append(marks)
    flat = join_steps(cues, layout).tokens
    flat[stream.offsets[:-1]] = 0
    return LabelledTrace(
        stream=stream,
        scored=np.array(scored, dtype=np.bool_),
        targets=targets,
        cues=flat.astype(np.int32),
    )


def gold_traces(
    documents: Sequence[GoldDocument], tokenizer: Tokenizer, layout: WindowLayout
) -> list[LabelledTrace]:
    """Tokenise annotated documents."""
    return [
        labelled_trace(document.trace, document.spans, kind_targets(document), tokenizer, layout)
        for document in documents
    ]


def training_batches(
    traces: Sequence[LabelledTrace],
    layout: WindowLayout,
    config: TrainingConfig,
    mask_id: int,
    random: np.random.Generator,
) -> list[Batch]:
    """Pack one epoch: other window borders, other hidden tokens and another order each time.

    Parameters
    ----------
    traces
        The labelled traces.
    layout
        The layout of the model.
    config
        Gives the masking and the batch size.
    mask_id
        The token that stands in for a hidden one.
    random
        Where all chance comes from.
    """
    by_length: dict[int, list[tuple[Window, LabelledTrace]]] = {length: [] for length in layout.lengths}
    for trace in traces:
        masked = _hide(trace, layout, config, mask_id, random)
        least, most = config.training_context
        context = int(random.integers(least, most + 1))
        context = min(context, layout.lengths[-1] - 2 - layout.max_step_tokens)
        for window in pack_windows(masked, _with_context_tokens(layout, context), trace.scored):
            by_length[len(window.tokens)].append((window, trace))
    batches = []
    for length, windows in by_length.items():
        size = max(1, config.batch_tokens // length)
        order = random.permutation(len(windows))
        for first in range(0, len(windows), size):
            batches.append(_stack([windows[index] for index in order[first : first + size]]))
    return [batches[index] for index in random.permutation(len(batches))]


def evaluation_batches(
    traces: Sequence[LabelledTrace], layout: WindowLayout, batch_tokens: int = 4_096
) -> Iterator[tuple[Batch, list[tuple[int, Window]]]]:
    """Pack traces as the scorer does, and say for each window which trace it comes from."""
    by_length: dict[int, list[tuple[int, Window]]] = {length: [] for length in layout.lengths}
    for index, trace in enumerate(traces):
        for window in pack_windows(trace.stream, layout, trace.scored):
            by_length[len(window.tokens)].append((index, window))
    for length, windows in by_length.items():
        size = max(1, batch_tokens // length)
        for first in range(0, len(windows), size):
            part = windows[first : first + size]
            yield _stack([(window, traces[index]) for index, window in part]), part


def _with_context_tokens(layout: WindowLayout, context_tokens: int) -> WindowLayout:
    return WindowLayout(
        lengths=layout.lengths,
        context_tokens=context_tokens,
        max_steps=layout.max_steps,
        max_step_tokens=layout.max_step_tokens,
        pad_id=layout.pad_id,
        start_id=layout.start_id,
        marker_id=layout.marker_id,
    )


def _hide(
    trace: LabelledTrace,
    layout: WindowLayout,
    config: TrainingConfig,
    mask_id: int,
    random: np.random.Generator,
) -> TokenStream:
    tokens = trace.stream.tokens
    hidden = random.random(len(tokens)) < config.token_masking
    if config.cue_masking and trace.cues.any():
        chosen = random.random(int(trace.cues.max()) + 1) < config.cue_masking
        chosen[0] = False
        hidden |= chosen[trace.cues]
    hidden &= tokens != layout.marker_id
    return TokenStream(np.where(hidden, mask_id, tokens), trace.stream.offsets)


def _stack(windows: Sequence[tuple[Window, LabelledTrace]]) -> Batch:
    steps = max(window.step_count for window, _ in windows)
    starts = np.zeros((len(windows), steps), dtype=np.int64)
    ends = np.zeros_like(starts)
    targets = np.zeros((len(windows), steps, len(KINDS)), dtype=np.float32)
    weights = np.zeros((len(windows), steps), dtype=np.float32)
    for row, (window, trace) in enumerate(windows):
        count = window.step_count
        starts[row, :count] = window.starts
        ends[row, :count] = window.ends
        targets[row, :count] = trace.targets[window.first_step : window.first_step + count]
        weights[row, :count] = 1.0
    return Batch(
        tokens=np.stack([window.tokens for window, _ in windows]),
        starts=starts,
        ends=ends,
        targets=targets,
        weights=weights,
    )
