"""The report of a study: tables in Markdown, beside the plots."""

from pathlib import Path
from typing import Any

from training.study.plots import write_plots
from training.study.results import OVERALL

Record = dict[str, Any]


def write_report(results: Record, folder: Path) -> None:
    """Write `report.md` and its plots.

    Parameters
    ----------
    results
        What `collect_results` worked out.
    folder
        Where to write.
    """
    plots = write_plots(results, folder / "plots")
    parts = [
        "# Study report",
        _state(results),
        "## Before training",
        _before(results),
        "## Training loss beside accuracy",
        _accuracy(results),
        _warnings(results),
        "## Planned comparisons",
        _tests(results),
        "## Loss by step kind",
        _loss(results),
        "## Responses",
        _responses(results),
        "## Cost",
        _cost(results),
        *(f"![{name}](plots/{path.name})" for name, path in plots.items()),
    ]
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _state(results: Record) -> str:
    finished, planned = results["finished"], results["planned"]
    kind = "A study in a small generated world." if results["generated_world"] else "A study of given traces."
    partial = (
        f"All {planned} runs are finished."
        if finished == planned
        else f"**Partial: {finished} of {planned} runs are finished**, so arms may have different seeds."
    )
    return (
        f"{kind} {partial} Intervals: 95 %, over seeds and problems. Scored with the classifier "
        f"{', '.join(sha[:12] for sha in results['classifier'])}."
    )


def _before(results: Record) -> str:
    rows = []
    for source in ("divergent", "convergent"):
        described = results["prepared"][source]
        rows.append(
            [
                source,
                f"{described['rows']:,}",
                f"{described['mean_tokens']:.0f}",
                _number(described["mean_branch_rate"], 3),
                _number(described.get("mean_departures"), 2),
                _number(described.get("rank_correlation_with_departures"), 2),
                _number(described.get("rank_correlation_with_share"), 2),
            ]
        )
    header = [
        "source",
        "rows",
        "tokens",
        "branch rate",
        "departures planted",
        "rank correlation of rate and departures",
        "… and their share of steps",
    ]
    return _table(header, rows)


def _accuracy(results: Record) -> str:
    names = _benchmarks(results)
    header = ["arm", "seeds", "rows", "loss on its data", *(f"{name}, %" for name in (*names, OVERALL))]
    rows = [
        [
            name,
            str(len(arm["seeds"])),
            f"{arm['rows']:,}",
            _number(arm["loss"]["trained"]["all"], 3),
            *(_percent(arm["benchmarks"][benchmark]["greedy"]) for benchmark in (*names, OVERALL)),
        ]
        for name, arm in results["arms"].items()
    ]
    text = "Greedy pass@1:\n\n" + _table(header, rows)
    if all("sampled" in arm["benchmarks"][name] for arm in results["arms"].values() for name in names):
        sampled = [
            [name, *(_percent(arm["benchmarks"][benchmark]["sampled"]) for benchmark in names)]
            for name, arm in results["arms"].items()
        ]
        text += "\n\nSampled pass@1, averaged over the samples:\n\n" + _table(["arm", *names], sampled)
    return text


def _warnings(results: Record) -> str:
    if not results["warnings"]:
        return "Training loss and accuracy put no two arms in opposite order."
    return "\n".join(f"- {warning}" for warning in results["warnings"])


def _tests(results: Record) -> str:
    if not results["tests"]:
        return "No planned pair has a seed that both arms have finished."
    rows = [
        [
            f"{test['first']} − {test['second']}",
            str(len(test["seeds"])),
            _percent(test["difference"]),
            f"{test['p_value']:.3f}",
            f"{test['adjusted_p_value']:.3f}",
            "yes" if test["differs"] else "no",
        ]
        for test in results["tests"]
    ]
    header = ["difference", "seeds", "percentage points", "p", "p, Holm", f"below {results['level']:g}"]
    return (
        "Mean of the benchmarks, the same problems and seeds; permutation test over problems.\n\n"
        + _table(header, rows)
        + "\n\nThe same pairs on each benchmark, in percentage points. These were not planned, and many of "
        "them are looked at: for reading, not for a decision.\n\n" + _parts(results["tests"])
    )


def _parts(tests: list[Record]) -> str:
    header = ["difference", "responses", *tests[0]["benchmarks"]]
    modes = next(iter(tests[0]["benchmarks"].values()))
    rows = [
        [
            f"{test['first']} − {test['second']}",
            mode,
            *(_percent(differences[mode]) for differences in test["benchmarks"].values()),
        ]
        for test in tests
        for mode in modes
    ]
    return _table(header, rows)


def _loss(results: Record) -> str:
    sets = list(next(iter(results["arms"].values()))["loss"])
    names = {
        "trained": "its own data",
        "divergent": "divergent, kept out",
        "convergent": "convergent, kept out",
    }
    rows = [
        [
            name,
            names[measured],
            *(_number(arm["loss"][measured][kind], 3) for kind in ("all", "branching", "convergent")),
            _number(arm["loss"][measured]["branching_share"], 3),
        ]
        for measured in sets
        for name, arm in results["arms"].items()
    ]
    header = [
        "arm",
        "measured on",
        "all tokens",
        "branching steps",
        "convergent steps",
        "share of branching tokens",
    ]
    return "Mean loss a token, in nats; what a step does says the classifier.\n\n" + _table(header, rows)


def _responses(results: Record) -> str:
    names = _benchmarks(results)
    rows = [
        [
            name,
            benchmark,
            _number(arm["benchmarks"][benchmark]["tokens"], 0),
            _number(arm["benchmarks"][benchmark]["finished"], 2),
            _number(arm["benchmarks"][benchmark]["branch_rate"], 3),
        ]
        for name, arm in results["arms"].items()
        for benchmark in names
    ]
    return "Greedy responses.\n\n" + _table(["arm", "benchmark", "tokens", "finished", "branch rate"], rows)


def _cost(results: Record) -> str:
    rows = [
        [
            name,
            f"{arm['tokens']:,.0f}",
            f"{arm['steps']:,.0f}",
            _number(arm["mean_training_loss"], 3),
            f"{arm['seconds']:,.0f}",
            f"{arm['cpu_seconds']:,.0f}",
            f"{arm['run_cpu_seconds']:,.0f}",
            f"{arm['load_average']:.1f}",
        ]
        for name, arm in results["arms"].items()
    ]
    header = [
        "arm",
        "tokens an epoch",
        "steps",
        "mean training loss",
        "training seconds",
        "CPU seconds of it",
        "CPU seconds with testing",
        "load average",
    ]
    base = results["prepared"].get("base")
    pretraining = f", the base model's pre-training {base['cpu_seconds'] / 60:.1f}" if base else ""
    return (
        f"The runs took {results['cpu_seconds'] / 60:.1f} CPU minutes together{pretraining}. "
        "Mean of the seeds; the loss is the trainer's, over the whole run. Where other work shared the "
        "machine, seconds mean little: compare tokens, or CPU seconds.\n\n" + _table(header, rows)
    )


def _benchmarks(results: Record) -> list[str]:
    first = next(iter(results["arms"].values()))
    return [name for name in first["benchmarks"] if name != OVERALL]


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(estimate: Record) -> str:
    if estimate["low"] is None:
        return f"{100 * estimate['value']:.1f}"
    return f"{100 * estimate['value']:.1f} ({100 * estimate['low']:.1f} to {100 * estimate['high']:.1f})"
