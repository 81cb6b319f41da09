"""How fast a GPU scores: end to end, the bare forward pass, and torch in float16 beside it.

    python -m benchmarks.gpu --variants default fast --traces 600 --output benchmarks/results/gpu.json

Needs an NVIDIA GPU with ONNX Runtime for it, and torch.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from transformers import BertConfig, BertModel

from benchmarks.processes import describe_machine
from benchmarks.sample import REAL_TRACES, load_sample
from benchmarks.scale import TOKENS_A_TRACE
from benchmarks.variants import DEFAULT, Variant, parse_variants
from benchmarks.windows import count_windows, make_windows
from classifier import BranchScorer
from classifier.bound_session import BoundSession
from classifier.encoder import window_inputs
from classifier.model_folder import read_model_folder
from training.model import StepClassifier
from training.prune import LayerImportance, prune

SHAPES: Final = {"default": (12, 1_536), "fast": (3, 192)}
"""Attention heads and feed-forward units of a layer of the embedded models, for torch beside them."""

_BATCH_SIZE: Final = 256


def measure(variant: Variant, traces: Sequence[str], seconds: float) -> dict[str, Any]:
    """Measure one model on the first GPU.

    Parameters
    ----------
    variant
        The model and precision.
    traces
        What is scored.
    seconds
        About how long each measurement runs.

    Returns
    -------
    dict
        Rates a second, hours for a million traces, and the largest difference of a step's P(branch) from the
        CPU's.
    """
    scorer = BranchScorer(variant.model, precision=variant.precision, providers=["cuda"])
    scores = scorer.score_batch(traces)
    windows = make_windows(traces, variant.model)
    counts = count_windows(windows)
    passes = _repeat(lambda: scorer.score_batch(traces), seconds)
    trace_tokens = counts.tokens / passes
    few = traces[:20]
    on_cpu = BranchScorer(variant.model, precision=variant.precision, providers=["cpu"]).score_batch(few)
    return {
        "traces": len(traces),
        "characters": sum(map(len, traces)),
        "traces_per_second": len(traces) / passes,
        "characters_per_second": sum(map(len, traces)) / passes,
        "trace_tokens_per_second": trace_tokens,
        "slots_per_second": counts.slots / passes,
        "hours_per_million_traces": 1e6 * TOKENS_A_TRACE / trace_tokens / 3600,
        "bare_slots_per_second": _bare(variant, windows, seconds),
        "torch_slots_per_second": _torch(variant, windows, seconds),
        "largest_difference_from_cpu": max(
            float(np.abs(one.step_probabilities - other.step_probabilities).max())
            for one, other in zip(scores, on_cpu, strict=False)
        ),
    }


def _bare(variant: Variant, windows: Sequence[Any], seconds: float) -> float:
    folder = read_model_folder(variant.model, variant.precision)
    session = onnxruntime.InferenceSession(str(folder.model_file), providers=["CUDAExecutionProvider"])
    bound = BoundSession(session, _BATCH_SIZE, may_shrink=False)
    full = _full_windows(windows, folder.layout.lengths[-1])
    inputs = window_inputs(full, folder.layout.max_steps)
    return _BATCH_SIZE * folder.layout.lengths[-1] / _repeat(lambda: bound.run(inputs), seconds)


def _torch(variant: Variant, windows: Sequence[Any], seconds: float) -> float:
    """Run a model of the same shape in torch: float16, fused attention, inputs and outputs copied."""
    folder = read_model_folder(variant.model, variant.precision)
    encoder = untrained_encoder(*SHAPES[variant.name.partition("-")[0]])
    model = StepClassifier(encoder, folder.layout.pad_id, 0.0).half().cuda().eval()
    # The features are joined in float32, so the head must read float32.
    model.kind_head.float()
    inputs = window_inputs(_full_windows(windows, folder.layout.lengths[-1]), folder.layout.max_steps)
    tensors = [torch.from_numpy(inputs[name]).pin_memory() for name in ("tokens", "starts", "ends")]

    def run() -> None:
        with torch.inference_mode():
            model(*(tensor.cuda(non_blocking=True) for tensor in tensors)).softmax(-1).cpu()

    return _BATCH_SIZE * folder.layout.lengths[-1] / _repeat(run, seconds)


def untrained_encoder(heads: int, units: int) -> BertModel:
    """Make an encoder of MiniLM-L6's shape, of whose layers only some heads and feed-forward units are left.

    Parameters
    ----------
    heads, units
        How many each layer has.
    """
    config = BertConfig(
        vocab_size=10_000,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1_536,
    )
    config._attn_implementation = "sdpa"
    encoder = BertModel(config, add_pooling_layer=False)
    alike = LayerImportance(torch.ones(config.num_attention_heads), torch.ones(config.intermediate_size))
    prune(encoder, [alike] * config.num_hidden_layers, heads=heads, units=units)
    return encoder


def _full_windows(windows: Sequence[Any], length: int) -> list[Any]:
    full = [window for window in windows if len(window.tokens) == length]
    return [full[index % len(full)] for index in range(_BATCH_SIZE)]


def _repeat(work: Callable[[], object], seconds: float) -> float:
    """Return the median duration of a call in seconds, after one to warm up."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--variants", nargs="+", default=[DEFAULT])
    parser.add_argument("--traces", type=int, default=1_000, help="how many traces")
    parser.add_argument("--data", type=Path, default=REAL_TRACES, help="folder of traces")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    sample = load_sample(options.traces, options.data)
    report: dict[str, Any] = {
        "commit": describe_machine()["commit"],
        "device": torch.cuda.get_device_name(),
        "onnxruntime": onnxruntime.__version__,
        "torch": torch.__version__,
        "sample": sample.source,
        "variants": {},
    }
    for variant in parse_variants(options.variants):
        report["variants"][variant.name] = {
            **variant.describe(),
            **measure(variant, sample.traces, options.seconds),
        }
        sys.stdout.write(json.dumps(report["variants"][variant.name]) + "\n")
        sys.stdout.flush()
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _main()
