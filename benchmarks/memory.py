"""Memory while a large file is scored: what the process holds, and whether that grows.

Run: python -m benchmarks.memory [--model fast] [--gigabytes 5] [--minutes 15] [--threads 2]
Writes benchmarks/results/memory.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from benchmarks.compare import RESULTS
from benchmarks.load import OtherLoad
from benchmarks.processes import describe_machine
from benchmarks.sample import ROOT, load_sample
from classifier.model_folder import read_model_folder

_INTERVAL_SECONDS = 2.0
_SETTLING_SHARE = 0.2


def main() -> None:
    """Score for so many minutes and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", help="model folder or embedded model; the default one by default")
    parser.add_argument(
        "--folder", type=Path, help="where the large file goes; a temporary folder by default"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "memory.json")
    options = parser.parse_args()
    load = OtherLoad()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        rows = Path(name) / "rows.jsonl"
        _write_rows(rows, int(options.gigabytes * 1e9))
        command = [sys.executable, "-m", "classifier", "score", rows, "-o", Path(name) / "scored.jsonl"]
        model = ["--model", options.model] if options.model else []
        held = _watch([*map(str, command), "--threads", str(options.threads), *model], options.minutes * 60)
    results = {
        "machine": describe_machine(),
        "load": load.describe(),
        "model": options.model or "default",
        "sha256": read_model_folder(options.model).info.sha256,
        "gigabytes": options.gigabytes,
        "threads": options.threads,
        "minutes": held[-1][0] / 60,
        "peak_megabytes": max(megabytes for _, megabytes in held),
        "megabytes_a_minute": _slope(held),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _write_rows(path: Path, size: int) -> None:
    lines = [json.dumps({"trace": trace}) + "\n" for trace in load_sample(1_000).traces]
    block = "".join(lines).encode()
    with path.open("wb") as file:
        for _ in range(max(1, size // len(block))):
            file.write(block)


def _watch(command: Sequence[str], seconds: float) -> list[tuple[float, float]]:
    """Return what the process held after how many seconds, until it or the time ended."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen = psutil.Process(process.pid)
    began = time.monotonic()
    held: list[tuple[float, float]] = []
    try:
        while process.poll() is None and (not held or held[-1][0] < seconds):
            held.append((time.monotonic() - began, seen.memory_info().rss / 1e6))
            time.sleep(_INTERVAL_SECONDS)
    finally:
        process.terminate()
        process.wait()
    return held


def _slope(held: Sequence[tuple[float, float]]) -> float:
    """Return the growth in megabytes a minute once the process has settled."""
    settled = np.array(held[int(len(held) * _SETTLING_SHARE) :])
    return float(np.polyfit(settled[:, 0] / 60, settled[:, 1], 1)[0])


if __name__ == "__main__":
    main()
