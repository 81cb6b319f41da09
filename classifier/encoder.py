"""Runs windows through the ONNX model on the asked-for device."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from classifier.bound_session import BoundSession
from classifier.errors import ModelError, OptionError, ProviderError
from classifier.windows import IntArray, Window

FloatArray = npt.NDArray[np.float32]

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Short names that options accept beside ONNX Runtime's own."""

_BATCH_SIZES = {"cpu": 4, "gpu": 256}


class StepEncoder(Protocol):
    """What the scorer needs of an encoder."""

    @property
    def batch_size(self) -> int:
        """How many windows one call should hold."""

    def submit(self, windows: Sequence[Window]) -> "Future[list[FloatArray]]":
        """Start on windows of one length; the future gives float32 [steps, 4] for each, in order."""


class OnnxEncoder:
    """The ONNX model of a model folder.

    Parameters
    ----------
    model_file
        The ONNX file.
    max_steps
        How many places for steps the graph has.
    providers
        Execution providers by ONNX Runtime's name or by `cpu`, `cuda`, `tensorrt`. By default CUDA where the
        installed ONNX Runtime can use it, else the CPU.
    threads
        CPU threads; all cores by default. Each runs whole batches on its own.
    batch_size
        Windows in one forward pass. By default 4 on a CPU, and on a GPU 256 or as many as fit its memory.

    Raises
    ------
    ProviderError
        If a provider that was asked for is not there.
    ModelError
        If the file is no ONNX model that ONNX Runtime can load.
    """

    def __init__(
        self,
        model_file: Path,
        max_steps: int,
        *,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise OptionError(f"threads must be at least 1, got {threads}")
        if batch_size is not None and batch_size < 1:
            raise OptionError(f"batch_size must be at least 1 window, got {batch_size}")
        self._max_steps = max_steps
        self._session = _open_session(model_file, providers)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        on_cpu = self.providers[0] == PROVIDERS["cpu"]
        self.threads = (threads or _available_cores()) if on_cpu else 1
        self._batch_size = batch_size or _BATCH_SIZES["cpu" if on_cpu else "gpu"]
        self._bound: BoundSession | None = None
        if self.providers[0] in (PROVIDERS["cuda"], PROVIDERS["tensorrt"]):
            self._bound = BoundSession(self._session, self._batch_size, may_shrink=batch_size is None)
        self._start_pool()

    @property
    def batch_size(self) -> int:
        """Return how many windows one forward pass takes."""
        return self._batch_size if self._bound is None else self._bound.batch_size

    def submit(self, windows: Sequence[Window]) -> "Future[list[FloatArray]]":
        """Start a forward pass.

        Parameters
        ----------
        windows
            Windows of one length.

        Returns
        -------
        Future
            Gives the kind probabilities of each window's steps, float32 [steps, 4] each, in order.

        Raises
        ------
        ProviderError
            If this process was forked from one that has the model on a GPU.
        """
        if self._process != os.getpid():
            self._after_fork()
        return self._pool.submit(self._run, windows)

    def _start_pool(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="encoder")
        # Last, for other threads take it to mean that the pool is this process's.
        self._process = os.getpid()

    def _after_fork(self) -> None:
        """Start threads anew: a forked process has a pool that counts on its parent's, which are not there.

        The session stays: with one thread a call it has no threads of its own.
        """
        if self.providers[0] != PROVIDERS["cpu"]:
            raise ProviderError(
                f"this scorer was made before its process was forked, and {self.providers[0]} does not work "
                "in a forked process: start processes by multiprocessing's method 'spawn', and make the "
                "scorer in each; or ask for cpu"
            )
        self._start_pool()

    def _run(self, windows: Sequence[Window]) -> list[FloatArray]:
        inputs = window_inputs(windows, self._max_steps)
        if self._bound is None:
            (probabilities,) = self._session.run(["probabilities"], inputs)
        else:
            probabilities = self._bound.run(inputs)
        return [probabilities[row, : window.step_count] for row, window in enumerate(windows)]


def window_inputs(windows: Sequence[Window], max_steps: int) -> dict[str, IntArray]:
    """Stack windows to the graph's inputs.

    Parameters
    ----------
    windows
        Windows of one length.
    max_steps
        How many places for steps the graph has; unused ones are 0.

    Returns
    -------
    dict
        `tokens` int64 [windows, length], `starts` and `ends` int64 [windows, max_steps].
    """
    starts = np.zeros((len(windows), max_steps), dtype=np.int64)
    ends = np.zeros_like(starts)
    for row, window in enumerate(windows):
        starts[row, : window.step_count] = window.starts
        ends[row, : window.step_count] = window.ends
    return {"tokens": np.stack([window.tokens for window in windows]), "starts": starts, "ends": ends}


def _open_session(model_file: Path, providers: Sequence[str] | None) -> Any:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    wanted = [PROVIDERS.get(name.lower(), name) for name in providers or ()]
    for name in wanted:
        if name not in available:
            raise ProviderError(
                f"the execution provider {name} was asked for, but this ONNX Runtime has only "
                f"{', '.join(available)}. For an NVIDIA GPU: pip uninstall -y onnxruntime && "
                "pip install 'branching-classifier[gpu]'; or ask for cpu"
            )
    chosen = wanted or [name for name in (PROVIDERS["cuda"], PROVIDERS["cpu"]) if name in available]
    if chosen == [PROVIDERS["tensorrt"]] and PROVIDERS["cuda"] in available:
        # What TensorRT cannot run would otherwise go to the CPU, with copies to and fro.
        chosen = [*chosen, PROVIDERS["cuda"]]
    options = onnxruntime.SessionOptions()
    # One thread a session call: several calls run side by side, which scales better than splitting one.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(model_file), options, providers=chosen)
    except Exception as error:
        # ONNX Runtime's errors share no base class but Exception.
        if type(error).__module__.startswith("onnxruntime"):
            raise ModelError(f"ONNX Runtime cannot load {model_file}: {error}") from error
        raise
    if wanted and session.get_providers()[0] != wanted[0]:
        raise ProviderError(
            f"{wanted[0]} was asked for, but ONNX Runtime could not start it and fell back to "
            f"{session.get_providers()[0]}: check the driver and the CUDA libraries, or ask for cpu"
        )
    return session


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
