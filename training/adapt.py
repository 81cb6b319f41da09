"""Adapts an encoder to traces before it is fine-tuned: it learns to fill gaps in unlabelled ones.

Gururangan et al. 2020, "Don't Stop Pretraining", section 3, with the masking of Devlin et al. 2019, "BERT",
section 3.1. The text is laid out as the classifier reads it, a marker before each step, so that the encoder
also learns what comes behind a marker.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from filelock import FileLock
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from classifier.windows import IntArray, TokenStream, WindowLayout, join_steps
from training.config import TrainingConfig
from training.heuristic_corpus import sample_excerpts
from training.model import mask_token
from training.optimisation import (
    decayed_optimizer,
    half_precision,
    model_device,
    take_step,
    warmup_and_decay,
)
from training.trace_files import TraceRow

logger = logging.getLogger(__name__)

HIDDEN_SHARE: Final = 0.15
"""Share of the tokens that must be guessed."""

BATCH_TOKENS: Final = 8_192


class GapFiller(nn.Module):
    """An encoder with a head that guesses tokens, whose last matrix is the encoder's own embeddings.

    Parameters
    ----------
    encoder
        A Hugging Face encoder.
    pad_id
        The padding token; it is hidden from attention.
    """

    def __init__(self, encoder: Any, pad_id: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.pad_id = pad_id
        embeddings = encoder.get_input_embeddings()
        count, width = embeddings.weight.shape
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(count))

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """Return the logits of the hidden tokens.

        Parameters
        ----------
        tokens
            Token ids with gaps, int64 [windows, length].
        hidden
            Where a token is to be guessed, bool [windows, length].

        Returns
        -------
        Tensor
            [hidden tokens, vocabulary].
        """
        states = self.encoder(
            input_ids=tokens, attention_mask=(tokens != self.pad_id).long()
        ).last_hidden_state[hidden]
        return functional.linear(self.head(states), self.encoder.get_input_embeddings().weight, self.bias)


def adapt_encoder(
    encoder: nn.Module,
    unlabelled: Sequence[TraceRow],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
) -> None:
    """Adapt an encoder to unlabelled traces, in place.

    Parameters
    ----------
    encoder
        The encoder, on the device to train on.
    unlabelled
        Traces of which `config.adapt_characters` are read.
    tokenizer, layout, config
        As the encoder was loaded with.
    run_folder
        Where the adapted weights are kept as `adapted.pt`; where they are there already they are loaded.
    """
    path = run_folder / "adapted.pt"
    # Folds that are trained side by side share one adapted encoder.
    with FileLock(run_folder / "adapted.lock"):
        if not path.exists():
            _adapt(encoder, unlabelled, tokenizer, layout, config)
            temporary = path.with_suffix(".tmp")
            torch.save(encoder.state_dict(), temporary)
            temporary.replace(path)
    encoder.load_state_dict(torch.load(path, map_location=model_device(encoder), weights_only=True))


def _adapt(
    encoder: nn.Module,
    unlabelled: Sequence[TraceRow],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
) -> None:
    streams = [
        join_steps(
            [
                encoding.ids
                for encoding in tokenizer.encode_batch(
                    [trace[start:end] for start, end in spans], add_special_tokens=False
                )
            ],
            layout,
        )
        for trace, spans in sample_excerpts(unlabelled, config.adapt_characters, config.seed)
    ]
    fill_gaps(encoder, streams, tokenizer, layout, config)


def fill_gaps(
    encoder: nn.Module,
    streams: Sequence[TokenStream],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
) -> list[float]:
    """Train an encoder to fill gaps in token streams, in place.

    Parameters
    ----------
    encoder
        The encoder, on the device to train on.
    streams
        The traces' tokens.
    tokenizer, layout, config
        As the encoder was loaded with.

    Returns
    -------
    list of float
        The mean loss of each epoch, in nats a hidden token.
    """
    device = model_device(encoder)
    torch.manual_seed(config.seed)
    filler = GapFiller(encoder, layout.pad_id).to(device).train()
    mask_id = mask_token(tokenizer, layout)
    count = tokenizer.get_vocab_size()
    optimizer = decayed_optimizer(filler, config.adapt_learning_rate, config.weight_decay)
    epochs = [list(_windows(streams, layout, [config.seed, epoch])) for epoch in range(config.adapt_epochs)]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmup_and_decay(sum(map(len, epochs)), config.warmup_share)
    )
    begun = time.monotonic()
    losses = []
    for epoch, batches in enumerate(epochs, start=1):
        random = np.random.default_rng([config.seed, epoch, 1])
        total: list[Tensor] = []
        for tokens in batches:
            shown, hidden = _hide(tokens, layout, mask_id, count, random)
            with half_precision(device):
                logits = filler(torch.from_numpy(shown).to(device), torch.from_numpy(hidden).to(device))
            loss = functional.cross_entropy(logits.float(), torch.from_numpy(tokens[hidden]).to(device))
            take_step(loss, filler, optimizer, schedule)
            total.append(loss.detach())
        losses.append(float(torch.stack(total).double().mean()))
        minutes = (time.monotonic() - begun) / 60
        logger.info("adapting, epoch %d: loss %.3f, %.1f minutes", epoch, losses[-1], minutes)
    return losses


def _windows(streams: Sequence[TokenStream], layout: WindowLayout, seed: Sequence[int]) -> Iterator[IntArray]:
    """Cut streams, in another order and at other places each time, into full windows behind a start token."""
    random = np.random.default_rng(seed)
    length = layout.lengths[-1] - 1
    rows = BATCH_TOKENS // layout.lengths[-1]
    order = random.permutation(len(streams))
    tokens = np.concatenate([streams[index].tokens for index in order])
    count = len(tokens) // length
    windows = tokens[: count * length].reshape(count, length)
    windows = np.concatenate([np.full((count, 1), layout.start_id, dtype=np.int64), windows], axis=1)
    windows = windows[random.permutation(count)]
    for first in range(0, count, rows):
        yield windows[first : first + rows]


def _hide(
    tokens: IntArray, layout: WindowLayout, mask_id: int, vocabulary_size: int, random: np.random.Generator
) -> tuple[IntArray, Any]:
    special = (tokens == layout.start_id) | (tokens == layout.marker_id) | (tokens == layout.pad_id)
    hidden = (random.random(tokens.shape) < HIDDEN_SHARE) & ~special
    draw = random.random(tokens.shape)
    shown = np.where(hidden & (draw < 0.8), mask_id, tokens)
    other = random.integers(0, vocabulary_size, tokens.shape)
    return np.where(hidden & (draw >= 0.9), other, shown), hidden
