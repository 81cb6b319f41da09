"""Makes a narrow encoder from a wide one."""

from typing import Any, Final

import torch
from torch import nn
from transformers import AutoModel

HEAD_WIDTH: Final = 32
"""Width of an attention head, as in MiniLM."""


def narrow_encoder(encoder: Any, width: int, layers: int) -> nn.Module:
    """Make a narrower encoder of the same architecture, with the other's embeddings projected.

    The embeddings are projected onto their principal components and scaled to the same size; all else is
    drawn anew.

    Parameters
    ----------
    encoder
        A BERT-like encoder with a loaded vocabulary.
    width
        The new hidden size, a multiple of 32.
    layers
        The number of layers.

    Returns
    -------
    nn.Module
        The new encoder.

    Raises
    ------
    ValueError
        If the width is no multiple of 32 or wider than the encoder.
    """
    old = encoder.config
    if width % HEAD_WIDTH or not 0 < width <= old.hidden_size:
        raise ValueError(
            f"hidden_size {width}: expected a multiple of {HEAD_WIDTH} of at most {old.hidden_size}, "
            "the encoder's own"
        )
    settings = type(old)(
        **{
            **old.to_dict(),
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": width // HEAD_WIDTH,
            "intermediate_size": 4 * width,
        }
    )
    narrow: Any = AutoModel.from_config(settings, attn_implementation="eager")
    if getattr(narrow, "pooler", None) is not None:
        narrow.pooler = None
    with torch.no_grad():
        words = encoder.get_input_embeddings().weight
        _, _, components = torch.linalg.svd(words - words.mean(0), full_matrices=False)
        projection = components[:width].T * (old.hidden_size / width) ** 0.5
        narrow.get_input_embeddings().weight.copy_(words @ projection)
        positions = encoder.embeddings.position_embeddings.weight
        narrow.embeddings.position_embeddings.weight.copy_(positions @ projection)
    return narrow  # type: ignore[no-any-return]
