"""The first part of docs/benchmarks.md: the machine, the ratios, and all contenders side by side."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.tables import number, table

Runs = Sequence[dict[str, float]]

_OTHERS = {
    "step_by_step": "MiniLM-L6 in ONNX Runtime, one step at a time",
    "pipeline": "MiniLM-L6 in a transformers pipeline, batch 32",
    "cotstruct": "`cotstruct` 0.1.0 (rules)",
    "rtsa": "`rtsa` 0.1.0 (rules)",
    "three_words": "compiled regular expression, three words",
}
_QUIET = 0.05


def side_by_side(results: dict[str, Any]) -> list[str]:
    """Return the sections.

    Parameters
    ----------
    results
        The results of `benchmarks.compare`.
    """
    return [_machine(results), _ratios(results), _contenders(results)]


def rate(runs: Runs) -> float:
    """Return the median of characters a second over runs."""
    return statistics.median(run["characters"] / run["seconds"] for run in runs)


def load_note(load: dict[str, Any]) -> str:
    """Say how much of the machine other work took."""
    return f"Other processes took {load['others_share']:.0%} of the processor time meanwhile."


def _shared_note(load: dict[str, Any]) -> str:
    """Say what a shared machine does to the figures, where it was one."""
    if load["others_share"] <= _QUIET:
        return load_note(load)
    averages = ", ".join(map(str, load["load_averages"]))
    return (
        f"**The machine was shared**: other processes took {load['others_share']:.0%} of the processor time "
        f"meanwhile (load averages at the end: {averages}). Rates in wall time are lower than on a machine "
        "of its own and ratios of them are uncertain; CPU-seconds suffer less. No target counts as met."
    )


def _machine(results: dict[str, Any]) -> str:
    machine, sample = results["machine"], results["sample"]
    models = "; ".join(
        f"{name}: {one['model']['name']} {one['model']['version']} ({one['model']['precision']}, SHA-256 "
        f"{one['model']['sha256'][:12]}), {one['tokens']:,} distinct tokens in {one['windows']:,} windows "
        f"with {one['slots']:,} slots"
        for name, one in results["variants"].items()
    )
    return (
        f"{machine['date']}, commit {machine['commit']}: {machine['processor']}, cores: {machine['cores']}, "
        f"{machine['gigabytes']} GB, {machine['system']}, Python {machine['python']}, ONNX Runtime "
        f"{machine['onnxruntime']}; threads: {results['threads']}. {_shared_note(results['load'])}\n\n"
        f"{sample['traces']} traces with {sample['characters']:,} characters ({sample['source']}). "
        f"Models: {models}. A *slot* is a place for a token in a window, padding included.\n\n"
        f"Medians of {results['rounds']} rounds, in which the contenders take turns. One that is too "
        "slow for the whole sample is stopped at the next trace; its figures are those of what it scored."
    )


def _ratios(results: dict[str, Any]) -> str:
    names = [name for name in results["variants"] if f"command_{name}" in results["contenders"]]
    rows = [
        [label, *[_shown(figure(results, name)) for name in names], target]
        for label, figure, target in _FIGURES
    ]
    for other, label in _OTHERS.items():
        if other in results["contenders"]:
            row = [f"traces a second ÷ those of {label}"]
            row += [_multiple(_against(results, name, other)) for name in names]
            rows.append([*row, _TARGETS_AGAINST.get(other, "")])
    return "## Ratios\n\n" + table(["", *names, "target"], rows)


def _slots_ratio(results: dict[str, Any], name: str) -> float:
    """Return slots a second end to end, divided by the ceiling of the same round: the median of rounds."""
    return _median_share(results, name, "seconds")


def _cpu_ratio(results: dict[str, Any], name: str) -> float:
    return _median_share(results, name, "cpu_seconds")


def _median_share(results: dict[str, Any], name: str, cost: str) -> float:
    variant = results["variants"][name]
    slots_a_character = variant["slots"] / results["sample"]["characters"]
    shares: list[float] = [
        (run["characters"] * slots_a_character / run[cost]) / (bare["slots"] / bare[cost])
        for run, bare in zip(results["contenders"][f"command_{name}"], variant["ceiling"], strict=True)
    ]
    return statistics.median(shares)


def _tokens_a_slot(results: dict[str, Any], name: str) -> float:
    variant = results["variants"][name]
    return float(variant["tokens"] / variant["slots"])


def _product(results: dict[str, Any], name: str) -> float:
    return _slots_ratio(results, name) * _tokens_a_slot(results, name)


def _tokens_a_second(results: dict[str, Any], name: str) -> float:
    tokens_a_character = results["variants"][name]["tokens"] / results["sample"]["characters"]
    return rate(results["contenders"][f"command_{name}"]) * float(tokens_a_character)


def _first_score(results: dict[str, Any], name: str) -> float | None:
    runs = results["contenders"].get(f"library_{name}")
    return None if runs is None else float(statistics.median(run["first_score_seconds"] for run in runs))


def _long_trace(results: dict[str, Any], name: str) -> float | None:
    runs = results["contenders"].get(f"library_{name}")
    return None if runs is None else 1_000.0 * statistics.median(run["long_trace_seconds"] for run in runs)


_FIGURES: Sequence[tuple[str, Callable[[dict[str, Any], str], float | None], str]] = (
    ("window slots a second, end to end ÷ bare forward pass", _slots_ratio, "≥ 0.85"),
    ("distinct trace tokens ÷ window slots", _tokens_a_slot, "≥ 0.80"),
    ("**the product of both**", _product, ""),
    ("CPU-seconds a slot, bare forward pass ÷ end to end", _cpu_ratio, ""),
    ("trace tokens a second, end to end", _tokens_a_second, "fast: ≥ 38,000"),
    ("first score after the start of the process (library call), seconds", _first_score, "≤ 1.0"),
    (
        "one trace of 15,000 characters in a warm process (library call), milliseconds",
        _long_trace,
        "fast: ≤ 150",
    ),
)
_TARGETS_AGAINST = {"pipeline": "≥ 3 ×, fast: ≥ 20 ×", "step_by_step": "≥ 2 ×, fast: ≥ 10 ×"}


def _against(results: dict[str, Any], name: str, other: str) -> float:
    # Characters a second: a contender that was stopped has scored only some of the traces.
    return rate(results["contenders"][f"command_{name}"]) / rate(results["contenders"][other])


def _shown(value: float | None) -> str:
    return "" if value is None else number(value)


def _multiple(ratio: float) -> str:
    return f"{number(ratio)} ×" if ratio >= 0.1 else f"1/{number(1 / ratio)}"


def _contenders(results: dict[str, Any]) -> str:
    sample, quality, contenders = results["sample"], results["quality"], results["contenders"]
    names = {}
    for name in results["variants"]:
        names[f"command_{name}"] = f"`branching score`, {name}"
        names[f"library_{name}"] = f"library call, {name}"
    names |= _OTHERS
    tokens = next(iter(results["variants"].values()))["tokens"]
    rows = []
    for name, label in names.items():
        runs = contenders.get(name)
        if not runs:
            continue
        characters = rate(runs)
        cpu = statistics.median(run["cpu_seconds"] / run["characters"] for run in runs)
        precision = _average_precision(quality, name)
        rows.append(
            [
                label,
                number(characters * sample["traces"] / sample["characters"]),
                f"{characters:,.0f}",
                f"{characters * tokens / sample['characters']:,.0f}",
                number(cpu * sample["characters"] / sample["traces"]),
                f"{statistics.median(run['peak_megabytes'] for run in runs):,.0f}",
                number(statistics.median(run["first_score_seconds"] for run in runs)),
                "" if precision is None else f"{precision:.3f}",
            ]
        )
    header = [
        "",
        "traces/s",
        "characters/s",
        "tokens/s",
        "CPU-seconds a trace",
        "peak MB",
        "first score after s",
        "average precision",
    ]
    ceilings = "; ".join(
        f"{name} {statistics.median(run['slots'] / run['seconds'] for run in one['ceiling']):,.0f}"
        for name, one in results["variants"].items()
        if one["ceiling"]
    )
    text = (
        f"## Side by side\n\n{table(header, rows)}\n\n"
        "The bare forward pass of the same file on full windows, the ceiling, in window slots a second: "
        f"{ceilings}. `branching score` reads and writes Parquet. Tokens are those of the first model's "
        "vocabulary. Start-up is left out of the rates and shown as the time from the start of the process "
        "to the first score. The MiniLM-L6 classifiers have an untrained head: they are there for speed."
    )
    if quality:
        text += (
            f" Average precision is on {quality['gold']} ({quality['steps']:,} steps, "
            f"{quality['branching_share']:.1%} branch; labels by language-model annotators); the rule "
            "packages' types that come closest to branching count as found, by their confidence."
        )
    return text


def _average_precision(quality: dict[str, Any] | None, name: str) -> float | None:
    if not quality:
        return None
    found: dict[str, float] = quality["average_precision"]
    return found.get(name.replace("command_", "library_"))
