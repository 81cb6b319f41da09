"""Side by side on the same traces: this project, its ceilings, what is used today, and rules.

Run: python -m benchmarks.compare [--variants default fast int8=runs/int8:int8] [--traces 60] [--rounds 3]
Writes benchmarks/results/compare.json; `python -m benchmarks.document` makes docs/benchmarks.md of it.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.load import OtherLoad
from benchmarks.peers import PEERS
from benchmarks.processes import ProcessRun, describe_machine, run_process
from benchmarks.quality import measure_quality
from benchmarks.sample import ROOT, Sample, load_sample
from benchmarks.variants import DEFAULT, Variant, parse_variants
from benchmarks.windows import bare_forward, count_windows, make_windows
from classifier.windows import Window

RESULTS = Path(__file__).parent / "results"
PEER_PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
_CEILING_BATCHES = (1, 2, 4)
_CEILING_SECONDS = 4.0


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
    long_trace_seconds
        What one trace of 15,000 characters takes once the process is warm; None where it was not timed.
    """

    traces: int
    characters: int
    seconds: float
    cpu_seconds: float
    first_score_seconds: float
    peak_megabytes: float
    long_trace_seconds: float | None = None


def main() -> None:
    """Measure all contenders and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--variants", nargs="+", default=[DEFAULT], help="NAME, NAME=FOLDER or NAME=FOLDER:PRECISION"
    )
    parser.add_argument("--traces", type=int, default=60, help="traces in the sample")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs, in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0, help="a slow contender stops after this time")
    parser.add_argument("--only", nargs="+", help="only these contenders")
    parser.add_argument("--output", type=Path, default=RESULTS / "compare.json")
    options = parser.parse_args()
    variants = parse_variants(options.variants)
    sample = load_sample(options.traces)
    peers = PEER_PYTHON if PEER_PYTHON.is_file() else None
    windows = {variant.name: make_windows(sample.traces, variant.model) for variant in variants}
    load = OtherLoad()
    with tempfile.TemporaryDirectory() as name:
        commands = _commands(Path(name), sample, variants, options, peers)
        measured: dict[str, list[Measurement]] = {contender: [] for contender in commands}
        ceilings: dict[str, list[dict[str, float]]] = {variant.name: [] for variant in variants}
        for number in range(options.rounds):
            for contender, command in commands.items():
                _say(f"round {number + 1}: {contender}")
                measured[contender].append(command())
                # Right after the command that it is held against: a busy machine slows both.
                for variant in variants:
                    if contender == f"command_{variant.name}":
                        ceilings[variant.name].append(
                            _ceiling(windows[variant.name], variant, options.threads)
                        )
    results = {
        "machine": describe_machine(),
        "load": load.describe(),
        "sample": {
            "source": sample.source,
            "traces": len(sample.traces),
            "characters": sample.characters,
        },
        "variants": {
            variant.name: {
                "model": variant.describe(),
                **asdict(count_windows(windows[variant.name])),
                "ceiling": ceilings[variant.name],
            }
            for variant in variants
        },
        "threads": options.threads,
        "rounds": options.rounds,
        "contenders": {name: [asdict(one) for one in runs] for name, runs in measured.items()},
        "quality": measure_quality(variants, peers),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    _say(f"wrote {options.output}")


def _commands(
    folder: Path,
    sample: Sample,
    variants: Sequence[Variant],
    options: argparse.Namespace,
    peers: Path | None,
) -> dict[str, Callable[[], Measurement]]:
    lines, rows, one = folder / "sample.jsonl", folder / "sample.parquet", folder / "one.parquet"
    lines.write_text("".join(json.dumps(trace) + "\n" for trace in sample.traces), encoding="utf-8")
    pq.write_table(pa.table({"trace": list(sample.traces)}), rows)
    pq.write_table(pa.table({"trace": ["One step. Another step."]}), one)
    contender = [sys.executable, "-m", "benchmarks.contender"]
    limits = ["--seconds", str(options.seconds), "--threads", str(options.threads)]
    commands: dict[str, Callable[[], Measurement]] = {}
    for variant in variants:
        chosen = ["--threads", str(options.threads), *variant.arguments]
        call = [sys.executable, "-m", "classifier", "score", *chosen]
        commands[f"command_{variant.name}"] = _Command(call, rows, one, sample)
        commands[f"library_{variant.name}"] = _Child([*contender, "library", str(lines), *chosen, "--long"])
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
        events = {line["event"]: line for line in run.lines}
        done = events["done"]
        return Measurement(
            traces=done["traces"],
            characters=done["characters"],
            seconds=done["seconds"],
            cpu_seconds=done["cpu_seconds"],
            first_score_seconds=run.first_seconds or run.seconds,
            peak_megabytes=run.peak_megabytes,
            long_trace_seconds=events["long"]["seconds"] if "long" in events else None,
        )


@dataclass(frozen=True, slots=True)
class _Command:
    """`branching score`, Parquet in and out; a file of one row tells what start-up costs."""

    command: list[str]
    rows: Path
    one: Path
    sample: Sample

    def __call__(self) -> Measurement:
        start, whole = self._run(self.one), self._run(self.rows)
        return Measurement(
            traces=len(self.sample.traces),
            characters=self.sample.characters,
            seconds=whole.seconds - start.seconds,
            cpu_seconds=whole.cpu_seconds - start.cpu_seconds,
            first_score_seconds=start.seconds,
            peak_megabytes=whole.peak_megabytes,
        )

    def _run(self, source: Path) -> ProcessRun:
        target = source.with_name(f"scored-{source.name}")
        target.unlink(missing_ok=True)
        return run_process([*self.command, source, "-o", target], reads_json=False)


def _ceiling(windows: Sequence[Window], variant: Variant, threads: int) -> dict[str, float]:
    """Return the best of a few batch sizes, so that the ceiling is one."""
    runs = [
        {
            "batch_size": float(size),
            **bare_forward(windows, variant, threads=threads, batch_size=size, seconds=_CEILING_SECONDS),
        }
        for size in _CEILING_BATCHES
    ]
    return max(runs, key=lambda run: run["slots"] / run["seconds"])


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
