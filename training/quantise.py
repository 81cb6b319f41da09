"""Static quantisation to eight bits: the matrix products with stored weights, and nothing else.

Scales are fixed beforehand on calibration windows, never taken from the batch at hand, so a score does not
depend on its neighbours. Weights have one scale for each output channel and use seven bits, since processors
without VNNI saturate the 16-bit sums of eight-bit products.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from training.export import store_as_float16
from training.onnx_graphs import FloatArray, linear_nodes, load_float32
from training.outliers import split_outliers

Inputs = dict[str, np.ndarray]


def quantise(source: Path, target: Path, calibration: Sequence[Inputs]) -> None:
    """Write the int8 version of a graph.

    Parameters
    ----------
    source
        The float32 ONNX file.
    target
        The file to write.
    calibration
        Inputs of the graph, one window each: real text of the kind that will be scored.
    """
    model = load_float32(source)
    names = split_outliers(model, channel_ranges(model, calibration))
    with tempfile.TemporaryDirectory() as folder, _quiet():
        split = Path(folder) / "split.onnx"
        onnx.save(model, str(split))
        quantize_static(
            str(split),
            str(target),
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "MatMulConstBOnly": True,
                "OpTypesToExcludeOutputQuantization": ["MatMul"],
                "WeightSymmetric": True,
            },
        )
    # This also drops the stored shapes, with which ONNX Runtime would fuse additions into
    # SkipLayerNormalization: on a CPU that is several times slower than the parts that it replaces.
    store_as_float16(target)


def channel_ranges(model: ModelProto, calibration: Sequence[Inputs]) -> dict[str, FloatArray]:
    """Return the largest absolute value of each channel that enters a matrix product.

    Parameters
    ----------
    model
        The graph.
    calibration
        Inputs of the graph.

    Returns
    -------
    dict
        For each input of a product with a stored weight, float32 [channels].
    """
    sources = sorted({node.input[0] for node in linear_nodes(model)})
    watched = ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in sources
    )
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    ranges: dict[str, FloatArray] = {}
    for inputs in calibration:
        for name, values in zip(sources, session.run(sources, inputs), strict=True):
            widths = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            ranges[name] = np.maximum(ranges[name], widths) if name in ranges else widths
    return ranges


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: Sequence[Inputs]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)


@contextmanager
def _quiet() -> Iterator[None]:
    # The quantiser advises a preparation that this graph does not need, through the root logger.
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
