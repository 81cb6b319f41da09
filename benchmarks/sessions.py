"""How the forward pass is run best: batch size, threads, options of the session, precision.

Run: python -m benchmarks.sessions [--seconds 5] [--threads 2]
Writes benchmarks/results/sessions.json: window slots a second of the bare forward pass.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.compare import RESULTS
from benchmarks.processes import describe_machine
from benchmarks.sample import load_sample
from benchmarks.windows import bare_forward, make_windows
from classifier.model_folder import PRECISION_FILES, read_model_folder

_BATCH_SIZES = (1, 2, 4, 8, 16)
_ROUNDS = 3


def main() -> None:
    """Measure all settings in turn and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each setting and round")
    parser.add_argument("--model", help="model folder, with other precisions if they are to be measured")
    parser.add_argument("--output", type=Path, default=RESULTS / "sessions.json")
    options = parser.parse_args()
    windows = make_windows(load_sample(options.traces).traces, options.model)
    settings = _settings(options.model, options.threads)
    slots: list[list[float]] = [[] for _ in settings]
    for _ in range(_ROUNDS):
        for setting, figures in zip(settings, slots, strict=True):
            run = bare_forward(
                windows,
                model=options.model,
                precision=setting["precision"],
                threads=setting["threads"],
                batch_size=setting["batch_size"],
                seconds=options.seconds,
                options=_options(setting["option"]),
            )
            figures.append(run["slots"] / run["seconds"])
    results = {
        "machine": describe_machine(),
        "window": read_model_folder(options.model).layout.lengths[-1],
        "settings": [
            {**setting, "slots_per_second": figures} for setting, figures in zip(settings, slots, strict=True)
        ],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _settings(model: str | None, threads: int) -> list[dict[str, Any]]:
    first: dict[str, Any] = {"precision": "fp32", "threads": 1, "batch_size": 2, "option": "default"}
    settings = [{**first, "batch_size": size} for size in _BATCH_SIZES]
    settings += [{**first, "option": name} for name in _OPTIONS if name != "default"]
    if threads > 1:
        settings += [{**first, "threads": threads, "batch_size": size} for size in _BATCH_SIZES]
    folder = read_model_folder(model).model_file.parent
    if (folder / PRECISION_FILES["int8"]).is_file():
        settings += [{**first, "precision": "int8", "batch_size": size} for size in _BATCH_SIZES]
    return settings


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
