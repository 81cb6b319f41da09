"""The windows that a scorer makes of traces, and the bare forward pass over ready-made ones: the ceiling."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import onnxruntime

from benchmarks.variants import Variant
from classifier import BranchScorer
from classifier.encoder import window_inputs
from classifier.model_folder import read_model_folder
from classifier.windows import Window
from training.window_recorder import WindowRecorder


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What traces are in windows.

    Parameters
    ----------
    windows
        How many there are.
    slots
        Their lengths together.
    tokens
        Distinct tokens of the traces: each once, without markers, context and padding.
    """

    windows: int
    slots: int
    tokens: int


def make_windows(traces: Sequence[str], model: str | None = None) -> list[Window]:
    """Return the windows that a scorer makes of traces.

    Parameters
    ----------
    traces
        Chains of thought.
    model
        The model folder; the embedded one by default.
    """
    recorder = WindowRecorder()
    BranchScorer(model, encoder=recorder).score_batch_or_errors(traces)
    return recorder.windows


def count_windows(windows: Sequence[Window]) -> WindowCounts:
    """Count windows, their slots and the distinct tokens in them."""
    return WindowCounts(
        windows=len(windows),
        slots=sum(len(window.tokens) for window in windows),
        tokens=sum(int((window.ends - window.starts - 1).sum()) for window in windows),
    )


def bare_forward(
    windows: Sequence[Window],
    variant: Variant,
    *,
    threads: int = 1,
    batch_size: int = 1,
    seconds: float = 10.0,
    options: onnxruntime.SessionOptions | None = None,
) -> dict[str, float]:
    """Run full windows through the bare model for some seconds, each thread its own batches.

    Parameters
    ----------
    windows
        Where full windows are taken from.
    variant
        Which file is run.
    threads
        How many calls run side by side; each has one thread.
    batch_size
        Windows in a call.
    seconds
        About how long to run.
    options
        Options of the session.

    Returns
    -------
    dict
        `slots`, `seconds`, `cpu_seconds`.
    """
    folder = read_model_folder(variant.model, variant.precision)
    length = folder.layout.lengths[-1]
    full = [window for window in windows if len(window.tokens) == length]
    batches = [
        window_inputs(
            [full[(first + offset) % len(full)] for offset in range(batch_size)], folder.layout.max_steps
        )
        for first in range(0, len(full), batch_size)
    ]
    options = options or onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(folder.model_file), options, providers=["CPUExecutionProvider"]
    )
    session.run(None, batches[0])

    def work(first: int) -> int:
        calls, index = 0, first
        while time.perf_counter() < end:
            session.run(None, batches[index % len(batches)])
            calls, index = calls + 1, index + threads
        return calls

    began, cpu_began = time.perf_counter(), time.process_time()
    end = began + seconds
    with ThreadPoolExecutor(threads) as pool:
        calls = sum(pool.map(work, range(threads)))
    return {
        "slots": float(calls * batch_size * length),
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
    }
