"""`branching label`: the options, and what is shown; the work is done in the modules around it."""

from pathlib import Path
from typing import Annotated

import typer


def label(
    traces: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TRACES]...", help="Trace files, folders or patterns (JSONL, .gz, .zst, Parquet)."
        ),
    ] = None,
    gold: Annotated[
        list[Path] | None,
        typer.Option("--gold", help="Labelled documents that weigh the votes; may be repeated."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Where the labels go: a .parquet file.")
    ] = None,
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Show coverage, overlap, conflict and accuracy of every labelling function: on the gold "
            "files, else on the traces, else as measured when the package was made.",
        ),
    ] = False,
    save_weights: Annotated[
        Path | None,
        typer.Option("--save-weights", help="Write the weights fitted on the gold files, as JSON."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Label the steps of raw traces by small rules that vote.

    Every raw chain of thought comes out as one row: its text, the offsets of its steps, and for every step
    the probabilities of the four kinds.

    Example: branching label traces/ --gold train.jsonl.gz -o labels.parquet
    """
    # The help must not wait for what only the work needs.
    import json
    import sys
    from dataclasses import asdict

    from rich.console import Console

    from classifier.errors import OptionError, OutputFileError
    from classifier.progress import terminal_progress
    from training.gold import read_gold
    from training.label_files import label_files, trace_table
    from training.label_table import committed_table, gold_table
    from training.soft_labels import fit_on_gold

    if output is None and save_weights is None and not table:
        raise OptionError("nothing to do: give -o FILE.parquet to label traces, or --table to see the rules")
    if output is not None and not traces:
        raise OptionError("-o needs traces to label: name trace files or folders")
    if save_weights is not None and not gold:
        raise OptionError("--save-weights needs labelled documents to fit the weights on: give --gold FILE")
    if save_weights is not None and save_weights.exists() and not overwrite:
        raise OutputFileError(f"{save_weights} exists: give --overwrite to replace it, or another name")
    documents = read_gold(gold or ())
    weights = (
        fit_on_gold(documents) if documents and (output is not None or save_weights is not None) else None
    )
    if save_weights is not None and weights is not None:
        weights.save(save_weights)
    summary = figures = None
    if output is not None:
        summary = label_files(
            traces or (), output, weights=weights, overwrite=overwrite, progress=terminal_progress()
        )
    if table:
        if documents:
            figures = gold_table(documents)
        else:
            figures = trace_table(traces, progress=terminal_progress()) if traces else committed_table()
    if json_output:
        content = {
            "labels": None if summary is None else asdict(summary),
            "table": None if figures is None else figures.as_dict(),
        }
        json.dump(content, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    console = Console()
    if summary is not None:
        console.print(
            f"{summary.traces:,} traces, {summary.steps:,} steps -> {summary.output}",
            soft_wrap=True,
            markup=False,
        )
        shares = ", ".join(f"{kind} {share:.1%}" for kind, share in summary.kind_shares.items())
        console.print(
            f"Kinds: {shares}. Left out: {summary.other_rows:,} rows that are no raw chain of thought, "
            f"{summary.empty_traces:,} without a step."
        )
    if figures is not None:
        console.print(figures.render())
