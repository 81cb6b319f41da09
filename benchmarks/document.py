"""Writes docs/benchmarks.md and docs/scale.md from the figures in benchmarks/results.

Run: python -m benchmarks.document [--check]
Every figure in the two pages comes from a results file; sections without one are left out.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare import RESULTS
from benchmarks.sample import ROOT
from benchmarks.scale import scale_page
from benchmarks.tables import number, table

_DOCS = ROOT / "docs"
_NAMES = {
    "command_fp32": "`branching score`, Parquet in and out",
    "library_fp32": "library call, `score_batch`",
    "command_int8": "`branching score --precision int8`",
    "library_int8": "library call, int8",
    "step_by_step": "MiniLM-L6 in ONNX Runtime, one step at a time",
    "pipeline": "MiniLM-L6 in a transformers pipeline, batch 32",
    "cotstruct": "`cotstruct` 0.1.0 (rules)",
    "rtsa": "`rtsa` 0.1.0 (rules)",
    "three_words": "compiled regular expression, three words",
}


def main() -> None:
    """Write the pages, or tell whether they are as the results make them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where a page is out of date"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--docs", type=Path, default=_DOCS)
    options = parser.parse_args()
    pages = make_pages(options.results)
    for name, text in pages.items():
        path = options.docs / name
        if options.check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                sys.exit(f"{path} is out of date; run python -m benchmarks.document")
        else:
            path.write_text(text, encoding="utf-8")
    growth = _read(options.results, "growth")
    if growth and not options.check:
        from benchmarks.plots import draw_growth

        draw_growth(growth, options.docs / "growth.png")


def make_pages(results: Path) -> dict[str, str]:
    """Return the pages that the results files make, by file name.

    Parameters
    ----------
    results
        The folder of the results files.
    """
    compare = _read(results, "compare")
    sections = ["# Benchmarks", "Made by `make bench` on the machine named below; nothing is edited by hand."]
    if compare:
        sections += [_machine(compare), _ratios(compare), _contenders(compare)]
    if stages := _read(results, "stages"):
        sections.append(_stages(stages))
    if sessions := _read(results, "sessions"):
        sections.append(_sessions(sessions))
    if growth := _read(results, "growth"):
        sections.append(_growth(growth))
    if memory := _read(results, "memory"):
        sections.append(_memory(memory))
    sections.append(
        "## GPU\n\nThe CUDA and TensorRT paths have not been run on hardware: there are no figures for them. "
        "A provider that is asked for and cannot be used is an error."
    )
    pages = {"benchmarks.md": "\n\n".join(sections) + "\n"}
    if compare:
        pages["scale.md"] = scale_page(compare)
    return pages


def _read(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _machine(results: dict[str, Any]) -> str:
    machine, sample = results["machine"], results["sample"]
    return (
        f"{machine['date']}, commit {machine['commit']}: {machine['processor']}, cores: {machine['cores']}, "
        f"{machine['gigabytes']} GB, {machine['system']}, Python {machine['python']}, ONNX Runtime "
        f"{machine['onnxruntime']}; threads: {results['threads']}. Model {results['model']['name']} "
        f"{results['model']['version']}, SHA-256 {results['model']['sha256'][:12]}.\n\n"
        f"{sample['traces']} traces with {sample['characters']:,} characters ({sample['source']}): "
        f"{sample['tokens']:,} distinct tokens in {sample['windows']:,} windows with {sample['slots']:,} "
        f"slots. Medians of {results['rounds']} rounds, in which the contenders take turns. One that is too "
        "slow for the whole sample is stopped at the next trace; its figures are those of what it scored."
    )


def rate(runs: Sequence[dict[str, float]]) -> float:
    """Return the median of characters a second over runs."""
    return statistics.median(run["characters"] / run["seconds"] for run in runs)


def _ratios(results: dict[str, Any]) -> str:
    sample, contenders = results["sample"], results["contenders"]
    own = contenders.get("command_fp32")
    lines = ["## Ratios", ""]
    rows = []
    if own:
        slots = sample["slots"] * rate(own) / sample["characters"]
        ceiling = statistics.median(run["slots"] / run["seconds"] for run in results["ceiling"])
        share = sample["tokens"] / sample["slots"]
        rows += [
            ["window slots a second, end to end ÷ bare forward pass", number(slots / ceiling)],
            ["distinct trace tokens ÷ window slots", number(share)],
            ["the product of both", number(slots / ceiling * share)],
        ]
        for name, runs in contenders.items():
            if name.split("_")[0] not in ("command", "library"):
                ratio = rate(own) / rate(runs)
                shown = f"{number(ratio)} ×" if ratio >= 0.1 else f"1/{number(1 / ratio)}"
                rows.append([f"characters a second, end to end ÷ {_NAMES[name]}", shown])
    if "command_int8" in contenders and own:
        rows.append(["int8 ÷ fp32, end to end", f"{number(rate(contenders['command_int8']) / rate(own))} ×"])
    return "\n".join([*lines, table(["ratio", ""], rows)])


def _contenders(results: dict[str, Any]) -> str:
    sample, quality = results["sample"], results["quality"]
    rows = []
    for name in _NAMES:
        runs = results["contenders"].get(name)
        if not runs:
            continue
        characters = rate(runs)
        cpu = statistics.median(run["cpu_seconds"] / run["characters"] for run in runs)
        precision = _average_precision(quality, name)
        rows.append(
            [
                _NAMES[name],
                number(characters * sample["traces"] / sample["characters"]),
                f"{characters:,.0f}",
                f"{characters * sample['tokens'] / sample['characters']:,.0f}",
                number(cpu * sample["characters"] / sample["traces"]),
                f"{statistics.median(run['peak_megabytes'] for run in runs):,.0f}",
                number(statistics.median(run["first_score_seconds"] for run in runs)),
                "" if precision is None else f"{precision:.3f}",
            ]
        )
    ceiling = statistics.median(run["slots"] / run["seconds"] for run in results["ceiling"])
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
    text = (
        "## Side by side\n\n"
        f"{table(header, rows)}\n\n"
        f"The bare forward pass of the same file on full windows, the ceiling: {ceiling:,.0f} window "
        "slots/s. Tokens are those of this model's vocabulary. Start-up is left out of the rates and shown "
        "as the time from the start of the process to the first score. The MiniLM-L6 classifiers have an "
        "untrained head: they are there for their speed."
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


def _stages(results: dict[str, Any]) -> str:
    stages, command, sample = results["stages"], results["command"], results["sample"]
    total = sum(stage["cpu_seconds"] for stage in stages.values())
    rows = [
        [name, number(stage["cpu_seconds"]), f"{stage['cpu_seconds'] / total:.1%}"]
        for name, stage in stages.items()
    ]
    rows.append(["all of these", number(total), "100.0%"])
    rows.append(
        ["`branching score` on one thread, start-up and writing included", number(command["cpu_seconds"]), ""]
    )
    return (
        "## Where the time goes\n\n"
        f"Each stage on its own, one thread, {sample['traces']} traces with {sample['characters']:,} "
        "characters.\n\n" + table(["stage", "CPU-seconds", "share"], rows)
    )


def _sessions(results: dict[str, Any]) -> str:
    rows = [
        [
            setting["precision"],
            str(setting["threads"]),
            str(setting["batch_size"]),
            setting["option"],
            f"{statistics.median(setting['slots_per_second']):,.0f}",
            f"{min(setting['slots_per_second']):,.0f} … {max(setting['slots_per_second']):,.0f}",
        ]
        for setting in results["settings"]
    ]
    return (
        "## Settings of the forward pass\n\n"
        f"Full windows of {results['window']} tokens, bare forward pass; each thread runs its own calls.\n\n"
        + table(["precision", "threads", "windows a call", "session", "slots/s", "range"], rows)
    )


def _growth(results: dict[str, Any]) -> str:
    lengths = [
        [f"{one['characters']:,}", number(one["seconds"]), f"{one['peak_megabytes']:,.0f}"]
        for one in results["lengths"]
    ]
    corpora = [
        [
            "debug encoder, ≤ 200 characters" if one["encoder"] == "debug" else "shipped model, full traces",
            f"{one['rows']:,}",
            number(one["seconds"]),
            number(1_000 * one["seconds"] / one["rows"]),
            f"{one['peak_megabytes']:,.0f}",
        ]
        for one in results["corpora"]
    ]
    return (
        f"## Growth\n\nThreads: {results['threads']}. ![Time and memory](growth.png)\n\n"
        + table(["characters in one trace", "seconds", "peak MB"], lengths)
        + "\n\n"
        + table(["corpus", "rows", "seconds", "ms a row", "peak MB"], corpora)
    )


def _memory(results: dict[str, Any]) -> str:
    return (
        "## Memory over a large file\n\n"
        f"The first {results['minutes']:.1f} minutes of `branching score` on a JSONL of "
        f"{results['gigabytes']:g} GB, threads: {results['threads']}: at most "
        f"{results['peak_megabytes']:,.0f} MB resident, and after the first fifth of the time "
        f"{results['megabytes_a_minute']:+.2f} MB a minute."
    )


if __name__ == "__main__":
    main()
