"""Kill a scoring run at random moments, start it again each time, and compare what comes out.

A run is killed with SIGKILL at a moment drawn from its whole length, and then the same call is made again.
Its output must have the bytes of a run that nobody killed, and no kill may cost more than two batches.

Run: python -m benchmarks.kill_points [--kills 90] [--shipped 10] [--rows 20000] [--shipped-rows 20000]
Writes benchmarks/results/kill_points.json.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from benchmarks.processes import describe_machine
from benchmarks.sample import ROOT
from classifier.batch import score_files
from classifier.columns import RowScorer
from classifier.debug_encoder import DebugEncoder
from classifier.files import BatchLimits
from classifier.files.journal import journal_path
from classifier.files.manifest import read_manifest
from classifier.loading import scorer_loader
from classifier.row_stream import LoadedScorer
from classifier.scorer import BranchScorer

ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
_MOST_BATCHES_LOST = 2


@dataclass(frozen=True, slots=True)
class KillPoint:
    """What one kill led to.

    Parameters
    ----------
    encoder, output
        What scored the rows, and where they went.
    after_seconds
        How long the run had gone when it was killed.
    rows_kept
        Rows whose scores the next attempt did not have to compute again.
    rows_scored_again
        Rows that the attempts scored together, beyond the rows that there are.
    same
        Whether the output has the bytes of a run that was not killed.
    """

    encoder: str
    output: str
    after_seconds: float
    rows_kept: int
    rows_scored_again: int
    same: bool

    @property
    def passed(self) -> bool:
        """Tell whether nothing was lost, and little done twice."""
        return self.same and self.rows_scored_again <= _MOST_BATCHES_LOST * BatchLimits().rows


def kill_points(
    folder: Path, rows: int, kills: int, seed: int, *, shipped: bool = False, endings: Sequence[str] = ENDINGS
) -> Iterator[KillPoint]:
    """Kill runs and let them go on.

    Parameters
    ----------
    folder
        Where inputs and outputs go.
    rows
        How many there are to score.
    kills
        How many runs to kill, each at a moment of its own.
    seed
        Of the moments.
    shipped
        Whether the embedded model scores the rows; by default it is the debug encoder.
    endings
        Kinds of output, taken in turn.

    Yields
    ------
    KillPoint
        One a kill.
    """
    source = folder / "rows.jsonl"
    with source.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": n, "trace": f"Take {n}, then."}) + "\n" for n in range(rows))
    seconds, whole = {}, {}
    for ending in endings:
        output = folder / f"whole{ending}"
        began = time.monotonic()
        _finish(source, output, shipped)
        seconds[ending] = time.monotonic() - began
        whole[ending] = output.read_bytes()
    moments = random.Random(seed)
    done = 0
    while done < kills:
        ending = endings[done % len(endings)]
        point = _kill(source, folder / f"killed{ending}", moments.uniform(0, seconds[ending]), shipped)
        if point is not None:
            kept, again, written = point
            encoder = "shipped" if shipped else "debug"
            yield KillPoint(encoder, ending, *kept, again, same=written == whole[ending])
            done += 1


def _kill(
    source: Path, output: Path, after: float, shipped: bool
) -> tuple[tuple[float, int], int, bytes] | None:
    """Kill a run and finish it; None where it ended first."""
    run = _start(source, output, shipped)
    run.join(after)
    run.kill()
    run.join()
    try:
        if run.exitcode == 0:
            return None
        if journal_path(output).exists() or not output.exists():
            _finish(source, output, shipped)
        manifest: dict[str, Any] = read_manifest(output) or {}
        scored = [attempt["rows_scored"] for attempt in manifest["attempts"]]
        kept = manifest["rows"] - (scored[-1] if len(scored) > 1 else 0)
        return (after, kept if len(scored) > 1 else 0), sum(scored) - manifest["rows"], output.read_bytes()
    finally:
        for path in output.parent.glob(f"*{output.name}*"):
            path.unlink()


def _finish(source: Path, output: Path, shipped: bool) -> None:
    run = _start(source, output, shipped)
    run.join()
    if run.exitcode != 0:
        raise RuntimeError(f"scoring {output} ended with {run.exitcode}")


def _start(source: Path, output: Path, shipped: bool) -> ForkProcess:
    # A fork has imported everything, so that a kill falls on work and not on imports.
    run = multiprocessing.get_context("fork").Process(target=_score, args=(str(source), str(output), shipped))
    run.start()
    return run


def _score(source: str, output: str, shipped: bool) -> None:
    score_files([source], output, scorer_loader() if shipped else load_debug_scorer)


def load_debug_scorer() -> LoadedScorer:
    """Load a scorer that costs next to nothing."""
    scorer = BranchScorer(encoder=DebugEncoder())
    return LoadedScorer(RowScorer(scorer), {"model": {**asdict(scorer.model), "name": "debug"}})


def main() -> None:
    """Kill runs and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=90, help="with the debug encoder")
    parser.add_argument("--shipped", type=int, default=10, help="kills with the embedded model")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--shipped-rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "kill_points.json")
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": describe_machine(), "seed": options.seed}
    points: list[KillPoint] = []
    runs = ((options.rows, options.kills, False), (options.shipped_rows, options.shipped, True))
    for rows, kills, shipped in runs:
        if not kills:
            continue
        results["shipped_rows" if shipped else "rows"] = rows
        with tempfile.TemporaryDirectory() as folder:
            for point in kill_points(Path(folder), rows, kills, options.seed, shipped=shipped):
                points.append(point)
                results["passed"] = sum(point.passed for point in points)
                results["most_rows_scored_again"] = max(point.rows_scored_again for point in points)
                results["kills"] = [asdict(point) for point in points]
                options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{results['passed']} of {len(points)} killed runs went on to the same bytes\n")
    sys.exit(results["passed"] < len(points))


if __name__ == "__main__":
    main()
