"""Keeps the few channels of wide range in float32, so that the others can be stored in eight bits.

In a trained encoder a handful of the channels that enter a matrix product reach values several times as large
as all others. One scale for all channels would have to cover them, and would leave few of its 256 levels to
the rest. So their part of the product is taken out and computed in float32 (as Dettmers et al. 2022,
LLM.int8(), do at run time), and only the rest is quantised.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from training.onnx_graphs import FloatArray, linear_nodes, replace_nodes, weight_arrays

OUTLIER_SHARE = 1 / 48
"""The largest share of an input's channels that is taken out."""

OUTLIER_RATIO = 1.5
"""They are taken out only where the widest channel is this many times as wide as the widest that stays."""


@dataclass(frozen=True, slots=True)
class _Outliers:
    channels: np.ndarray
    limit: np.float32


def split_outliers(model: ModelProto, ranges: Mapping[str, FloatArray]) -> list[str]:
    """Take the channels of wide range out of a graph's matrix products, in place.

    Parameters
    ----------
    model
        The graph, with float32 weights.
    ranges
        For each input of a product its largest absolute value in each channel, float32 [channels].

    Returns
    -------
    list of str
        The names of the products to quantise.
    """
    weights = weight_arrays(model)
    linear = {node.name: node for node in linear_nodes(model)}
    outliers = {
        source: found
        for source in {node.input[0] for node in linear.values()}
        if (found := _find_outliers(ranges[source])) is not None
    }
    nodes: list[NodeProto] = []
    added: dict[str, Any] = {}
    replaced: dict[str, np.ndarray] = {}
    prepared: set[str] = set()
    for node in model.graph.node:
        found = outliers.get(node.input[0]) if node.name in linear else None
        if found is None:
            nodes.append(node)
            continue
        source, weight_name, target = node.input[0], node.input[1], node.output[0]
        if source not in prepared:
            prepared.add(source)
            nodes.extend(_separation(source))
            added[f"{source}.outlier_channels"] = found.channels
            added[f"{source}.low"], added[f"{source}.high"] = -found.limit, found.limit
        weight = weights[weight_name]
        added[f"{node.name}.outlier_weight"] = weight[found.channels]
        rest = weight.copy()
        rest[found.channels] = 0.0
        replaced[weight_name] = rest
        node.input[0], node.output[0] = f"{source}.rest", f"{target}.rest"
        outlier_part = [f"{source}.outliers", f"{node.name}.outlier_weight"]
        nodes += [
            node,
            helper.make_node("MatMul", outlier_part, [f"{target}.outliers"], name=f"{node.name}.outliers"),
            helper.make_node(
                "Add", [f"{target}.rest", f"{target}.outliers"], [target], name=f"{node.name}.sum"
            ),
        ]
    for stored in model.graph.initializer:
        if stored.name in replaced:
            stored.CopyFrom(numpy_helper.from_array(replaced[stored.name], stored.name))
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in added.items()
    )
    replace_nodes(model, nodes)
    onnx.checker.check_model(model)
    return list(linear)


def _find_outliers(widths: FloatArray) -> _Outliers | None:
    count = max(1, int(len(widths) * OUTLIER_SHARE))
    order = np.argsort(widths)
    limit = widths[order[-count - 1]]
    if widths[order[-1]] < OUTLIER_RATIO * limit:
        return None
    return _Outliers(np.sort(order[-count:]).astype(np.int64), np.float32(limit))


def _separation(source: str) -> list[NodeProto]:
    # Nothing of the clipped values is used: their weights are 0. It keeps the scale narrow.
    return [
        helper.make_node(
            "Gather",
            [source, f"{source}.outlier_channels"],
            [f"{source}.outliers"],
            axis=-1,
            name=f"{source}.gather",
        ),
        helper.make_node(
            "Clip", [source, f"{source}.low", f"{source}.high"], [f"{source}.rest"], name=f"{source}.clip"
        ),
    ]
