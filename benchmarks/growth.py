"""Time and memory against the length of a trace and the size of a corpus.

Run: python -m benchmarks.growth [--model fast] [--longest 1000000] [--most 100000] [--prefix 60]
Writes benchmarks/results/growth.json; `python -m benchmarks.document` draws docs/growth.png of it.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare import RESULTS
from benchmarks.load import OtherLoad
from benchmarks.processes import describe_machine, run_process
from benchmarks.sample import load_sample, make_traces
from classifier.model_folder import read_model_folder

_SHORT = 200
_LONG_TRACE = 15_000
_FULL_ROWS = 1_000
_PREFIX_ROWS = 10_000


def main() -> None:
    """Measure both and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--longest", type=int, default=1_000_000, help="characters of the longest trace")
    parser.add_argument("--most", type=int, default=100_000, help="rows of the largest corpus")
    parser.add_argument(
        "--full", type=int, default=_FULL_ROWS, help="rows of the largest corpus of full traces"
    )
    parser.add_argument(
        "--prefix", type=float, default=60.0, help="seconds of a corpus of 10,000 full traces; 0 for none"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", help="model folder or embedded model; the default one by default")
    parser.add_argument("--output", type=Path, default=RESULTS / "growth.json")
    options = parser.parse_args()
    load = OtherLoad()
    model = ["--model", options.model] if options.model else []
    common = ["--threads", str(options.threads), *model]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lengths = [
            _length(folder, characters, common)
            for characters in sorted({*_powers(100, options.longest), _LONG_TRACE})
        ]
        short = make_traces(1_000, (_SHORT // 2, _SHORT))
        corpora = [_corpus(folder, "debug", short, rows, common) for rows in _powers(100, options.most)]
        full = load_sample(_FULL_ROWS).traces
        corpora += [_corpus(folder, "model", full, rows, common) for rows in _powers(100, options.full)]
        if options.prefix:
            limit = ["--seconds", str(options.prefix)]
            corpora.append(_corpus(folder, "model", full, _PREFIX_ROWS, [*common, *limit]))
    results = {
        "machine": describe_machine(),
        "load": load.describe(),
        "model": options.model or "default",
        "sha256": read_model_folder(options.model).info.sha256,
        "threads": options.threads,
        "lengths": lengths,
        "corpora": corpora,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _powers(first: int, last: int) -> Iterator[int]:
    value = first
    while value <= last:
        yield value
        value *= 10


def _length(folder: Path, characters: int, common: Sequence[str]) -> dict[str, Any]:
    (trace,) = make_traces(1, (characters, characters))
    sample = folder / "trace.jsonl"
    sample.write_text(json.dumps(trace) + "\n", encoding="utf-8")
    run = run_process([sys.executable, "-m", "benchmarks.contender", "library", sample, *common])
    return {
        "characters": len(trace),
        "seconds": run.lines[-1]["seconds"],
        "peak_megabytes": run.peak_megabytes,
    }


def _corpus(
    folder: Path, encoder: str, texts: Sequence[str], count: int, common: Sequence[str]
) -> dict[str, Any]:
    rows, output = folder / "rows.jsonl", folder / "scored.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for text in itertools.islice(itertools.cycle(texts), count):
            file.write(json.dumps({"trace": text}) + "\n")
    output.unlink(missing_ok=True)
    run = run_process(
        [sys.executable, "-m", "benchmarks.corpus", rows, output, "--encoder", encoder, *common]
    )
    return {
        "encoder": encoder,
        "of_rows": count,
        **run.lines[-1],
        "cpu_seconds": run.cpu_seconds,
        "peak_megabytes": run.peak_megabytes,
    }


if __name__ == "__main__":
    main()
