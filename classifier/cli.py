"""The `branching` command: each sub-command is a few lines over a library call."""

import signal
import sys
from typing import Annotated, Any

import typer

from classifier.cli_options import (
    BatchSize,
    Cache,
    Column,
    Endpoint,
    Engine,
    Explode,
    Inputs,
    Json,
    Limit,
    Model,
    OnError,
    Overwrite,
    OverwriteColumns,
    Precision,
    PrecisionOption,
    Provider,
    Schema,
    Threads,
)
from classifier.command_group import SOME_ROWS_FAILED, CommandGroup, add_plugin_commands
from classifier.errors import OptionError
from classifier.version import __version__

app = typer.Typer(
    name="branching",
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"branching {__version__}")
        raise typer.Exit


@app.callback()
def branching(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find branching in chain-of-thought traces, and keep the traces that converge."""


@app.command(no_args_is_help=True)
def score(
    inputs: Inputs,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="A .jsonl, .jsonl.gz, .jsonl.zst or .parquet file, or - alone."),
    ] = None,
    schema: Schema = None,
    column: Column = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="Add branch_steps: every step with its score.")
    ] = False,
    show: Annotated[
        bool,
        typer.Option(
            "--show", help="Show the rates, and the trace that branches most in colour; needs no output."
        ),
    ] = False,
    explode: Explode = False,
    overwrite: Overwrite = False,
    overwrite_columns: OverwriteColumns = False,
    batch_size: BatchSize = None,
    threads: Threads = None,
    provider: Provider = None,
    precision: PrecisionOption = Precision.FP32,
    model: Model = None,
    endpoint: Endpoint = None,
    cache: Cache = None,
    engine: Annotated[
        Engine, typer.Option(help="ray: Parquet in, a folder of Parquet out, scored by the workers of Ray.")
    ] = Engine.LOCAL,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers of --engine ray; as many as fit by default.")
    ] = None,
    num_gpus: Annotated[
        float, typer.Option(min=0, help="GPUs for each worker of --engine ray, also a part of one.")
    ] = 0,
    limit: Limit = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="Write so many outputs, OUT-00001-of-0000N and so on, of consecutive rows."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Write only the Ith of N such outputs, counted from 1."),
    ] = None,
    json: Json = False,
) -> None:
    """Score traces: adds branch_rate, branch_count, step_count and branch_error to every row.

    Every row comes out once, in order, its own columns untouched. A row that cannot be scored says why in
    branch_error, and the exit code is 1 then. If a run is stopped, the same command goes on where it was;
    standard input does not resume.

    \b
    Examples:
      branching score traces.jsonl.gz -o scored.parquet
      branching score traces.jsonl --show
      branching score parquet-folder -o scored --engine ray --workers 8
    """  # noqa: D301 - \b is for Click
    from classifier.batch import ScoreOptions, score_files
    from classifier.console import print_json, print_score_summary
    from classifier.files.shards import Shard
    from classifier.progress import terminal_progress
    from classifier.row_stream import RowOptions

    _one_use_of_stdout(json, output)
    options = ScoreOptions(
        rows=RowOptions(schema=schema, column=column, explode=explode, limit=limit),
        steps=steps,
        overwrite=overwrite,
        overwrite_columns=overwrite_columns,
        shards=shards,
        shard=None if shard is None else Shard.parse(shard),
    )
    if engine is not Engine.RAY and (workers is not None or num_gpus):
        raise OptionError("--workers and --num-gpus are for --engine ray, which is not given")
    if engine is Engine.RAY and (show or endpoint is not None or cache is not None):
        raise OptionError("--engine ray goes with none of --show, --endpoint and --cache: leave these out")
    load = _loader(
        endpoint, model, provider, precision, threads, batch_size, schema, column, steps or show, cache
    )
    if show:
        from classifier.report.show import show_scores

        _exit(show_scores(inputs, output, load, options, json=json))
    if output is None:
        raise OptionError("No output was given: name one with -o, or look at the scores with --show")
    if engine is Engine.RAY:
        from classifier.adapters.ray_files import score_parquet

        summary = score_parquet(
            inputs,
            output,
            options,
            model=model,
            precision=precision.value,
            provider=provider,
            threads=threads,
            batch_size=batch_size,
            workers=workers,
            num_gpus=num_gpus,
        )
    else:
        with terminal_progress() as progress:
            summary = score_files(inputs, output, load, options, progress=progress)
    if json:
        print_json(summary.to_dict())
    else:
        print_score_summary(summary)
    _exit(summary.counts.errors)


@app.command(no_args_is_help=True)
def verify(
    output: Annotated[
        str,
        typer.Argument(metavar="OUT", help="What score or filter wrote; for shards the name without number."),
    ],
    json: Json = False,
) -> None:
    """Check an output against its manifest: bytes, rows, scores and model. The exit code is 1 if it differs.

    \b
    Example:
      branching verify scored.parquet
    """  # noqa: D301 - \b is for Click
    from classifier.console import print_json, print_verify_summary
    from classifier.verify import verify_output

    summary = verify_output(output)
    if json:
        print_json(summary.to_dict())
    else:
        print_verify_summary(summary)
    _exit(summary.problems)


@app.command("filter", no_args_is_help=True)
def filter_command(
    inputs: Inputs,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Where the kept rows go; as for score.")
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(help="The fraction of rows to keep, those with the lowest rates, such as 0.9."),
    ] = None,
    max_rate: Annotated[
        float | None, typer.Option(help="The highest branch rate to keep, such as 0.12.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="A column; --keep holds within each of its values.")] = None,
    best_of: Annotated[
        str | None,
        typer.Option(
            help="Of several traces keep the one with the lowest rate: among those of a row that this column "
            "marks as correct, or among all rows with the same text or number in it."
        ),
    ] = None,
    dropped: Annotated[str | None, typer.Option(help="Where the other rows go.")] = None,
    on_error: Annotated[OnError, typer.Option(help="What becomes of rows without a score.")] = OnError.KEEP,
    no_scores: Annotated[bool, typer.Option("--no-scores", help="Leave the score columns out.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what keeping 95 % to 50 % would do, and write nothing."),
    ] = False,
    explode: Explode = False,
    schema: Schema = None,
    column: Column = None,
    overwrite: Overwrite = False,
    overwrite_columns: OverwriteColumns = False,
    batch_size: BatchSize = None,
    threads: Threads = None,
    provider: Provider = None,
    precision: PrecisionOption = Precision.FP32,
    model: Model = None,
    endpoint: Endpoint = None,
    cache: Cache = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Keep the rows that branch least; rows without scores are scored first.

    \b
    Examples:
      branching filter scored.parquet -o kept.parquet --keep 0.9 --by source
      branching filter traces.jsonl -o kept.jsonl --max-rate 0.12
      branching filter traces.jsonl --dry-run
    """  # noqa: D301 - \b is for Click
    from classifier.console import print_filter_summary, print_json, print_preview
    from classifier.filtering import FilterOptions, filter_files, preview_files
    from classifier.progress import terminal_progress
    from classifier.row_stream import RowOptions

    options = FilterOptions(
        rows=RowOptions(schema=schema, column=column, explode=explode, limit=limit),
        keep=keep,
        max_rate=max_rate,
        by=by,
        best_of=best_of,
        on_error=on_error.value,
        scores=not no_scores,
        overwrite=overwrite,
        overwrite_columns=overwrite_columns,
    )
    load = _loader(endpoint, model, provider, precision, threads, batch_size, schema, column, False, cache)
    if dry_run:
        with terminal_progress() as progress:
            preview = preview_files(inputs, load, options, progress=progress)
        if json:
            print_json(preview.to_dict())
        else:
            print_preview(preview)
        _exit(preview.counts.errors)
    if output is None:
        raise OptionError("No output was given: name one with -o, or see with --dry-run what would be kept")
    _one_use_of_stdout(json, output, dropped)
    with terminal_progress() as progress:
        summary = filter_files(inputs, output, load, options, dropped=dropped, progress=progress)
    if json:
        print_json(summary.to_dict())
    else:
        print_filter_summary(summary)
    _exit(summary.counts.errors)


@app.command(no_args_is_help=True)
def report(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="SCORED",
            help="Files that `branching score` wrote, folders or patterns of these.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="An .html file; without it the report is shown here.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="A column to group rows by; source and model by default. May be given again."),
    ] = None,
    keep: Annotated[float, typer.Option(help="The fraction to keep that the report begins with.")] = 0.9,
    compare: Annotated[
        str | None, typer.Option(help="Another scored file, with other traces on the same problems.")
    ] = None,
    pair_by: Annotated[
        str | None, typer.Option(help="With --compare: the column that names the problem of a row.")
    ] = None,
    schema: Schema = None,
    column: Column = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Show what scored files hold, and what a filter would drop: one HTML page, or tables in the terminal.

    The page needs pip install 'branching-classifier[report]'. It shows kinds and positions of steps where the
    rows were scored with --steps.

    \b
    Examples:
      branching report scored.parquet -o report.html --by source
      branching report a.parquet --compare b.parquet --pair-by problem -o comparison.html
      branching report scored.parquet
    """  # noqa: D301 - \b is for Click
    from classifier.console import print_json, print_report_summary
    from classifier.progress import terminal_progress
    from classifier.report import ReportOptions, report_files
    from classifier.row_stream import RowOptions

    options = ReportOptions(
        rows=RowOptions(schema=schema, column=column),
        by=tuple(by) if by else None,
        pair_by=pair_by,
        keep=keep,
        overwrite=overwrite,
    )
    with terminal_progress() as progress:
        summary = report_files(inputs, output, options, compare=compare, progress=progress)
    if json:
        print_json(summary.to_dict())
    else:
        print_report_summary(summary)
    _exit(summary.errors)


add_plugin_commands(app)


def main() -> None:
    """Run the `branching` command."""
    # A polite end to the process removes temporary files as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    app(prog_name="branching")


def _loader(
    endpoint: str | None,
    model: str | None,
    provider: str | None,
    precision: Precision,
    threads: int | None,
    batch_size: int | None,
    schema: str | None,
    column: str | None,
    steps: bool,
    cache: str | None,
) -> Any:
    from classifier.loading import endpoint_loader, scorer_loader

    if endpoint is not None:
        local = {
            "--model": model,
            "--provider": provider,
            "--precision": None if precision == Precision.FP32 else precision,
            "--threads": threads,
            "--batch-size": batch_size,
            "--cache": cache,
        }
        given = [flag for flag, value in local.items() if value is not None]
        if given:
            raise OptionError(f"--endpoint scores elsewhere: leave out {', '.join(given)}")
        return endpoint_loader(endpoint, schema=schema, column=column, steps=steps)
    return scorer_loader(
        model=model,
        provider=provider,
        precision=precision.value,
        threads=threads,
        batch_size=batch_size,
        schema=schema,
        column=column,
        steps=steps,
        cache=cache,
    )


def _one_use_of_stdout(json: bool, *outputs: str | None) -> None:
    uses = [name for name in outputs if name == "-"]
    if json and uses:
        raise OptionError("--json and the output - both write to standard output: give the output a name")


def _exit(errors: Any) -> None:
    raise typer.Exit(SOME_ROWS_FAILED if errors else 0)
