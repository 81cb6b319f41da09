"""Conversion to float16, for GPUs."""

import warnings
from pathlib import Path

import onnx
from onnx import ModelProto
from onnxruntime.transformers.float16 import convert_float_to_float16

from training.onnx_graphs import load_float32


def convert_to_float16(source: Path, target: Path) -> None:
    """Write the float16 version of a graph; its inputs and outputs keep their types.

    Parameters
    ----------
    source
        The float32 ONNX file.
    target
        The file to write.
    """
    with warnings.catch_warnings():
        # Weights under float16's smallest number are rounded up to it, with a warning for each.
        warnings.simplefilter("ignore", UserWarning)
        model: ModelProto = convert_float_to_float16(load_float32(source), keep_io_types=True)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
