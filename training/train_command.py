"""`branching train`: the options; the work is done in `training.recipe`."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    gold: Annotated[
        list[Path],
        typer.Option(
            "--gold",
            help="Labelled documents to train on: JSONL or .jsonl.gz, a .parquet archive of labels of the "
            "traces, or traces written by hand (.txt or a folder); may be repeated.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model folder to write.")],
    traces: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[TRACES]...", help="Folders or files of unlabelled traces."),
    ] = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option("--calibrate-on", help="More labelled documents, for temperature and threshold only."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A JSON file of settings, as a run's identity.json has.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", help="Any Hugging Face encoder by name or path; MiniLM-L6 by default."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change one setting; may be repeated."),
    ] = None,
    run_folder: Annotated[
        Path | None,
        typer.Option("--run", help="Where the run keeps its state; OUTPUT.run beside the output by default."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            "--teacher", help="A model folder; its student learns from it on the unlabelled traces."
        ),
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option(
            "--only-fold", min=1, help="Train this fold only and write no model; for folds side by side."
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads; without it one a core.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="cpu, cuda or cuda:1; by default a GPU where torch sees one."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the run's record as JSON.")] = False,
) -> None:
    """Train a classifier from traces and labelled steps, and write a model folder.

    A run that was stopped goes on where it was when the same command is given again.

    Example: branching train traces/ --gold train.jsonl.gz -o my-model
    """
    # The help must not wait for what only the work needs.
    import json
    import logging

    import torch
    from rich.console import Console
    from rich.logging import RichHandler

    from classifier.errors import OptionError
    from training.config import load_config
    from training.recipe import TrainingData, train_model

    overrides = list(settings or [])
    if encoder is not None:
        overrides.append(f"encoder={encoder}")
    chosen = load_config(config, overrides)
    stderr = Console(stderr=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=stderr)])
    for name in ("httpx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if threads:
        torch.set_num_threads(threads)
    data = TrainingData(tuple(traces or ()), tuple(gold), tuple(calibration or ()), teacher)
    if fold is not None and fold > max(1, chosen.folds):
        raise OptionError(f"--only-fold {fold}: the config has {chosen.folds} folds")
    run = run_folder or output.with_name(output.name + ".run")
    record = train_model(
        data, output, run, chosen, only_fold=None if fold is None else fold - 1, device=device
    )
    if json_output:
        typer.echo(json.dumps(record, indent=2))
    elif fold is not None:
        typer.echo(f"Trained fold {fold}; the same command without --only-fold goes on from it.")
    else:
        typer.echo(
            f"Wrote {output}: trained on {record['trained_on']['steps']:,} steps, "
            f"temperature {record['calibration']['temperature']:.3f}, "
            f"threshold {record['calibration']['threshold']}, parity with torch {record['parity']:.1e}."
        )
