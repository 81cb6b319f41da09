"""The options by which commands are told what labelled documents to judge a model by."""

from pathlib import Path
from typing import Annotated

import typer

GoldFiles = Annotated[list[Path], typer.Argument(help="Labelled documents, in any form that `train` takes.")]
KeptOut = Annotated[
    list[Path] | None,
    typer.Option(
        "--kept-out",
        help="Also a file that the model was trained on, of which only the documents that `train` kept "
        "out of that; may be repeated.",
    ),
]
ArchiveTraces = Annotated[
    list[Path] | None,
    typer.Option("--traces", help="Traces that a .parquet archive of labels speaks of; may be repeated."),
]
