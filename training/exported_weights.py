"""Brings the weights of an exported model back into torch, for a student that begins from its teacher."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto
from tokenizers import Tokenizer
from torch import nn

from classifier.errors import OptionError
from classifier.model_folder import read_model_folder
from training.config import TrainingConfig
from training.json_files import read_json
from training.model import StepClassifier, load_encoder, special_layout
from training.onnx_graphs import load_float32, weight_arrays

_PREFIX = "model."
"""What the exported graph puts before the names of a `StepClassifier`."""


def load_exported(folder: Path, config: TrainingConfig) -> tuple[StepClassifier, Tokenizer]:
    """Load an exported model into torch, its temperature in the head, so that its probabilities are the same.

    Parameters
    ----------
    folder
        A model folder that `export_model` wrote.
    config
        Names the encoder that it was made from, and the dropout.

    Returns
    -------
    model, tokenizer
        On the CPU; the weights as the file holds them, in float32.

    Raises
    ------
    OptionError
        If the model was made from another encoder, or has matrices without a bias, which the graph does not
        name.
    ModelError
        If the folder holds no model.
    """
    exported = read_model_folder(folder)
    tokenizer = Tokenizer.from_file(str(exported.tokenizer_file))
    whole = dataclasses.replace(config, vocabulary_size=0, layers=0)
    encoder, _ = load_encoder(whole, None)
    width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
    embeddings = nn.Embedding(tokenizer.get_vocab_size(), width)
    encoder.set_input_embeddings(embeddings)  # type: ignore[operator]
    model = StepClassifier(encoder, special_layout(config, tokenizer).pad_id, config.dropout)
    stored = named_weights(load_float32(exported.model_file))
    expected = model.state_dict()
    unfit = [
        name for name, weight in expected.items() if name not in stored or stored[name].shape != weight.shape
    ]
    if unfit:
        raise OptionError(
            f"{folder}: a student begins from the layers of its teacher, and this model's do not fit those "
            f"of the encoder {config.encoder!r} ({len(unfit)} weights, the first of them {unfit[0]}); set "
            "`encoder` to the one that the teacher was fine-tuned from, of BERT's architecture"
        )
    model.load_state_dict({name: torch.from_numpy(stored[name]) for name in expected})
    with torch.no_grad():
        for parameter in model.kind_head.parameters():
            parameter.div_(read_json(folder / "card.json")["temperature"])
    return model, tokenizer


def named_weights(graph: ModelProto) -> dict[str, np.ndarray]:
    """Return the weights of an exported graph under the names that they have in torch.

    The exporter keeps the name of a bias, but not that of the matrix whose product it is added to.

    Parameters
    ----------
    graph
        With all weights in float32.
    """
    arrays = weight_arrays(graph)
    producers = {output: node for node in graph.graph.node for output in node.output}
    found = {name: np.array(array) for name, array in arrays.items() if array.dtype == np.float32}
    for node in graph.graph.node:
        for place, name in enumerate(node.input if node.op_type == "Add" else ()):
            product = producers.get(node.input[1 - place])
            if name.endswith(".bias") and product is not None and product.op_type == "MatMul":
                # torch keeps the matrix of a linear layer the other way round.
                found[name.removesuffix("bias") + "weight"] = np.ascontiguousarray(arrays[product.input[1]].T)
    return {name.removeprefix(_PREFIX): array for name, array in found.items()}
