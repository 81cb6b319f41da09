"""Scores a corpus, or its first rows for so many seconds, in a process of its own; see `benchmarks.growth`.

Run: python -m benchmarks.corpus ROWS.jsonl OUT.jsonl --encoder debug|model [--threads 2] [--seconds 60]
"""

import argparse
import json
import sys
import time
from contextlib import suppress
from typing import Any

from classifier import BranchScorer
from classifier.batch import score_files
from classifier.columns import RowScorer
from classifier.debug_encoder import DebugEncoder
from classifier.files import RowBatch
from classifier.progress import Progress
from classifier.row_stream import LoadedScorer


class _TimeUpError(Exception):
    """The time is used up."""


class _Clock(Progress):
    """Counts what is scored, and ends the run when the time is used up."""

    def __init__(self, seconds: float | None) -> None:
        self.began = time.perf_counter()
        self.rows = self.characters = 0
        self._seconds = seconds

    @property
    def passed(self) -> float:
        """Return the seconds since it was made."""
        return time.perf_counter() - self.began

    def advance(self, batch: RowBatch, traces: int = 0) -> None:
        """Count a batch; see `classifier.progress.Progress`."""
        self.rows += traces
        self.characters += sum(len(row["trace"]) for row in batch.rows if isinstance(row, dict))
        if self._seconds is not None and self.passed > self._seconds:
            raise _TimeUpError


def main() -> None:
    """Score the rows and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows")
    parser.add_argument("output")
    parser.add_argument("--encoder", choices=["debug", "model"], default="model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    options = parser.parse_args()

    def load() -> LoadedScorer:
        encoder = DebugEncoder() if options.encoder == "debug" else None
        scorer = BranchScorer(options.model, threads=options.threads, encoder=encoder)
        provenance: Any = {"model": {"name": options.encoder}, "options": {}}
        return LoadedScorer(RowScorer(scorer), provenance)

    clock = _Clock(options.seconds)
    with suppress(_TimeUpError):
        score_files([options.rows], options.output, load, progress=clock)
    line = {"rows": clock.rows, "characters": clock.characters, "seconds": clock.passed}
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
