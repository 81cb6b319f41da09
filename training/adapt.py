"""Adapts an encoder to traces before it is fine-tuned: it learns to fill gaps in unlabelled ones.

Gururangan et al. 2020, "Don't Stop Pretraining", section 3, with the masking of Devlin et al. 2019, "BERT",
section 3.1. The text is laid out as the classifier reads it, a marker before each step, so that the encoder
also learns what comes behind a marker.
"""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from classifier.windows import IntArray, TokenStream, WindowLayout, join_steps
from training.config import TrainingConfig
from training.heuristic_corpus import sample_excerpts
from training.loop import EpochRecord, EpochSettings, save_state, train_epochs
from training.model import mask_token
from training.optimisation import half_precision, model_device
from training.trace_files import TraceRow

logger = logging.getLogger(__name__)

HIDDEN_SHARE: Final = 0.15
"""Share of a window's tokens, markers counted, that must be guessed."""

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
) -> list[EpochRecord]:
    """Adapt an encoder to unlabelled traces, in place; where these fill no window it is left as it is.

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

    Returns
    -------
    list of EpochRecord
        One an epoch; none if the encoder was left as it is.
    """
    path = run_folder / "adapted.pt"
    # Folds that are trained side by side share one adapted encoder.
    with FileLock(run_folder / "adapted.lock"):
        if not path.exists():
            logger.info("adapting the encoder to unlabelled traces")
            streams = _streams(unlabelled, tokenizer, layout, config)
            tokens = sum(len(stream.tokens) for stream in streams)
            if tokens < _text_length(layout):
                logger.info("the unlabelled traces fill no window of tokens: the encoder is not adapted")
                return []
            epochs = fill_gaps(encoder, streams, tokenizer, layout, config, run_folder / "adapting")
            stored = {
                "encoder": encoder.state_dict(),
                "epochs": [dataclasses.asdict(epoch) for epoch in epochs],
            }
            save_state(stored, path)
    stored = torch.load(path, map_location=model_device(encoder), weights_only=True)
    encoder.load_state_dict(stored["encoder"])
    return [EpochRecord(**epoch) for epoch in stored["epochs"]]


def _streams(
    unlabelled: Sequence[TraceRow], tokenizer: Tokenizer, layout: WindowLayout, config: TrainingConfig
) -> list[TokenStream]:
    streams = []
    for trace, spans in sample_excerpts(unlabelled, config.adapt_characters, config.seed):
        steps = [trace[start:end] for start, end in spans]
        encodings = tokenizer.encode_batch(steps, add_special_tokens=False)
        streams.append(join_steps([encoding.ids for encoding in encodings], layout))
    return streams


def fill_gaps(
    encoder: nn.Module,
    streams: Sequence[TokenStream],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
) -> list[EpochRecord]:
    """Train an encoder to fill gaps in token streams, in place.

    Parameters
    ----------
    encoder
        The encoder, on the device to train on.
    streams
        The traces' tokens.
    tokenizer, layout, config
        As the encoder was loaded with.
    run_folder
        Where the checkpoint goes; a run that finds one goes on from it. See `train_epochs`.

    Returns
    -------
    list of EpochRecord
        One an epoch; the loss is in nats a hidden token.
    """
    device = model_device(encoder)
    torch.manual_seed(config.seed)
    filler = GapFiller(encoder, layout.pad_id).to(device)
    mask_id = mask_token(tokenizer, layout)
    count = tokenizer.get_vocab_size()

    def batches(epoch: int) -> list[_Gaps]:
        random = np.random.default_rng([config.seed, epoch])
        return [_hide(tokens, layout, mask_id, count, random) for tokens in _windows(streams, layout, random)]

    def loss(gaps: _Gaps) -> Tensor:
        hidden = torch.from_numpy(gaps.hidden).to(device)
        with half_precision(device):
            logits = filler(torch.from_numpy(gaps.shown).to(device), hidden)
        return functional.cross_entropy(logits.float(), torch.from_numpy(gaps.answers).to(device))

    settings = EpochSettings(
        epochs=config.adapt_epochs,
        learning_rate=config.adapt_learning_rate,
        warmup_share=config.warmup_share,
        weight_decay=config.weight_decay,
        seed=config.seed,
    )
    return train_epochs(filler, batches, loss, settings, run_folder)


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Windows with gaps, [windows, length]: tokens as shown, and where they hide the answers."""

    shown: IntArray
    hidden: NDArray[np.bool_]
    answers: IntArray


def _windows(
    streams: Sequence[TokenStream], layout: WindowLayout, random: np.random.Generator
) -> Iterator[IntArray]:
    """Cut streams, in another order and at other places each time, into full windows behind a start token."""
    length = _text_length(layout)
    rows = BATCH_TOKENS // layout.lengths[-1]
    order = random.permutation(len(streams))
    tokens = np.concatenate([streams[index].tokens for index in order])
    count = len(tokens) // length
    windows = tokens[: count * length].reshape(count, length)
    windows = np.concatenate([np.full((count, 1), layout.start_id, dtype=np.int64), windows], axis=1)
    windows = windows[random.permutation(count)]
    for first in range(0, count, rows):
        yield windows[first : first + rows]


def _text_length(layout: WindowLayout) -> int:
    """Return how many tokens of text a window holds behind its start token."""
    return layout.lengths[-1] - 1


def _hide(
    tokens: IntArray, layout: WindowLayout, mask_id: int, vocabulary_size: int, random: np.random.Generator
) -> _Gaps:
    special = (tokens == layout.start_id) | (tokens == layout.marker_id) | (tokens == layout.pad_id)
    # As many in every batch of one shape: sizes that change at each step leave a CPU's memory in fragments,
    # gigabytes after a few hundred steps.
    text = np.flatnonzero(~special)
    count = min(round(HIDDEN_SHARE * tokens.size), len(text))
    hidden = np.zeros(tokens.shape, dtype=np.bool_)
    hidden.flat[random.choice(text, count, replace=False)] = True
    draw = random.random(tokens.shape)
    shown = np.where(hidden & (draw < 0.8), mask_id, tokens)
    other = random.integers(0, vocabulary_size, tokens.shape)
    return _Gaps(np.where(hidden & (draw >= 0.9), other, shown), hidden, tokens[hidden])
