"""Writes docs/benchmarks.md and docs/scale.md from the figures in benchmarks/results.

Run: python -m benchmarks.document [--check]
Every figure in the two pages comes from a results file; sections without one are left out.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.compare import RESULTS
from benchmarks.sample import ROOT
from benchmarks.scale import former_note, is_former, scale_page
from benchmarks.side_by_side import load_note, side_by_side
from benchmarks.tables import number, table

_DOCS = ROOT / "docs"


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
        sections += side_by_side(compare)
    for name, section in _SECTIONS.items():
        if found := _read(results, name):
            sections.append(section(found) + _other_measurement(found, compare))
    gpu = _read(results, "gpu")
    sections.append(_gpu(gpu, compare) if gpu else _NO_GPU)
    pages = {"benchmarks.md": "\n\n".join(sections) + "\n"}
    if compare:
        pages["scale.md"] = scale_page(compare, gpu)
    return pages


def _read(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _other_measurement(results: dict[str, Any], compare: dict[str, Any] | None) -> str:
    """Return where and when a section was measured, if that was not with the comparison."""
    machine = results.get("machine")
    if machine is None or compare is None or machine["commit"] == compare["machine"]["commit"]:
        return ""
    models = "the models of that commit"
    if is_former(results, results.get("model", ""), compare):
        models = f"the {results['model']} model before this one"
    return (
        f"\n\nMeasured apart from the comparison, on {machine['date']} at commit {machine['commit']} with "
        f"{models}, on {machine['processor']}, cores: {machine['cores']}."
    )


def _model(results: dict[str, Any]) -> str:
    sha256 = results.get("sha256")
    return str(results["model"]) + (f" (SHA-256 {sha256[:12]})" if sha256 else "")


def _stages(results: dict[str, Any]) -> str:
    sample, variants = results["sample"], results["variants"]
    rows = []
    totals = {name: _stage_sum(one) for name, one in variants.items()}
    for stage in next(iter(variants.values()))["stages"]:
        row = [stage]
        for name, one in variants.items():
            seconds = one["stages"][stage]["cpu_seconds"]
            row += [number(seconds), f"{seconds / totals[name]:.1%}"]
        rows.append(row)
    rows.append(["all of these", *_alternate([number(total) for total in totals.values()], "100.0%")])
    whole = [number(one["command"]["cpu_seconds"]) for one in variants.values()]
    rows.append(["`branching score` on one thread, start-up and writing included", *_alternate(whole, "")])
    header = ["stage", *_alternate([f"{name}, CPU-seconds" for name in variants], "share")]
    return (
        "## Where the time goes\n\n"
        f"Each stage on its own, one thread, {sample['traces']} traces with {sample['characters']:,} "
        f"characters. {load_note(results['load'])}\n\n" + table(header, rows)
    )


def _stage_sum(variant: dict[str, Any]) -> float:
    return float(sum(stage["cpu_seconds"] for stage in variant["stages"].values()))


def _alternate(values: list[str], between: str) -> list[str]:
    return [text for value in values for text in (value, between)]


def _sessions(results: dict[str, Any]) -> str:
    rows = [
        [
            name,
            str(setting["threads"]),
            str(setting["batch_size"]),
            setting["option"],
            f"{statistics.median(setting['slots_per_second']):,.0f}",
            f"{min(setting['slots_per_second']):,.0f} … {max(setting['slots_per_second']):,.0f}",
        ]
        for name, variant in results["variants"].items()
        for setting in variant["settings"]
    ]
    return (
        "## Settings of the forward pass\n\n"
        f"Full windows, bare forward pass; each thread runs its own calls. {load_note(results['load'])}\n\n"
        + table(["model", "threads", "windows a call", "session", "slots/s", "range"], rows)
    )


def _layouts(results: dict[str, Any]) -> str:
    rows = []
    for name, layouts in results["variants"].items():
        for one in layouts:
            share = one["tokens"] / one["slots"]
            precision = one["average_precision"]
            rows.append(
                [
                    name,
                    str(one["length"]),
                    str(one["context"]),
                    number(share),
                    f"{one['slots_per_second']:,.0f}",
                    f"{one['slots_per_second'] * share:,.0f}",
                    "" if precision is None else f"{precision:.3f}",
                ]
            )
    header = [
        "model",
        "window",
        "context",
        "tokens ÷ slots",
        "slots/s",
        "trace tokens/s",
        "average precision",
    ]
    return (
        "## Window length and left context\n\n"
        "The longest window and the least left context, in tokens; the speed is that of the bare forward "
        "pass. Every layout is tried with the model as it is, which was trained for one of them. "
        f"Average precision is on gold/dev. {load_note(results['load'])}\n\n" + table(header, rows)
    )


def _vocabularies(results: dict[str, Any]) -> str:
    widths = list(results["sizes"][0]["megabytes"])
    rows = [
        [
            f"{one['tokens']:,}",
            f"{one['characters_a_token']:.3f}",
            f"{one['unknown_share']:.3%}",
            *[f"{one['megabytes'][width]:.1f}" for width in widths],
        ]
        for one in results["sizes"]
    ]
    header = ["tokens", "characters a token", "unknown", *[f"MB at width {width}" for width in widths]]
    return (
        "## Vocabulary\n\n"
        f"MiniLM's vocabulary cut to the tokens that {results['chosen_on']:,} other traces use most, on the "
        "traces of the comparison; the last row is the whole of it. Embeddings are stored in float16.\n\n"
        + table(header, rows)
    )


def _growth(results: dict[str, Any]) -> str:
    lengths = [
        [f"{one['characters']:,}", number(one["seconds"]), f"{one['peak_megabytes']:,.0f}"]
        for one in results["lengths"]
    ]
    corpora = []
    for one in results["corpora"]:
        kind = "debug encoder, ≤ 200 characters" if one["encoder"] == "debug" else "the model, full traces"
        prefix = one["rows"] < one["of_rows"]
        corpora.append(
            [
                kind,
                f"{one['rows']:,}" + (f" of {one['of_rows']:,}" if prefix else ""),
                number(one["seconds"]),
                number(1_000_000 * one["seconds"] / one["characters"]),
                f"{one['peak_megabytes']:,.0f}",
            ]
        )
    return (
        "## Growth\n\n"
        f"Model {_model(results)}, threads: {results['threads']}. {load_note(results['load'])}\n\n"
        "![Time and memory against size](growth.png)\n\n"
        + table(["characters in one trace", "seconds", "peak MB"], lengths)
        + "\n\n"
        + table(["corpus", "rows", "seconds", "seconds a million characters", "peak MB"], corpora)
    )


def _memory(results: dict[str, Any]) -> str:
    return (
        "## Memory over a large file\n\n"
        f"The first {results['minutes']:.1f} minutes of `branching score` on a JSONL of "
        f"{results['gigabytes']:g} GB, model {_model(results)}, threads: {results['threads']}: at most "
        f"{results['peak_megabytes']:,.0f} MB resident, and after the first fifth of the time "
        f"{results['megabytes_a_minute']:+.2f} MB a minute (targets: ≤ 500 MB, ≤ 1 MB a minute). "
        f"{load_note(results['load'])}"
    )


def _gpu(results: dict[str, Any], compare: dict[str, Any] | None) -> str:
    rows = [
        [
            name,
            one["precision"],
            f"{one['traces_per_second']:,.0f}",
            f"{one['trace_tokens_per_second']:,.0f}",
            number(one["hours_per_million_traces"]),
            f"{one['bare_slots_per_second']:,.0f}",
            f"{one['torch_slots_per_second']:,.0f}",
            f"{one['bare_slots_per_second'] / one['torch_slots_per_second']:.2f}",
            f"{one['slots_per_second'] / one['bare_slots_per_second']:.2f}",
            f"{one['largest_difference_from_cpu']:.4f}",
        ]
        for name, one in results["variants"].items()
    ]
    first = next(iter(results["variants"].values()))
    models = ", ".join(f"{name} {one['sha256'][:12]}" for name, one in results["variants"].items())
    commit = f" (commit {results['commit']})" if results.get("commit") else ""
    names = " ".join(
        name if one["precision"] == "fp32" else f"{name}=FOLDER:{one['precision']}"
        for name, one in results["variants"].items()
    )
    head = [
        "model",
        "precision",
        "traces/s",
        "trace tokens/s",
        "hours for 10⁶ traces",
        "bare slots/s",
        "torch slots/s",
        "bare to torch",
        "end to end to bare",
        "largest difference",
    ]
    return (
        "## GPU\n\n"
        f"Measured once{former_note(results, compare)}{commit}, by `python -m benchmarks.gpu --variants "
        f"{names} --traces {first['traces']}`, on one {results['device']} with 16 CPU cores, ONNX "
        f"Runtime {results['onnxruntime']} (CUDA) and torch {results['torch']}; "
        f"{first['traces']:,} {results['sample']}. Models by their SHA-256: {models}. "
        "*traces/s* and *trace tokens/s* are of `BranchScorer.score_batch` in one process; *hours* are for "
        "traces of 8,000 tokens. *bare* is the forward pass alone over full windows, 256 at a time, inputs "
        "copied; *torch* is a model of the same shape in float16 with scaled-dot-product attention, inputs "
        "and outputs copied. *largest difference* is that of a step's P(branch) from the CPU's: ONNX Runtime "
        "multiplies float32 matrices in TF32 there.\n\n"
        + table(head, rows)
        + "\n\nEnd to end, one process splits and tokenises more slowly than the GPU computes: several "
        "processes share a GPU well. TensorRT has not been run on hardware. A provider that is asked for and "
        "cannot be used is an error."
    )


_NO_GPU = (
    "## GPU\n\nThe CUDA and TensorRT paths (inputs and outputs bound in the device's memory, batches of a "
    "few fixed shapes, as many windows as the memory holds up to 256) have not been run on hardware: there "
    "are no figures for them. A provider that is asked for and cannot be used is an error."
)
_SECTIONS = {
    "stages": _stages,
    "sessions": _sessions,
    "layouts": _layouts,
    "vocabularies": _vocabularies,
    "growth": _growth,
    "memory": _memory,
}


if __name__ == "__main__":
    main()
