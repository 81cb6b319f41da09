"""Where the time goes: each stage of scoring on its own, one thread, and the whole command.

Run: python -m benchmarks.stages [--variants default fast] [--traces 30]
Writes benchmarks/results/stages.json.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from benchmarks.compare import RESULTS
from benchmarks.load import OtherLoad
from benchmarks.processes import describe_machine, run_process
from benchmarks.sample import load_sample
from benchmarks.variants import DEFAULT, Variant, parse_variants
from classifier.encoder import OnnxEncoder
from classifier.files import find_inputs, read_batches
from classifier.kinds import KINDS
from classifier.model_folder import read_model_folder
from classifier.scorer import TraceScore
from classifier.steps import split_steps
from classifier.traces import read_traces
from classifier.windows import Window, join_steps, pack_windows


def main() -> None:
    """Measure the stages and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", nargs="+", default=[DEFAULT], help="NAME or NAME=FOLDER")
    parser.add_argument("--traces", type=int, default=30)
    parser.add_argument("--output", type=Path, default=RESULTS / "stages.json")
    options = parser.parse_args()
    sample = load_sample(options.traces)
    load = OtherLoad()
    variants: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        rows = Path(name) / "sample.parquet"
        pq.write_table(pa.table({"trace": sample.traces}), rows)
        for variant in parse_variants(options.variants):
            variants[variant.name] = {
                "stages": measure_stages(rows, variant.model),
                "command": _measure_command(rows, variant),
            }
    results = {
        "machine": describe_machine(),
        "load": load.describe(),
        "sample": {
            "source": sample.source,
            "traces": len(sample.traces),
            "characters": sample.characters,
        },
        "variants": variants,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _measure_command(rows: Path, variant: Variant) -> dict[str, float]:
    target = rows.with_name(f"scored-{variant.name}.parquet")
    call: list[str | Path] = [sys.executable, "-m", "classifier", "score", rows, "-o", target]
    whole = run_process([*call, "--threads", "1", *variant.arguments], reads_json=False)
    return {"seconds": whole.seconds, "cpu_seconds": whole.cpu_seconds}


def measure_stages(rows: Path, model: str | None) -> dict[str, dict[str, float]]:
    """Return the wall time and the processor time of each stage.

    Parameters
    ----------
    rows
        A Parquet file with a trace in each row.
    model
        The model folder; the embedded one by default.
    """
    folder = read_model_folder(model)
    layout = folder.layout
    tokenizer = Tokenizer.from_file(str(folder.tokenizer_file))
    encoder = OnnxEncoder(folder.model_file, layout.max_steps, providers=["cpu"], threads=1)
    figures: dict[str, dict[str, float]] = {}

    def stage(name: str, work: Callable[[], Any]) -> Any:
        began, cpu_began = time.perf_counter(), time.process_time()
        result = work()
        figures[name] = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu_began,
        }
        return result

    (source,) = find_inputs([str(rows)])
    batches = stage("read Parquet", lambda: list(read_batches(source)))
    table = [row for batch in batches for row in batch.rows]
    texts = stage("find the trace", lambda: [read_traces(row).traces[0].text for row in table])
    spans = stage("split into steps", lambda: [split_steps(text) for text in texts])
    steps = stage(
        "cut out steps",
        lambda: [text[start:end] for text, own in zip(texts, spans, strict=True) for start, end in own],
    )
    encodings = stage("tokenise", lambda: tokenizer.encode_batch_fast(steps, add_special_tokens=False))
    streams = stage("join tokens", lambda: _join(encodings, list(map(len, spans)), layout))
    windows = stage(
        "pack windows", lambda: [window for stream in streams for window in pack_windows(stream, layout)]
    )
    probabilities = stage("forward pass", lambda: _forward(encoder, windows))
    stage("rates and counts", lambda: _rates(spans, probabilities, folder.threshold))
    return figures


def _join(encodings: Sequence[Any], counts: Sequence[int], layout: Any) -> list[Any]:
    streams, first = [], 0
    for count in counts:
        streams.append(join_steps([one.ids for one in encodings[first : first + count]], layout))
        first += count
    return streams


def _forward(encoder: OnnxEncoder, windows: Sequence[Window]) -> list[Any]:
    groups: dict[int, list[Window]] = {}
    for window in windows:
        groups.setdefault(len(window.tokens), []).append(window)
    size = encoder.batch_size
    futures = [
        encoder.submit(group[first : first + size])
        for group in groups.values()
        for first in range(0, len(group), size)
    ]
    return [array for future in futures for array in future.result()]


def _rates(spans: Sequence[Any], probabilities: Sequence[Any], threshold: float) -> list[Any]:
    import numpy as np

    everything = np.concatenate(probabilities)
    scores, first = [], 0
    for own in spans:
        part = everything[first : first + len(own)].reshape(-1, len(KINDS))
        score = TraceScore(own, part, threshold)
        scores.append((score.branch_rate, score.branch_count, score.step_count))
        first += len(own)
    return scores


if __name__ == "__main__":
    main()
