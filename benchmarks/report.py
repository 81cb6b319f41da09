"""How long the page on a large scored file takes, what memory, and how large it is.

Run: python -m benchmarks.report [--rows 1000000] [--no-steps]
Prints the figures as JSON; the scored rows are made up.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.processes import describe_machine, run_process
from benchmarks.sample import make_traces
from classifier.columns import COLUMN_TYPES
from classifier.kinds import KINDS

_POOL = 2_000
_CHARACTERS = (300, 3_000)
_CHUNK = 50_000
_SEED = 7
_THRESHOLD = 0.5
_SOURCES = ("algebra", "geometry", "puzzles", "physics", "code", "planning")
_MODELS = ("teacher-large", "teacher-small", "student")
_PROVENANCE = {"model": {"name": "made-up", "version": "0", "sha256": "0" * 64, "precision": "fp32"}}


def main() -> None:
    """Make the rows, make the page and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--no-steps", action="store_true", help="leave branch_steps out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scored, page = Path(name) / "scored.parquet", Path(name) / "report.html"
        write_scored(scored, options.rows, steps=not options.no_steps)
        command = [sys.executable, "-m", "classifier", "report", str(scored), "-o", str(page)]
        run = run_process(command)
        figures = {
            "machine": describe_machine(),
            "rows": options.rows,
            "steps": not options.no_steps,
            "file_megabytes": round(scored.stat().st_size / 1e6, 1),
            "page_megabytes": round(page.stat().st_size / 1e6, 2),
            "seconds": round(run.seconds, 1),
            "cpu_seconds": round(run.cpu_seconds, 1),
            "peak_megabytes": round(run.peak_megabytes),
        }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def write_scored(path: Path, rows: int, *, steps: bool) -> None:
    """Write a scored file of made-up rows.

    Parameters
    ----------
    path
        The Parquet file.
    rows
        How many rows.
    steps
        Whether they have `branch_steps`.
    """
    generator = np.random.default_rng(_SEED)
    pool = _pool(generator, steps=steps)
    metadata = {b"branching": json.dumps(_PROVENANCE).encode()}
    schema = _with_columns(pool.slice(0, 0), generator).schema.with_metadata(metadata)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, _CHUNK):
            taken = pool.take(generator.integers(0, _POOL, min(_CHUNK, rows - start)))
            writer.write_table(_with_columns(taken, generator).replace_schema_metadata(metadata))


def _pool(generator: np.random.Generator, *, steps: bool) -> pa.Table:
    traces = make_traces(_POOL, _CHARACTERS)
    rows: dict[str, list[Any]] = {name: [] for name in COLUMN_TYPES if name != "branch_rates"}
    for trace in traces:
        ends = [at + 2 for at in range(len(trace)) if trace[at : at + 2] == ". "] or [len(trace)]
        ends[-1] = len(trace)
        starts = [0, *ends[:-1]]
        likely = generator.beta(0.3, generator.uniform(0.5, 6), len(ends))
        rows["branch_rate"].append(float(likely.mean()))
        rows["branch_count"].append(int((likely >= _THRESHOLD).sum()))
        rows["step_count"].append(len(ends))
        rows["branch_error"].append(None)
        kinds = np.where(likely < _THRESHOLD, 0, generator.integers(1, len(KINDS), len(ends)))
        rows["branch_steps"].append(
            [
                {"start": start, "end": end, "probability": float(probability), "kind": KINDS[kind]}
                for start, end, probability, kind in zip(starts, ends, likely, kinds, strict=True)
            ]
        )
    if not steps:
        del rows["branch_steps"]
    columns = {name: pa.array(values, type=COLUMN_TYPES[name]) for name, values in rows.items()}
    return pa.table({"trace": traces, **columns})


def _with_columns(table: pa.Table, generator: np.random.Generator) -> pa.Table:
    sources = pa.array(np.array(_SOURCES)[generator.integers(0, len(_SOURCES), len(table))])
    models = pa.array(np.array(_MODELS)[generator.integers(0, len(_MODELS), len(table))])
    return table.append_column("source", sources).append_column("model", models)


if __name__ == "__main__":
    main()
