"""The figures of a study, from the records of its runs."""

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from training.study.config import StudyConfig
from training.study.statistics import FloatArray, accuracy, compare, holm
from training.study.step_losses import KINDS

Record = dict[str, Any]
OVERALL = "mean"
"""All benchmarks together, each with the same weight."""


def collect_results(config: StudyConfig, prepared: Record, records: Sequence[Record]) -> Record:
    """Work out the figures.

    Parameters
    ----------
    config
        The settings.
    prepared
        What was done before the runs.
    records
        The `result.json` of each finished run.

    Returns
    -------
    dict
        `finished` and `planned` runs, `prepared`, the `arms` by name, the `sweep`, the `tests`, `warnings`.
    """
    arms = config.planned_arms()
    by_arm = {arm.name: [record for record in records if record["arm"] == arm.name] for arm in arms}
    summaries = {name: _arm(runs, config) for name, runs in by_arm.items() if runs}
    return {
        "planned": sum(len(config.seeds_of(arm)) for arm in arms),
        "finished": len(records),
        "generated_world": config.world is not None,
        "seeds": list(config.seeds),
        "level": config.comparisons.level,
        "keep": config.keep,
        "cpu_seconds": sum(record["cpu_seconds"] for record in records),
        "classifier": sorted({record["model"]["sha256"] for record in records}),
        "prepared": prepared,
        "arms": summaries,
        "sweep": _sweep(by_arm, config),
        "tests": _tests(by_arm, config),
        "warnings": _warnings(by_arm, config),
    }


def _arm(runs: Sequence[Record], config: StudyConfig) -> Record:
    first = runs[0]
    benchmarks: Record = {}
    for name, result in first["benchmarks"].items():
        benchmarks[name] = {
            mode: _estimate(_correct(runs, name, mode), config)
            for mode in ("greedy", "sampled")
            if result[mode] is not None
        }
        for figure in ("tokens", "finished", "branch_rate"):
            benchmarks[name][figure] = _mean(run["benchmarks"][name][figure] for run in runs)
    benchmarks[OVERALL] = {"greedy": _estimate(_overall(runs), config)}
    return {
        "seeds": [run["seed"] for run in runs],
        "rows": first["rows"],
        "keep": first["keep"],
        "kind": first["kind"],
        "tokens": _mean(run["sft"]["tokens_an_epoch"] for run in runs),
        "seconds": _mean(run["sft"]["seconds"] for run in runs),
        "cpu_seconds": _mean(run["sft"]["cpu_seconds"] for run in runs),
        "run_cpu_seconds": _mean(run["cpu_seconds"] for run in runs),
        "load_average": _mean(run["load_average"] for run in runs),
        "steps": _mean(run["sft"]["steps"] for run in runs),
        "mean_training_loss": _mean(run["sft"]["mean_loss"] for run in runs),
        "loss": {
            name: {kind: _mean(run["loss"][name][kind]["mean"] for run in runs) for kind in ("all", *KINDS)}
            | {
                "branching_share": _mean(
                    run["loss"][name]["branching"]["tokens"] / max(1, run["loss"][name]["all"]["tokens"])
                    for run in runs
                )
            }
            for name in first["loss"]
        },
        "curve": _curve(runs),
        "benchmarks": benchmarks,
    }


def _sweep(by_arm: dict[str, list[Record]], config: StudyConfig) -> Record:
    """Return the accuracy by fraction kept, on the seeds that every arm of the sweep has finished."""
    arms = [arm for arm in config.planned_arms() if arm.kind == "branch_rate" and by_arm[arm.name]]
    keeps = {arm.name: arm.keep for arm in arms}
    if by_arm.get("divergent"):
        keeps["divergent"] = 1.0
    seeds = set(config.seeds).intersection(*({run["seed"] for run in by_arm[name]} for name in keeps))
    if len(arms) < 2 or not seeds:
        return {"seeds": [], "points": []}
    points = [
        {"arm": name, "keep": keep, **_estimate(_overall(_with_seeds(by_arm[name], seeds)), config)}
        for name, keep in sorted(keeps.items(), key=lambda one: one[1])
    ]
    return {"seeds": sorted(seeds), "points": points}


def _with_seeds(runs: Sequence[Record], seeds: Collection[int]) -> list[Record]:
    return sorted((run for run in runs if run["seed"] in seeds), key=lambda run: int(run["seed"]))


def _tests(by_arm: dict[str, list[Record]], config: StudyConfig) -> list[Record]:
    tests = []
    for pair in config.comparisons.pairs:
        found = _paired(by_arm, *pair, config)
        if found is not None:
            parts = _differences_by_benchmark(by_arm, *pair, found["seeds"], config)
            tests.append({"first": pair[0], "second": pair[1], **found, "benchmarks": parts})
    adjusted = holm([test["p_value"] for test in tests])
    return [
        {**test, "adjusted_p_value": value, "differs": value < config.comparisons.level}
        for test, value in zip(tests, adjusted, strict=True)
    ]


def _paired(by_arm: dict[str, list[Record]], first: str, second: str, config: StudyConfig) -> Record | None:
    """Compare two arms on the seeds that both have finished."""
    seeds = sorted({run["seed"] for run in by_arm[first]} & {run["seed"] for run in by_arm[second]})
    if not seeds:
        return None
    matrices = [_overall(_with_seeds(by_arm[name], seeds)) for name in (first, second)]
    left, right = matrices
    test = compare(left, right, config.comparisons.resamples, config.comparisons.seed)
    return {"seeds": seeds, "difference": test.estimate.as_dict(), "p_value": test.p_value}


def _differences_by_benchmark(
    by_arm: dict[str, list[Record]], first: str, second: str, seeds: Collection[int], config: StudyConfig
) -> Record:
    """Return the difference of two arms on each benchmark, of greedy and of sampled responses."""
    left, right = (_with_seeds(by_arm[name], seeds) for name in (first, second))
    return {
        name: {
            mode: _estimate(_correct(left, name, mode) - _correct(right, name, mode), config)
            for mode in ("greedy", "sampled")
            if result[mode] is not None
        }
        for name, result in left[0]["benchmarks"].items()
    }


def _warnings(by_arm: dict[str, list[Record]], config: StudyConfig) -> list[str]:
    """Say of which arms the loss would have chosen the one that is worse on problems it has not seen."""
    warnings: list[str] = []
    within_chance = 0
    for first, second in combinations([name for name, runs in by_arm.items() if runs], 2):
        test = _paired(by_arm, first, second, config)
        if test is None:
            continue
        losses = {
            name: _mean(
                run["loss"]["trained"]["all"]["mean"] for run in _with_seeds(by_arm[name], test["seeds"])
            )
            for name in (first, second)
        }
        if None in losses.values() or losses[first] == losses[second]:
            continue
        low, high = sorted((first, second), key=lambda name: losses[name] or 0.0)
        gain = test["difference"]["value"] * (1 if low == first else -1)
        if gain < 0 and test["difference"]["low"] <= 0 <= test["difference"]["high"]:
            within_chance += 1
        elif gain < 0:
            warnings.append(
                f"Loss and accuracy disagree: {low} has the lower training loss ({losses[low]:.3f} against "
                f"{losses[high]:.3f} of {high}) and the lower accuracy (by {-gain:.1%}, an interval "
                "without 0)."
            )
    if within_chance:
        warnings.append(
            "Pairs of arms in which the one with the lower training loss has the lower accuracy too, by so "
            f"little that the interval holds 0: {within_chance}."
        )
    return warnings


def _correct(runs: Sequence[Record], name: str, mode: str) -> FloatArray:
    return np.array([run["benchmarks"][name][mode] for run in runs], dtype=np.float64)


def _overall(runs: Sequence[Record]) -> FloatArray:
    """Return the results on all problems, scaled so that their mean weighs each benchmark alike."""
    parts = [_correct(runs, name, "greedy") for name in runs[0]["benchmarks"]]
    total = sum(part.shape[1] for part in parts)
    return np.concatenate([part * (total / (len(parts) * part.shape[1])) for part in parts], axis=1)


def _estimate(correct: FloatArray, config: StudyConfig) -> Record:
    return accuracy(correct, config.comparisons.resamples, config.comparisons.seed).as_dict()


def _curve(runs: Sequence[Record]) -> list[Record]:
    """Return the mean training loss of the seeds at each logged step."""
    losses: dict[int, list[float]] = {}
    for run in runs:
        for entry in run["sft"]["loss"]:
            losses.setdefault(entry["step"], []).append(entry["loss"])
    return [{"step": step, "loss": _mean(values)} for step, values in sorted(losses.items())]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
