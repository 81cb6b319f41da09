"""Small operations on ONNX graphs that the exports of other precisions share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

FloatArray = npt.NDArray[np.float32]

_SMALLEST_LINEAR = 16
"""A product with fewer outputs than this, such as the head's, costs nothing and stays as it is."""


def load_float32(path: Path) -> ModelProto:
    """Load a graph whose weights are stored in float16, and store them in float32.

    Parameters
    ----------
    path
        An ONNX file whose float16 weights are each cast to float32 by a node of their own.

    Returns
    -------
    ModelProto
        The same function without those casts.
    """
    model = onnx.load(str(path))
    stored = {weight.name: weight for weight in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        weight = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if weight is None or weight.data_type != TensorProto.FLOAT16:
            kept.append(node)
            continue
        full = numpy_helper.to_array(weight).astype(np.float32)
        weight.CopyFrom(numpy_helper.from_array(full, node.output[0]))
    replace_nodes(model, kept)
    return model


def weight_arrays(model: ModelProto) -> dict[str, npt.NDArray[np.generic]]:
    """Return the stored tensors of a graph by name."""
    return {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}


def linear_nodes(model: ModelProto) -> list[NodeProto]:
    """Return the matrix products with a stored weight that are worth making faster, in order."""
    shapes = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
    found = []
    for node in model.graph.node:
        shape = shapes.get(node.input[1], ()) if node.op_type == "MatMul" else ()
        if len(shape) == 2 and shape[1] >= _SMALLEST_LINEAR:
            found.append(node)
    return found


def replace_nodes(model: ModelProto, nodes: Sequence[NodeProto]) -> None:
    """Give a graph other nodes, which may be some of its own."""
    kept = list(nodes)
    del model.graph.node[:]
    model.graph.node.extend(kept)
