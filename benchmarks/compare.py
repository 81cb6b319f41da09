"""Side by side on the same traces: this project, its ceiling, what is used today, and rules.

Run: python -m benchmarks.compare [--traces 100] [--rounds 3] [--threads 2] [--seconds 60]
Writes benchmarks/results/compare.json; `python -m benchmarks.document` makes docs/benchmarks.md of it.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers import PEERS
from benchmarks.processes import ProcessRun, describe_machine, run_process
from benchmarks.quality import measure_quality
from benchmarks.sample import ROOT, load_sample
from benchmarks.windows import bare_forward, count_windows, make_windows
from classifier.model_folder import read_model_folder

RESULTS = Path(__file__).parent / "results"
PEER_PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
_CEILING_BATCHES = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One contender's run over the sample, or over as much of it as the time allowed.

    Parameters
    ----------
    traces, characters
        How much of the sample was scored.
    seconds, cpu_seconds
        Wall time and processor time of scoring, start-up left out.
    first_score_seconds
        From the start of the process to its first score.
    peak_megabytes
        The most memory the process held.
    """

    traces: int
    characters: int
    seconds: float
    cpu_seconds: float
    first_score_seconds: float
    peak_megabytes: float


def main() -> None:
    """Measure all contenders and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=100, help="traces in the sample")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs, in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0, help="a slow contender stops after this time")
    parser.add_argument("--model", help="model folder; the embedded model by default")
    parser.add_argument("--precisions", nargs="+", default=["fp32"])
    parser.add_argument("--only", nargs="+", help="only these contenders")
    parser.add_argument("--output", type=Path, default=RESULTS / "compare.json")
    options = parser.parse_args()
    sample = load_sample(options.traces)
    peers = PEER_PYTHON if PEER_PYTHON.is_file() else None
    with tempfile.TemporaryDirectory() as name:
        commands = _commands(Path(name), sample.traces, options, peers)
        measured: dict[str, list[Measurement]] = {contender: [] for contender in commands}
        ceilings: list[dict[str, float]] = []
        windows = make_windows(sample.traces, options.model)
        for number in range(options.rounds):
            for contender, command in commands.items():
                _say(f"round {number + 1}: {contender}")
                measured[contender].append(command())
            _say(f"round {number + 1}: ceiling")
            ceilings.append(_ceiling(windows, options))
    results = {
        "machine": describe_machine(),
        "model": asdict(read_model_folder(options.model).info),
        "sample": {
            "source": sample.source,
            "traces": len(sample.traces),
            "characters": sample.characters,
            **asdict(count_windows(windows)),
        },
        "threads": options.threads,
        "rounds": options.rounds,
        "contenders": {name: [asdict(one) for one in runs] for name, runs in measured.items()},
        "ceiling": ceilings,
        "quality": measure_quality(options.model, options.precisions, peers),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    _say(f"wrote {options.output}")


def _commands(
    folder: Path, traces: Sequence[str], options: argparse.Namespace, peers: Path | None
) -> dict[str, Any]:
    lines, rows, one = folder / "sample.jsonl", folder / "sample.parquet", folder / "one.parquet"
    lines.write_text("".join(json.dumps(trace) + "\n" for trace in traces), encoding="utf-8")
    pq.write_table(pa.table({"trace": list(traces)}), rows)
    pq.write_table(pa.table({"trace": ["One step. Another step."]}), one)
    contender = [sys.executable, "-m", "benchmarks.contender"]
    limits = ["--seconds", str(options.seconds), "--threads", str(options.threads)]
    model = ["--model", options.model] if options.model else []
    commands: dict[str, Any] = {}
    for precision in options.precisions:
        chosen = [*model, "--precision", precision]
        call = [sys.executable, "-m", "classifier", "score", "--threads", str(options.threads), *chosen]
        commands[f"command_{precision}"] = _Command(call, rows, one, traces)
        commands[f"library_{precision}"] = _Child([*contender, "library", str(lines), *limits, *chosen])
    for name in ("pipeline", "step_by_step", "three_words"):
        commands[name] = _Child([*contender, name, str(lines), *limits])
    if peers is not None:
        for name in PEERS:
            commands[name] = _Child(
                [str(peers), "-m", "benchmarks.peers", name, str(lines), "--seconds", str(options.seconds)]
            )
    return {name: command for name, command in commands.items() if name in (options.only or commands)}


@dataclass(frozen=True, slots=True)
class _Child:
    """A contender that times itself."""

    command: list[str]

    def __call__(self) -> Measurement:
        run = run_process(self.command)
        done = run.lines[-1]
        return Measurement(
            traces=done["traces"],
            characters=done["characters"],
            seconds=done["seconds"],
            cpu_seconds=done["cpu_seconds"],
            first_score_seconds=run.first_seconds or run.seconds,
            peak_megabytes=run.peak_megabytes,
        )


@dataclass(frozen=True, slots=True)
class _Command:
    """`branching score`, Parquet in and out; a file of one row tells what start-up costs."""

    command: list[str]
    rows: Path
    one: Path
    traces: Sequence[str]

    def __call__(self) -> Measurement:
        start, whole = self._run(self.one), self._run(self.rows)
        return Measurement(
            traces=len(self.traces),
            characters=sum(map(len, self.traces)),
            seconds=whole.seconds - start.seconds,
            cpu_seconds=whole.cpu_seconds - start.cpu_seconds,
            first_score_seconds=start.seconds,
            peak_megabytes=whole.peak_megabytes,
        )

    def _run(self, source: Path) -> ProcessRun:
        target = source.with_name(f"scored-{source.name}")
        target.unlink(missing_ok=True)
        return run_process([*self.command, source, "-o", target], reads_json=False)


def _ceiling(windows: Sequence[Any], options: argparse.Namespace) -> dict[str, float]:
    """Return the best of a few batch sizes, so that the ceiling is one."""
    runs = [
        {
            "batch_size": float(size),
            **bare_forward(
                windows,
                model=options.model,
                threads=options.threads,
                batch_size=size,
                seconds=min(10.0, options.seconds / len(_CEILING_BATCHES)),
            ),
        }
        for size in _CEILING_BATCHES
    ]
    return max(runs, key=lambda run: run["slots"] / run["seconds"])


def median(runs: Sequence[dict[str, float]], above: str, below: str) -> float:
    """Return the median over runs of one figure divided by another."""
    return statistics.median(run[above] / run[below] for run in runs)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
