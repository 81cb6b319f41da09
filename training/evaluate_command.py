"""`branching evaluate`: the options, and what is shown; the work is done in `training.evaluate_run`."""

from pathlib import Path
from typing import Annotated

import typer

from training.evaluated_options import ArchiveTraces, KeptOut


def evaluate(
    gold: Annotated[
        list[Path],
        typer.Option(
            "--gold", help="Labelled documents, in any form that `train` takes. More files may follow it."
        ),
    ],
    more_gold: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="More files of labelled documents.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Model folder, or fast; without it the embedded model.")
    ] = None,
    kept_out: KeptOut = None,
    traces: ArchiveTraces = None,
    train_gold: Annotated[
        list[Path] | None,
        typer.Option(
            "--train-gold",
            help="Labelled documents that the TF-IDF baseline learns from; may be repeated. "
            "Without it a train.jsonl.gz beside the gold file, if there is one.",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", help="Also figures by group, model, source, domain, position or file; may be repeated."
        ),
    ] = None,
    own_steps: Annotated[
        bool,
        typer.Option("--own-steps", help="Also compare rates by own steps with rates by labelled steps."),
    ] = False,
    reliability_plot: Annotated[
        Path | None, typer.Option("--reliability-plot", help="Draw the model's reliability to this PNG file.")
    ] = None,
    resamples: Annotated[
        int, typer.Option("--resamples", min=1, help="Bootstrap resamples of the documents.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the resampling.")] = 0,
    precision: Annotated[
        str, typer.Option("--precision", help="Which of the model's precisions to evaluate.")
    ] = "fp32",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads; without it one a core.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show how well the model reads labelled steps, beside the baselines.

    Every figure comes with a 95 % interval by bootstrap over documents.

    Example: branching evaluate --gold dev.jsonl.gz --by group
    """
    # The help must not wait for what only the work needs.
    import json
    import sys
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import track

    from classifier.scorer import BranchScorer
    from training.evaluate import ModelSteps
    from training.evaluate_run import evaluate_model

    errors = Console(stderr=True)
    scorer = BranchScorer(model, precision=precision, threads=threads)
    report = evaluate_model(
        ModelSteps(scorer),
        model=asdict(scorer.model),
        threshold=scorer.threshold,
        gold=[*gold, *(more_gold or ())],
        kept_out=kept_out or (),
        traces=traces or (),
        train_gold=train_gold or (),
        by=by or (),
        own_steps=own_steps,
        reliability_plot=reliability_plot,
        resamples=resamples,
        seed=seed,
        progress=lambda documents: track(
            documents, "Scoring", console=errors, transient=True, disable=not errors.is_terminal
        ),
    )
    if json_output:
        json.dump(report.as_dict(), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        console = Console()
        for renderable in report.renderables():
            console.print(renderable)
            console.print()
