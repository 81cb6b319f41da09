"""The options that several commands share, and the words that they take."""

from enum import StrEnum
from typing import Annotated

import typer


class Precision(StrEnum):
    """The files that a model folder can have."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class OnError(StrEnum):
    """What becomes of a row without a score."""

    KEEP = "keep"
    DROP = "drop"
    FAIL = "fail"


class Engine(StrEnum):
    """What spreads the scoring over workers."""

    LOCAL = "local"
    RAY = "ray"


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="IN",
        help="JSONL (also .gz, .zst), JSON, Parquet or Arrow files, folders or patterns of these, URLs such "
        "as s3://bucket/folder, or - for JSON lines on standard input.",
        show_default=False,
    ),
]
Schema = Annotated[
    str | None, typer.Option(help="The rows' schema, such as messages or openr1; found by itself by default.")
]
Column = Annotated[
    str | None, typer.Option(help="The column that holds the trace; found by itself by default.")
]
Explode = Annotated[
    bool, typer.Option("--explode", help="Give each of several traces in a row a row of its own.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
OverwriteColumns = Annotated[
    bool, typer.Option("--overwrite-columns", help="Score rows again that have scores, and replace them.")
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Windows in one forward pass; scores do not depend on it.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")]
Provider = Annotated[
    str | None, typer.Option(help="cpu, cuda, tensorrt, or ONNX Runtime's name of another one.")
]
PrecisionOption = Annotated[Precision, typer.Option(help="Which of the model's files to use.")]
Model = Annotated[
    str | None,
    typer.Option(help="A model folder, or `fast`: small and quick. The embedded model by default."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Score through a service that `branching serve` runs there; BRANCHING_API_KEY holds its key.",
    ),
]
Cache = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="A folder that remembers scores, so that a trace is scored once by each model."
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after this many rows.")]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")]
