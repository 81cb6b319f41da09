"""Runs batches in device memory that is bound once, in few fixed shapes, as large as the memory allows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.errors import OptionError
from classifier.kinds import KINDS

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_OUTPUT = "probabilities"
_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory")


@dataclass(frozen=True, slots=True)
class _Buffers:
    """Inputs and the output of one shape in the device's memory, bound to the session."""

    binding: Any
    inputs: dict[str, Any]
    output: Any


class BoundSession:
    """An ONNX Runtime session whose inputs and output lie in the device's memory.

    A batch is filled up to the next power of two windows, so that there are few shapes: each has its buffers
    bound once, and the provider prepares for it once. Not for several threads at a time.

    Parameters
    ----------
    session
        The ONNX Runtime session.
    batch_size
        The most windows in one run.
    may_shrink
        Whether to go on with half as many windows where the device's memory does not suffice.
    device
        The device's name in ONNX Runtime.
    """

    def __init__(self, session: Any, batch_size: int, *, may_shrink: bool, device: str = "cuda") -> None:
        self._session = session
        self._may_shrink = may_shrink
        self._device = device
        self._buffers: dict[tuple[int, int], _Buffers] = {}
        self.batch_size = batch_size

    def run(self, inputs: Mapping[str, IntArray]) -> FloatArray:
        """Run windows of one length.

        Parameters
        ----------
        inputs
            As `classifier.encoder.window_inputs` makes them.

        Returns
        -------
        array
            The kind probabilities, float32 [windows, max_steps, 4].

        Raises
        ------
        OptionError
            If the device's memory does not suffice and `batch_size` may not or cannot shrink.
        """
        count = len(inputs["tokens"])
        parts = []
        done = 0
        while done < count:
            part = {name: values[done : done + self.batch_size] for name, values in inputs.items()}
            try:
                parts.append(self._run_once(part))
            except Exception as error:
                # ONNX Runtime has no error of its own for memory that is used up.
                if not any(text in str(error).lower() for text in _OUT_OF_MEMORY):
                    raise
                self._shrink(error)
            else:
                done += len(part["tokens"])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _shrink(self, error: Exception) -> None:
        if not self._may_shrink or self.batch_size == 1:
            raise OptionError(
                f"the device's memory does not suffice for {self.batch_size} windows at a time: give a "
                "smaller batch_size (--batch-size), leave it out to use what fits, or free memory there"
            ) from error
        self._buffers.clear()
        self.batch_size = (self.batch_size + 1) // 2

    def _run_once(self, inputs: Mapping[str, IntArray]) -> FloatArray:
        count, length = inputs["tokens"].shape
        size = min(self.batch_size, 1 << (count - 1).bit_length())
        buffers = self._buffers.get((size, length))
        if buffers is None:
            buffers = self._buffers[size, length] = self._bind(size, inputs)
        for name, values in inputs.items():
            # Windows repeat where the batch is filled up: whatever stands there is thrown away.
            buffers.inputs[name].update_inplace(np.resize(values, (size, values.shape[1])))
        self._session.run_with_iobinding(buffers.binding)
        # The buffer is used again by the next run of this shape.
        return np.array(buffers.output.numpy()[:count], dtype=np.float32)

    def _bind(self, size: int, inputs: Mapping[str, IntArray]) -> _Buffers:
        import onnxruntime

        def empty(shape: tuple[int, ...], kind: Any) -> Any:
            return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, kind, self._device, 0)

        binding = self._session.io_binding()
        values = {name: empty((size, array.shape[1]), np.int64) for name, array in inputs.items()}
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        output = empty((size, inputs["starts"].shape[1], len(KINDS)), np.float32)
        binding.bind_ortvalue_output(_OUTPUT, output)
        return _Buffers(binding, values, output)
