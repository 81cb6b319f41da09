"""Loss of each token of a completion, split by what its step does."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import PreTrainedTokenizerBase

from classifier.scorer import TraceScore
from training.sft_rows import SftRow

BATCH_ROWS: Final = 16
BATCH_TOKENS: Final = 16_384
"""Rows are read together as long as they, padded to the longest, have no more tokens than this."""

SLICE_TOKENS: Final = 1_024
"""Tokens whose logits are in memory as float32 at a time: of a long row, all would not fit a GPU."""

KINDS: Final = ("branching", "convergent", "outside")
"""Tokens of steps that branch, of steps that do not, and of no step: the answer, and what is between."""


@dataclass(frozen=True, slots=True)
class StepLoss:
    """Loss over some tokens.

    Parameters
    ----------
    tokens
        How many.
    mean
        Their mean negative log-likelihood in nats; None for no tokens.
    """

    tokens: int
    mean: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {"tokens": self.tokens, "mean": self.mean}


def step_losses(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[SftRow],
    scores: Sequence[TraceScore],
    *,
    threshold: float,
    max_length: int,
) -> dict[str, Any]:
    """Measure the loss on the completions of some rows.

    Parameters
    ----------
    model
        A causal language model.
    tokenizer
        Its tokenizer.
    rows
        The rows.
    scores
        The classifier's score of each row's trace: the steps and what they do.
    threshold
        The probability from which a step branches.
    max_length
        Tokens after which a row is cut.

    Returns
    -------
    dict
        `all` and each of `KINDS`, with `tokens` and `mean`.
    """
    sums = dict.fromkeys(KINDS, 0.0)
    counts = dict.fromkeys(KINDS, 0)
    encoded = [_encode(row, tokenizer, max_length) for row in rows]
    for part in _batches([len(ids) for ids, _, _ in encoded]):
        losses = _token_losses(model, [ids for ids, _, _ in encoded[part]], tokenizer.pad_token_id or 0)
        for row, score, (_, offsets, first), row_losses in zip(
            rows[part], scores[part], encoded[part], losses, strict=True
        ):
            kinds = _token_kinds(row, score, offsets, first, threshold)
            for kind, loss in zip(kinds, row_losses[len(row_losses) - len(kinds) :], strict=True):
                sums[kind] += loss
                counts[kind] += 1
    found = {kind: StepLoss(counts[kind], _mean(sums[kind], counts[kind])).as_dict() for kind in KINDS}
    total = sum(counts.values())
    return {"all": StepLoss(total, _mean(sum(sums.values()), total)).as_dict(), **found}


def _encode(
    row: SftRow, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[int], list[tuple[int, int]], int]:
    """Return the tokens, their offsets in the completion's text, and the first token of the completion."""
    prompt = str(tokenizer.apply_chat_template(row.prompt, tokenize=False, add_generation_prompt=True))
    text = str(tokenizer.apply_chat_template([*row.prompt, *row.completion], tokenize=False))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    begin = len(prompt) if text.startswith(prompt) else text.rfind(row.completion[-1]["content"][:40])
    ids: list[int] = encoded["input_ids"][:max_length]
    offsets = encoded["offset_mapping"][:max_length]
    first = next((index for index, (start, _) in enumerate(offsets) if start >= begin), len(ids))
    content = text.find(row.trace, begin)
    shift = content if content >= 0 else begin
    return ids, [(start - shift, end - shift) for start, end in offsets], max(first, 1)


def _token_kinds(
    row: SftRow, score: TraceScore, offsets: Sequence[tuple[int, int]], first: int, threshold: float
) -> list[str]:
    kinds = []
    steps = iter(score.steps)
    step = next(steps, None)
    for start, end in offsets[first:]:
        # A token often begins with the blank before its word: where it ends says which step it is of.
        while step is not None and step.end < end:
            step = next(steps, None)
        if step is None or start < 0 or end <= step.start or end > len(row.trace):
            kinds.append("outside")
        else:
            kinds.append("branching" if step.probability >= threshold else "convergent")
    return kinds


def _batches(lengths: Sequence[int]) -> Iterator[slice]:
    """Cut rows, in their order, into batches; see `BATCH_TOKENS`."""
    start = longest = 0
    for index, length in enumerate(lengths):
        longest = max(longest, length)
        count = index - start + 1
        if count > BATCH_ROWS or (count > 1 and count * longest > BATCH_TOKENS):
            yield slice(start, index)
            start, longest = index, length
    if lengths:
        yield slice(start, len(lengths))


@torch.inference_mode()
def _token_losses(model: Any, sequences: Sequence[list[int]], pad: int) -> list[list[float]]:
    """Return the loss of every token but the first of each sequence."""
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad)
    mask = torch.zeros_like(ids)
    for index, sequence in enumerate(sequences):
        ids[index, : len(sequence)] = torch.tensor(sequence)
        mask[index, : len(sequence)] = 1
    device = model.device
    ids = ids.to(device)
    logits = model(input_ids=ids, attention_mask=mask.to(device)).logits
    losses = torch.empty(len(sequences), longest - 1)
    width = max(1, SLICE_TOKENS // len(sequences))
    for start in range(0, longest - 1, width):
        end = min(start + width, longest - 1)
        losses[:, start:end] = torch.nn.functional.cross_entropy(
            logits[:, start:end].float().transpose(1, 2), ids[:, start + 1 : end + 1], reduction="none"
        )
    return [losses[index, : len(sequence) - 1].tolist() for index, sequence in enumerate(sequences)]


def _mean(total: float, count: int) -> float | None:
    return total / count if count and math.isfinite(total) else None
