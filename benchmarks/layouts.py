"""Window lengths and left contexts: what each costs, and what it does to the scores.

Run: python -m benchmarks.layouts [--variants default fast] [--seconds 2] [--threads 2]
Writes benchmarks/results/layouts.json. Each layout is tried with the model as it is, trained for its own.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.compare import RESULTS
from benchmarks.load import OtherLoad
from benchmarks.processes import describe_machine
from benchmarks.quality import measure_quality
from benchmarks.sample import load_sample
from benchmarks.variants import DEFAULT, Variant, parse_variants
from benchmarks.windows import bare_forward, count_windows, make_windows
from classifier.model_folder import read_model_folder

_LAYOUTS = ((256, 64), (256, 32), (256, 16), (384, 64), (384, 32), (512, 64), (512, 32))
_BATCH_TOKENS = 512


def main() -> None:
    """Measure all layouts and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", nargs="+", default=[DEFAULT], help="NAME or NAME=FOLDER")
    parser.add_argument("--traces", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each layout")
    parser.add_argument("--output", type=Path, default=RESULTS / "layouts.json")
    options = parser.parse_args()
    traces = load_sample(options.traces).traces
    load = OtherLoad()
    variants = parse_variants(options.variants)
    results: dict[str, Any] = {
        "machine": describe_machine(),
        "variants": {
            variant.name: [
                _measure(variant, length, context, traces, options.threads, options.seconds)
                for length, context in _LAYOUTS
            ]
            for variant in variants
        },
    }
    results["load"] = load.describe()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _measure(
    variant: Variant, length: int, context: int, traces: Sequence[str], threads: int, seconds: float
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        changed = Variant(variant.name, str(with_layout(variant, length, context, Path(name))))
        windows = make_windows(traces, changed.model)
        run = bare_forward(
            windows, changed, threads=threads, batch_size=max(1, _BATCH_TOKENS // length), seconds=seconds
        )
        quality = measure_quality([changed], None)
    return {
        "length": length,
        "context": context,
        **asdict(count_windows(windows)),
        "slots_per_second": run["slots"] / run["seconds"],
        "average_precision": quality and quality["average_precision"][f"library_{variant.name}"],
    }


def with_layout(variant: Variant, length: int, context: int, target: Path) -> Path:
    """Make a model folder with another longest window and left context; the model stays as it is.

    Parameters
    ----------
    variant
        The model.
    length, context
        The length of the longest window, and the least left context, in tokens.
    target
        Where the folder is made.
    """
    folder = read_model_folder(variant.model)
    lengths = sorted({own for own in folder.layout.lengths[:-1] if own < length} | {length})
    layout = {**folder.card["layout"], "lengths": lengths, "context_tokens": context}
    for file in (folder.model_file, folder.tokenizer_file):
        (target / file.name).symlink_to(file.resolve())
    card = {**folder.card, "layout": layout}
    (target / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return target


if __name__ == "__main__":
    main()
