"""`branching sft`: the options; the work is done in `training.sft`."""

from pathlib import Path
from typing import Annotated

import typer


def sft(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The run folder; the same command goes on in it.")
    ],
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATA]...", help="Files, folders or patterns of traces to train on."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="A causal language model with a chat template: a folder or a hub's name."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="A JSON file of settings.")] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint", help="Score with the service that runs there, such as http://127.0.0.1:3000."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Change one setting, such as selection.keep=0.8 or trainer.learning_rate=1e-5; repeatable.",
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads to train with.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the run's record as JSON.")] = False,
) -> None:
    """Fine-tune a causal language model on the traces that a selection keeps.

    A run that was stopped goes on where it was when the same command is given again.

    Example: branching sft traces.jsonl --model my-base-model -o run --set selection.keep=0.9
    """
    # The help must not wait for what only the work needs.
    import json
    import logging

    import torch
    from rich.console import Console
    from rich.logging import RichHandler

    from training.settings import load_settings
    from training.sft import run_sft
    from training.sft_config import SftConfig

    overrides = list(settings or [])
    given = {"data": data, "model": model, "endpoint": endpoint}
    overrides += [f"{name}={json.dumps(value)}" for name, value in given.items() if value]
    chosen = load_settings(SftConfig, config, overrides)
    stderr = Console(stderr=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=stderr)])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if threads:
        torch.set_num_threads(threads)
    record = run_sft(chosen, output)
    if json_output:
        typer.echo(json.dumps(record, indent=2))
        return
    manifest = record["manifest"]
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in manifest["dropped"].items())
    last = record["loss"][-1]["loss"] if record["loss"] else float("nan")
    typer.echo(
        f"Wrote {output / 'model'}: {manifest['kept']:,} of {manifest['rows']:,} rows"
        f"{f' (dropped: {dropped})' if dropped else ''}, {record['steps']:,} steps, "
        f"last loss {last:.3f}, {record['seconds']:.0f} s."
    )
