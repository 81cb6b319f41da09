"""`branching study`: the options; the work is done in `training.study.run`."""

from pathlib import Path
from typing import Annotated

import typer


def study(
    config: Annotated[
        str,
        typer.Option(
            "--config", help="A JSON file of settings; `small`, `tiny` and `published` are built in."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The study's folder; the same command goes on in it.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change one setting; may be repeated."),
    ] = None,
    processes: Annotated[
        int,
        typer.Option("--processes", min=1, help="Runs that go on at the same time, a GPU each if there are."),
    ] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of each run.")] = 1,
    only_report: Annotated[
        bool, typer.Option("--report", help="Write the report of the runs that are finished; run nothing.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Compare fine-tuning on filtered and unfiltered traces: arms that differ in nothing but their data.

    A study that was stopped goes on where it was when the same command is given again.

    Example: branching study --config small -o runs/study-small
    """
    # The help must not wait for what only the work needs.
    import json
    import logging

    from rich.console import Console
    from rich.logging import RichHandler

    from training.study.config import load_study_config
    from training.study.run import run_study

    stderr = Console(stderr=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=stderr)])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    chosen = load_study_config(config, settings or [])
    results = run_study(chosen, output, processes=processes, threads=threads, only_report=only_report)
    typer.echo(json.dumps(results, indent=2) if json_output else f"Wrote {output / 'report.md'}")
