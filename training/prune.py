"""Cuts an encoder down: fewer layers, and of each layer only the heads and feed-forward units that matter.

The importance of a head or unit is how much the loss would change if it were switched off, to first order:
the gradient of a gate on its output, summed in absolute value over batches (Michel et al. 2019, "Are Sixteen
Heads Really Better than One?", section 4.1; Molchanov et al. 2019, "Importance Estimation for Neural Network
Pruning", section 3.1).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from classifier.errors import OptionError
from training.corpus import Batch
from training.finetune import label_loss
from training.loop import save_state
from training.model import StepClassifier


@dataclass(frozen=True, slots=True)
class LayerImportance:
    """How much each part of a layer matters.

    Parameters
    ----------
    heads
        Of each attention head, float32 [heads].
    units
        Of each feed-forward unit, float32 [units].
    """

    heads: Tensor
    units: Tensor


def save_importance(importance: Sequence[LayerImportance], path: Path) -> None:
    """Save how much the parts of each layer matter, for a run that is stopped later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_state([asdict(layer) for layer in importance], path)


def load_importance(path: Path) -> list[LayerImportance]:
    """Load what `save_importance` saved."""
    return [LayerImportance(**layer) for layer in torch.load(path, weights_only=True)]


def measure_importance(model: StepClassifier, batches: Iterable[Batch]) -> list[LayerImportance]:
    """Measure how much the heads and feed-forward units of each layer matter to the loss.

    Parameters
    ----------
    model
        A trained model with an encoder of BERT's architecture; its gradients are cleared.
    batches
        Labelled steps, at least one batch.

    Returns
    -------
    list of LayerImportance
        One a layer.

    Raises
    ------
    OptionError
        If the encoder has another architecture.
    """
    layers = bert_layers(model.encoder)
    totals = [
        LayerImportance(
            torch.zeros(layer.attention.self.num_attention_heads),
            torch.zeros(layer.output.dense.in_features),
        )
        for layer in layers
    ]
    model.eval()
    for batch in batches:
        model.zero_grad()
        label_loss(model, batch).backward()
        for layer, total in zip(layers, totals, strict=True):
            joined = _gate_gradients(layer.attention.output.dense)
            total.heads.add_(joined.view(len(total.heads), -1).sum(1).abs())
            total.units.add_(_gate_gradients(layer.output.dense).abs())
    model.zero_grad(set_to_none=True)
    return totals


def prune(encoder: nn.Module, importance: list[LayerImportance], *, heads: int, units: int) -> None:
    """Keep only the heads and feed-forward units of each layer that matter most, in place.

    Parameters
    ----------
    encoder
        An encoder of BERT's architecture.
    importance
        One a layer.
    heads, units
        How many to keep in each layer; 0 keeps all.

    Raises
    ------
    OptionError
        If the encoder has another architecture, or a layer has fewer.
    """
    for layer, matters in zip(bert_layers(encoder), importance, strict=True):
        if heads:
            attention = layer.attention.self
            size = attention.attention_head_size
            kept = _most_important(matters.heads, heads, "heads")
            rows = (kept[:, None] * size + torch.arange(size)).flatten()
            for name in ("query", "key", "value"):
                setattr(attention, name, _cut(getattr(attention, name), rows=rows))
            layer.attention.output.dense = _cut(layer.attention.output.dense, columns=rows)
            attention.num_attention_heads = heads
            attention.all_head_size = heads * size
        if units:
            kept = _most_important(matters.units, units, "feed_forward_units")
            layer.intermediate.dense = _cut(layer.intermediate.dense, rows=kept)
            layer.output.dense = _cut(layer.output.dense, columns=kept)


def bert_layers(encoder: Any) -> list[Any]:
    """Return the layers of an encoder of BERT's architecture.

    Raises
    ------
    OptionError
        If it has another one.
    """
    layers = list(getattr(getattr(encoder, "encoder", None), "layer", ()))
    if not layers or not all(
        hasattr(layer, "intermediate") and hasattr(layer.attention.self, "query") for layer in layers
    ):
        raise OptionError(
            f"{type(encoder).__name__}: only encoders of BERT's architecture can be pruned; set heads and "
            "feed_forward_units to 0"
        )
    return layers


def _gate_gradients(output: nn.Linear) -> Tensor:
    """Return the gradients of gates on a linear layer's inputs."""
    gradient = output.weight.grad
    if gradient is None:
        raise ValueError("the loss does not depend on the layer")
    return (output.weight.detach() * gradient).sum(0).cpu()


def _most_important(importance: Tensor, count: int, setting: str) -> Tensor:
    if count > len(importance):
        raise OptionError(f"{setting} {count}: a layer of the encoder has {len(importance)}")
    return importance.topk(count).indices.sort().values


def _cut(linear: nn.Linear, *, rows: Tensor | None = None, columns: Tensor | None = None) -> nn.Linear:
    weight, bias = linear.weight.detach(), linear.bias.detach()
    if rows is not None:
        weight, bias = weight[rows], bias[rows]
    if columns is not None:
        weight = weight[:, columns]
    smaller = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device)
    with torch.no_grad():
        smaller.weight.copy_(weight)
        smaller.bias.copy_(bias)
    return smaller
