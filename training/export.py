"""Exports a fine-tuned model to ONNX, checks it against torch, and writes a sealed model folder."""

import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from torch import Tensor, nn

from classifier.kinds import KINDS
from classifier.model_folder import CARD_FORMAT, file_sha256
from classifier.version import __version__
from classifier.windows import WindowLayout
from training.model import StepClassifier

PARITY_LIMIT = 1e-4
"""The largest difference of a probability between torch and ONNX Runtime that an export may have."""

_OPSET = 20


class ParityError(RuntimeError):
    """The exported graph gives other probabilities than torch."""


class _CalibratedClassifier(nn.Module):
    def __init__(self, model: StepClassifier, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, tokens: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        return torch.softmax(self.model(tokens, starts, ends) / self.temperature, dim=-1)


def round_weights(model: StepClassifier) -> None:
    """Round a model's large weights to what float16 can hold, in place, as the stored file will.

    Parameters
    ----------
    model
        The model; its small vectors keep their precision.
    """
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half().float())


def export_model(
    model: StepClassifier,
    tokenizer: Tokenizer,
    layout: WindowLayout,
    folder: Path,
    card: Mapping[str, Any],
    *,
    temperature: float = 1.0,
    threshold: float = 0.5,
) -> float:
    """Write a model folder: weights stored in float16 and computed in float32, tokenizer, sealed card.

    Parameters
    ----------
    model, tokenizer, layout
        The fine-tuned model; its weights are rounded to float16 in place.
    folder
        Where `model.onnx`, `tokenizer.json` and `card.json` go.
    card
        Further fields of the card: name, version, languages, data, licences, figures.
    temperature
        The logits are divided by it; it becomes part of the graph.
    threshold
        The step probability at or above which a step branches.

    Returns
    -------
    float
        The largest difference of a probability to torch's on random windows.

    Raises
    ------
    ParityError
        If that difference is over 1e-4.
    """
    folder.mkdir(parents=True, exist_ok=True)
    round_weights(model)
    # The plain products of eager attention are what runtimes know how to fuse.
    model.encoder.set_attn_implementation("eager")  # type: ignore[operator]
    calibrated = _CalibratedClassifier(model, temperature).eval()
    path = folder / "model.onnx"
    _write_graph(calibrated, layout, path)
    store_as_float16(path)
    difference = parity(calibrated, path, layout, tokenizer.get_vocab_size())
    if difference > PARITY_LIMIT:
        raise ParityError(
            f"the exported probabilities differ from torch's by up to {difference:.2e}, "
            f"more than {PARITY_LIMIT}"
        )
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    seal(folder, {**card, "threshold": threshold, "temperature": temperature, "parity": difference}, layout)
    return difference


def seal(folder: Path, card: Mapping[str, Any], layout: WindowLayout) -> None:
    """Write a model folder's card with the layout and the SHA-256 of its files.

    Parameters
    ----------
    folder
        Holds `tokenizer.json` and one or more ONNX files.
    card
        The card's fields.
    layout
        The window layout.
    """
    files = sorted([*folder.glob("*.onnx"), folder / "tokenizer.json"])
    layout_fields = {name: getattr(layout, name) for name in WindowLayout.__slots__}
    full = {
        "format": CARD_FORMAT,
        "name": "branching-classifier",
        "version": __version__,
        "languages": ["en"],
        "kinds": list(KINDS),
        "unknown_token_limit": 0.1,
        **card,
        "layout": layout_fields,
        "sha256": {path.name: file_sha256(path) for path in files},
    }
    text = json.dumps(full, indent=2, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")


def parity(
    model: nn.Module,
    onnx_file: Path,
    layout: WindowLayout,
    vocabulary_size: int,
    windows: int = 8,
    seed: int = 0,
) -> float:
    """Return the largest difference of a probability between torch and ONNX Runtime on random windows.

    Parameters
    ----------
    model
        The torch model with the graph's inputs and output.
    onnx_file
        The exported graph.
    layout
        The window layout; every length is tried.
    vocabulary_size
        Random tokens are below it.
    windows
        Random windows of each length.
    seed
        Seed of the random windows.
    """
    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(seed)
    largest = 0.0
    for length in layout.lengths:
        inputs = _random_inputs(layout, length, windows, vocabulary_size, random)
        with torch.inference_mode():
            expected = model(*(torch.from_numpy(array) for array in inputs)).numpy()
        names = ("tokens", "starts", "ends")
        (actual,) = session.run(["probabilities"], dict(zip(names, inputs, strict=True)))
        used = inputs[2] > 0
        largest = max(largest, float(np.abs(actual - expected)[used].max()))
    return largest


def _random_inputs(
    layout: WindowLayout, length: int, windows: int, vocabulary_size: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tokens = random.integers(5, vocabulary_size, (windows, length))
    tokens[:, 0] = layout.start_id
    starts = np.zeros((windows, layout.max_steps), dtype=np.int64)
    ends = np.zeros_like(starts)
    for row in range(windows):
        used = int(random.integers(length // 2, length + 1))
        tokens[row, used:] = layout.pad_id
        steps = int(random.integers(1, min(layout.max_steps, used // 4) + 1))
        borders = np.sort(random.choice(np.arange(2, used), steps, replace=False))
        starts[row, :steps] = borders
        ends[row, :steps] = [*borders[1:], used]
        tokens[row, borders] = layout.marker_id
    return tokens.astype(np.int64), starts, ends


def _write_graph(model: nn.Module, layout: WindowLayout, path: Path) -> None:
    example = _random_inputs(layout, layout.lengths[-1], 2, 100, np.random.default_rng(0))
    batch = torch.export.Dim("windows", min=1, max=4_096)
    length = torch.export.Dim("length", min=8, max=layout.lengths[-1])
    with warnings.catch_warnings():
        # The exporter warns that one name serves the three inputs' shared axis, and of its own old calls.
        warnings.filterwarnings("ignore", message="# The axis name")
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        torch.onnx.export(
            model,
            tuple(torch.from_numpy(array) for array in example),
            str(path),
            input_names=["tokens", "starts", "ends"],
            output_names=["probabilities"],
            dynamic_shapes={"tokens": {0: batch, 1: length}, "starts": {0: batch}, "ends": {0: batch}},
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            optimize=True,
            verbose=False,
        )


def store_as_float16(path: Path) -> None:
    """Store large float32 weights as float16 and cast them back, which ONNX Runtime does once, at load.

    Parameters
    ----------
    path
        The ONNX file, which is replaced; shapes and texts that no run needs are left out.
    """
    model = onnx.load(str(path))
    kept: list[TensorProto] = []
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < 1_024 or len(weight.dims) < 2:
            kept.append(weight)
            continue
        half = numpy_helper.from_array(
            numpy_helper.to_array(weight).astype(np.float16), weight.name + "_half"
        )
        kept.append(half)
        casts.append(helper.make_node("Cast", [half.name], [weight.name], to=TensorProto.FLOAT))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def copy_model(
    source: Path, target: Path, names: Sequence[str] = ("model.onnx", "tokenizer.json", "card.json")
) -> None:
    """Copy a model folder's files."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(source / name, target / name)
