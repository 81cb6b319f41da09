"""How the forward pass is run best: batch size, threads, options of the session, precision.

Run: python -m benchmarks.sessions [--variants default fast int8=runs/int8:int8] [--seconds 2] [--threads 2]
Writes benchmarks/results/sessions.json: window slots a second of the bare forward pass.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.compare import RESULTS
from benchmarks.load import OtherLoad
from benchmarks.processes import describe_machine
from benchmarks.sample import load_sample
from benchmarks.variants import DEFAULT, Variant, parse_variants
from benchmarks.windows import bare_forward, make_windows
from classifier.model_folder import read_model_folder

_BATCH_SIZES = (1, 2, 4, 8, 16)
_ROUNDS = 2


def main() -> None:
    """Measure all settings in turn and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--variants", nargs="+", default=[DEFAULT], help="NAME, NAME=FOLDER or NAME=FOLDER:PRECISION"
    )
    parser.add_argument("--traces", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each setting and round")
    parser.add_argument("--output", type=Path, default=RESULTS / "sessions.json")
    options = parser.parse_args()
    traces = load_sample(options.traces).traces
    load = OtherLoad()
    results: dict[str, Any] = {"machine": describe_machine(), "variants": {}}
    for variant in parse_variants(options.variants):
        results["variants"][variant.name] = _measure(variant, traces, options.threads, options.seconds)
    results["load"] = load.describe()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _measure(variant: Variant, traces: list[str], threads: int, seconds: float) -> dict[str, Any]:
    windows = make_windows(traces, variant.model)
    settings = _settings(threads)
    slots: list[list[float]] = [[] for _ in settings]
    for _ in range(_ROUNDS):
        for setting, figures in zip(settings, slots, strict=True):
            run = bare_forward(
                windows,
                variant,
                threads=setting["threads"],
                batch_size=setting["batch_size"],
                seconds=seconds,
                options=_options(setting["option"]),
            )
            figures.append(run["slots"] / run["seconds"])
    return {
        "window": read_model_folder(variant.model).layout.lengths[-1],
        "settings": [
            {**setting, "slots_per_second": figures} for setting, figures in zip(settings, slots, strict=True)
        ],
    }


def _settings(threads: int) -> list[dict[str, Any]]:
    first: dict[str, Any] = {"threads": 1, "batch_size": 2, "option": "default"}
    settings = [{**first, "batch_size": size} for size in _BATCH_SIZES]
    if threads > 1:
        settings += [{**first, "threads": threads, "batch_size": size} for size in _BATCH_SIZES]
    return settings + [{**first, "option": name} for name in _OPTIONS if name != "default"]


_OPTIONS = {
    "default": {},
    "extended optimisations only": {
        "graph_optimization_level": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    },
    "basic optimisations only": {
        "graph_optimization_level": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    },
    "no memory pattern": {"enable_mem_pattern": False},
    "no memory arena": {"enable_cpu_mem_arena": False},
}


def _options(name: str) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    for attribute, value in _OPTIONS[name].items():
        setattr(options, attribute, value)
    return options


if __name__ == "__main__":
    main()
