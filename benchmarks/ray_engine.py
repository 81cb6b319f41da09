"""Throughput of `branching score --engine ray` beside the local engine's, on the same cores.

Both engines score a small and a large part of the same rows; the difference between the two is what rows cost
once everything runs, without loading, Ray's start and its end. The engines take turns, so that other work on
the machine meets both.

Run: python -m benchmarks.ray_engine [--rows 200] [--few 20] [--workers 2] [--rounds 3] [--model fast]
Writes benchmarks/results/ray_engine.json.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.compare import RESULTS
from benchmarks.load import OtherLoad
from benchmarks.processes import describe_machine, run_process
from benchmarks.sample import load_sample


def main() -> None:
    """Measure both engines and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--few", type=int, default=20, help="rows of the small part")
    parser.add_argument(
        "--workers", type=int, default=2, help="workers of Ray, and threads of the local engine"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help="model folder or embedded model; the default one by default")
    parser.add_argument("--output", type=Path, default=RESULTS / "ray_engine.json")
    options = parser.parse_args()
    if not 0 < options.few < options.rows:
        parser.error("--few must be less than --rows, and at least 1")
    sample = load_sample(options.rows)
    engines = {
        "local": ["--threads", options.workers],
        "ray": ["--engine", "ray", "--workers", options.workers],
    }
    model = ["--model", options.model] if options.model else []
    load = OtherLoad()
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(options.rounds):
            figures: dict[str, Any] = {}
            for engine, arguments in engines.items():
                seconds = [
                    _seconds(folder, sample.traces[:rows], [*arguments, *model], single=engine == "local")
                    for rows in (options.few, options.rows)
                ]
                figures[engine] = {
                    "seconds": seconds,
                    "rows_per_second": (options.rows - options.few) / (seconds[1] - seconds[0]),
                }
            figures["ratio"] = figures["ray"]["rows_per_second"] / figures["local"]["rows_per_second"]
            rounds.append(figures)
    results = {
        "machine": describe_machine(),
        "load": load.describe(),
        "sample": sample.source,
        "rows": options.rows,
        "few": options.few,
        "workers": options.workers,
        "model": options.model or "default",
        "rounds": rounds,
        "median_ratio": statistics.median(figures["ratio"] for figures in rounds),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(
        f"Ray scores {results['median_ratio']:.2f} times the rows a second of the local engine\n"
    )


def _seconds(folder: Path, traces: list[str], arguments: list[Any], *, single: bool) -> float:
    """Return how long a run takes, from the start of its process to the end."""
    rows, output = folder / "rows.parquet", folder / ("scored.parquet" if single else "scored")
    pq.write_table(pa.table({"trace": traces}), rows)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "classifier",
        "score",
        rows,
        "-o",
        output,
        *map(str, arguments),
    ]
    run = run_process(command, reads_json=False)
    if single:
        output.unlink()
    else:
        shutil.rmtree(output)
    return run.seconds


if __name__ == "__main__":
    main()
