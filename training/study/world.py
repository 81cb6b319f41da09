"""The small world: problems, what two teachers write about them, and benchmark files."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.json_files import write_rows
from training.settings import Settings
from training.study.divergent_teacher import divergent_trace
from training.study.problems import TASK, Problem, ProblemSet, draw_problems
from training.study.teaching import TaughtTrace, convergent_trace

SOURCES: Final = ("divergent", "convergent")


class WorldConfig(Settings):
    """The small world.

    Parameters
    ----------
    train
        The problems that both teachers solve.
    check
        Problems that both teachers solve for measuring loss on traces that no arm trains on.
    benchmarks
        The problems that tuned models are tested on, by name.
    departures
        The highest chance that the divergent teacher leaves its line before a calculation; see
        `divergent_trace`.
    seed
        Seed of the teachers' words and departures.
    """

    train: ProblemSet
    check: ProblemSet
    benchmarks: dict[str, ProblemSet]
    departures: float = 0.7
    seed: int = 1


@dataclass(frozen=True, slots=True)
class World:
    """Where the files of the small world are.

    Parameters
    ----------
    sources, checks
        The traces of each teacher by its name, one row a problem and in the same order.
    benchmarks
        Benchmark files by name.
    """

    sources: dict[str, Path]
    checks: dict[str, Path]
    benchmarks: dict[str, Path]


def build_world(config: WorldConfig, folder: Path) -> World:
    """Write the files of the small world; the same settings give the same bytes.

    Parameters
    ----------
    config
        The settings.
    folder
        Where to write.

    Returns
    -------
    World
        Where the files are.
    """
    known: list[Problem] = []
    benchmarks = {}
    for name, chosen in config.benchmarks.items():
        problems = draw_problems(chosen, known)
        known.extend(problems)
        benchmarks[name] = folder / "benchmarks" / f"{name}.jsonl"
        write_rows(benchmarks[name], [_benchmark_row(problem) for problem in problems])
    checks = draw_problems(config.check, known)
    train = draw_problems(config.train, [*known, *checks])
    return World(
        sources=_teach(train, config, folder / "train", 0),
        checks=_teach(checks, config, folder / "check", 1),
        benchmarks=benchmarks,
    )


def _teach(problems: Sequence[Problem], config: WorldConfig, folder: Path, part: int) -> dict[str, Path]:
    paths = {source: folder / f"{source}.jsonl" for source in SOURCES}
    for number, (source, path) in enumerate(paths.items()):
        rng = random.Random(config.seed * 1_000 + part * len(SOURCES) + number)
        rows = []
        for problem in problems:
            taught = (
                divergent_trace(problem.terms, rng, config.departures)
                if source == "divergent"
                else convergent_trace(problem.terms, rng)
            )
            rows.append(_trace_row(problem, taught))
        write_rows(path, rows)
    return paths


def _trace_row(problem: Problem, taught: TaughtTrace) -> dict[str, Any]:
    """Return a row; what the teacher planted stands beside the trace, to check the filter with."""
    return {
        "problem": problem.question,
        "trace": taught.text,
        "answer": problem.answer,
        "planted": {"departures": taught.departures, "steps": len(taught.steps)},
    }


def _benchmark_row(problem: Problem) -> dict[str, Any]:
    return {
        "problem": problem.question,
        "answer": problem.answer,
        "task": TASK,
        "metadata": json.dumps(problem.metadata),
    }
