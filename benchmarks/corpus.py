"""Scores a corpus of so many rows, in a process of its own; see `benchmarks.growth`.

Run: python -m benchmarks.corpus ROWS.jsonl OUT.jsonl --encoder debug|model [--threads 2]
"""

import argparse
import json
import sys
import time
from typing import Any

from classifier import BranchScorer
from classifier.batch import score_files
from classifier.columns import RowScorer
from classifier.debug_encoder import DebugEncoder
from classifier.row_stream import LoadedScorer


def main() -> None:
    """Score the rows and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows")
    parser.add_argument("output")
    parser.add_argument("--encoder", choices=["debug", "model"], default="model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model")
    options = parser.parse_args()

    def load() -> LoadedScorer:
        encoder = DebugEncoder() if options.encoder == "debug" else None
        scorer = BranchScorer(options.model, threads=options.threads, encoder=encoder)
        provenance: Any = {"model": {"name": options.encoder}, "options": {}}
        return LoadedScorer(RowScorer(scorer), provenance)

    began = time.perf_counter()
    summary = score_files([options.rows], options.output, load)
    line = {"rows": summary.counts.rows, "seconds": time.perf_counter() - began}
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
