"""`branching export`: the options, and what is shown; the work is done in `training.precision`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    precision: Annotated[
        str, typer.Option("--precision", help="fp16 for GPUs, or int8 for CPUs: scales fixed beforehand.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model folder to write; a new one.")],
    model: Annotated[
        Path | None, typer.Option("--model", help="Model folder, or fast; without it the embedded model.")
    ] = None,
    traces: Annotated[
        list[Path] | None,
        typer.Option(
            "--traces",
            help="Files or folders of traces of the kind to score, to set scales by and to compare on; may "
            "be repeated. Without it the example traces of the source tree.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads; without it one a core.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Make another precision of a model, and check it against fp32 on real text.

    The new folder holds the fp32 file as it was, the new one, and a card with the figures. Where the new one
    does not follow fp32 closely enough, nothing is written and the exit code is 1.

    Example: branching export --precision int8 --traces traces/ -o my-model-int8
    """
    # The help must not wait for what only the work needs.
    import json

    from training.precision import AgreementError, export_precision

    try:
        made = export_precision(model, precision, output, traces or (), threads)
    except AgreementError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
    if json_output:
        typer.echo(json.dumps(made.to_dict(), indent=2))
        return
    agreement, sizes = made.agreement, made.megabytes
    typer.echo(
        f"Wrote {made.model}: {precision} {sizes[precision]:.1f} MB beside fp32 {sizes['fp32']:.1f} MB.\n"
        f"On {agreement.traces} traces ({agreement.steps:,} steps) against fp32: "
        f"rank correlation of branch rates {agreement.rank_correlation:.5f}, "
        f"largest rate difference {agreement.largest_rate_difference:.4f}, "
        f"largest step difference {agreement.largest_step_difference:.3f}, "
        "equal to the bit over batch sizes.\n"
        f"Use it: branching score … --model {made.model} --precision {precision}"
    )
