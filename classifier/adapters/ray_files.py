"""`branching score --engine ray`: Parquet files in, a folder of Parquet files out."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from classifier.adapters.ray import import_ray, score_dataset
from classifier.batch import ScoreOptions, ScoreSummary
from classifier.columns import COLUMN_TYPES, ERROR, RATE, RATES, STEPS, may_hold_several
from classifier.encoder import PROVIDERS
from classifier.errors import EngineError, InputFileError, OptionError, OutputFileError, RowError
from classifier.files import (
    ADDED_COLUMNS,
    SCORE_COLUMNS,
    BatchLimits,
    InputFile,
    RowBatch,
    find_inputs,
    read_batches,
)
from classifier.files.manifest import with_provenance
from classifier.files.table_inputs import batch_rows
from classifier.files.tables import plan_table
from classifier.loading import scorer_loader
from classifier.model_folder import EMBEDDED_MODELS
from classifier.row_stream import RowCounts
from classifier.traces import read_traces

_FILE_BYTES: Final = 32 << 20
_COUNTED_ROWS: Final = 8192


def score_parquet(
    inputs: Sequence[str],
    output: str,
    options: ScoreOptions | None = None,
    *,
    model: str | None = None,
    precision: str = "fp32",
    provider: str | None = None,
    threads: int | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    num_gpus: float = 0,
) -> ScoreSummary:
    """Score Parquet files on Ray and write a folder of Parquet files, rows in the order of the inputs.

    Uses the Ray that runs already in this process, else the cluster that Ray finds (`RAY_ADDRESS`, `ray
    start`), else the cores of this machine. The inputs and the output must be on a file system that all
    machines see. A worker that dies is started again, and what it worked on is scored again.

    Parameters
    ----------
    inputs
        Paths, folders or patterns of Parquet files.
    output
        The folder to write; it appears when it is complete.
    options
        How to score; `explode`, `limit`, `shard` and `shards` are for the local engine.
    model, precision, batch_size
        See `BranchScorer`.
    provider
        Where the model runs: CUDA if `num_gpus` is given, else the CPU, by default.
    threads
        CPU threads of each worker; one by default.
    workers, num_gpus
        See `classifier.adapters.ray.score_dataset`.

    Returns
    -------
    ScoreSummary
        What was done.

    Raises
    ------
    UsageError
        If an input, the output or an option cannot be used; nothing is left behind then.
    EngineError
        If Ray gives up; nothing is left behind then.
    """
    options = options or ScoreOptions()
    began = time.perf_counter()
    if options.rows.explode or options.rows.limit is not None or options.wanted_shards():
        raise OptionError(
            "--explode, --limit, --shard and --shards are for the local engine: leave these out, or leave "
            "out --engine ray"
        )
    sources = _parquet_inputs(inputs)
    folder = _output_folder(output, options, sources)
    plan = plan_table(sources, options.rows.limits, drop=ADDED_COLUMNS if options.overwrite_columns else ())
    if plan.json_text:
        raise InputFileError(
            f"The inputs disagree about the type of {', '.join(sorted(plan.json_text))}: score them apart, "
            "or without --engine ray, which stores such columns as JSON text"
        )
    provider = provider or ("cuda" if num_gpus else "cpu")
    # Loaded here too, to fail early and to say what scored the rows; on the CPU, because the machine that
    # starts the run need not have the workers' GPUs.
    reading: dict[str, Any] = {
        "schema": options.rows.schema,
        "column": options.rows.column,
        "steps": options.steps,
    }
    load = scorer_loader(model=model, provider="cpu", precision=precision, threads=1, **reading)
    provenance = {**load().provenance, "provider": PROVIDERS.get(provider, provider)}
    columns = [*SCORE_COLUMNS, *([RATES] if _several(sources, plan.schema, options) else [])]
    columns += [STEPS] if options.steps else []
    schema = pa.schema(
        [*plan.schema, *((name, COLUMN_TYPES[name]) for name in columns)],
        with_provenance(plan.schema.metadata, provenance),
    )
    with ray_running() as ray, _new_folder(folder) as unfinished:
        dataset = ray.data.read_parquet(
            [str(source.path) for source in sources], schema=plan.schema, partitioning=None
        )
        dataset.context.execution_options.preserve_order = True
        dataset.context.enable_progress_bars = sys.stderr.isatty()
        dataset = score_dataset(
            dataset,
            **reading,
            model=_model_for_workers(model),
            precision=precision,
            providers=[provider],
            batch_size=batch_size,
            threads=threads or 1,
            sha256=provenance["model"]["sha256"],
            workers=workers,
            num_gpus=num_gpus,
            rows_per_block=_rows_per_block(sources, options.rows.limits),
        )
        try:
            dataset.select_columns(schema.names).write_parquet(
                str(unfinished), schema=schema, compression="zstd", min_bytes_per_file=_FILE_BYTES
            )
        except ray.exceptions.RayError as error:
            raise EngineError(f"Ray gave up, and nothing was left behind: {error}") from error
        _name_parts(unfinished, schema)
        counts = _count(unfinished, sources, RATES in columns)
    return ScoreSummary(
        inputs=[source.name for source in sources],
        outputs=[output],
        counts=counts,
        rows_before=0,
        traces_before=0,
        seconds=time.perf_counter() - began,
        provenance=provenance,
        json_text_columns=[],
        replaced_rows=0,
    )


def _parquet_inputs(inputs: Sequence[str]) -> list[InputFile]:
    sources = find_inputs(inputs)
    for source in sources:
        if source.format != "parquet" or source.path is None:
            what = "is no local file" if source.path is None else "is not Parquet"
            raise InputFileError(
                f"{source.name} {what}, and --engine ray reads only local Parquet files: score it without "
                "--engine ray, or copy or convert it first"
            )
    return sources


def _model_for_workers(model: str | None) -> str | None:
    """Return a model as workers find it, who run in other folders; an embedded one is found by its name."""
    return model if model is None or model in EMBEDDED_MODELS else str(Path(model).resolve())


def _rows_per_block(sources: Sequence[InputFile], limits: BatchLimits) -> int:
    """Return how many rows make a block: few where traces are long, so that all workers end together."""
    found = [pq.read_metadata(source.path or "") for source in sources]
    size = sum(one.row_group(at).total_byte_size for one in found for at in range(one.num_row_groups))
    return batch_rows(limits, sum(one.num_rows for one in found), size)


def _output_folder(output: str, options: ScoreOptions, sources: Sequence[InputFile]) -> Path:
    folder = Path(os.path.realpath(output))
    if output == "-" or folder.suffix:
        raise OutputFileError(
            f"{output} names a file, but --engine ray writes a folder: name one, such as scored"
        )
    if not folder.parent.is_dir():
        raise OutputFileError(
            f"{output} cannot be written: there is no folder {folder.parent}. Create it first"
        )
    if any(Path(os.path.realpath(source.path or "")).is_relative_to(folder) for source in sources):
        raise OutputFileError(f"{output} holds inputs as well: give the output another name")
    if folder.exists():
        if not options.overwrite:
            raise OutputFileError(f"{output} exists: give --overwrite to replace it, or another name")
        if not folder.is_dir() or any(path.suffix != ".parquet" for path in folder.iterdir()):
            raise OutputFileError(
                f"{output} is no folder of Parquet files only, and is not replaced: name another"
            )
    if not os.access(folder.parent, os.W_OK):
        raise OutputFileError(f"{output} cannot be written: permission denied in the folder {folder.parent}")
    return folder


def _several(sources: Sequence[InputFile], table: pa.Schema, options: ScoreOptions) -> bool:
    """Tell whether some row holds several traces; looks at rows only where the types allow it."""
    column, schema = options.rows.column, options.rows.schema
    if not may_hold_several(table, column, schema):
        return False
    for source in sources:
        for batch in read_batches(source):
            for row in batch.rows:
                with suppress(RowError):
                    if read_traces(row, schema=schema, column=column).several:
                        return True
    return False


@contextmanager
def ray_running(**settings: Any) -> Iterator[Any]:
    """Give Ray as it runs in this process, or start it and stop it at the end.

    Parameters
    ----------
    **settings
        Further arguments of `ray.init`, if it is called.
    """
    ray = import_ray()
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    if ray.is_initialized():
        yield ray
        return
    # A cluster that is started here sends no usage reports.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING, **settings)
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder under a temporary name that takes its place at the end, or goes on any error."""
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    unfinished.mkdir()
    try:
        yield unfinished
        if folder.exists():
            old = folder.with_name(f"{unfinished.name}.old")
            folder.rename(old)
            unfinished.rename(folder)
            shutil.rmtree(old)
        else:
            unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _name_parts(folder: Path, schema: pa.Schema) -> None:
    """Name the files by their place in the order; Ray's names sort in it too, but say nothing."""
    written = sorted(folder.glob("*.parquet"))
    for number, path in enumerate(written):
        path.rename(folder / f"part-{number:06}.parquet")
    if not written:
        pq.write_table(schema.empty_table(), folder / "part-000000.parquet")


def _count(folder: Path, sources: Sequence[InputFile], several: bool) -> RowCounts:
    """Count what became of the rows, and check that each came out once."""
    given = [pq.read_metadata(source.path or "").num_rows for source in sources]
    parts = sorted(folder.glob("*.parquet"))
    found = sum(pq.read_metadata(part).num_rows for part in parts)
    if found != sum(given):
        raise EngineError(
            f"Ray wrote {found} rows for {sum(given)} that were read, and nothing was left behind: start "
            "again when nothing writes to the inputs any more"
        )
    scored = _scores(parts, [RATE, ERROR, *([RATES] if several else [])])
    counts = RowCounts()
    for source, rows in zip(sources, given, strict=True):
        for first in range(1, rows + 1, _COUNTED_ROWS):
            numbers = range(first, min(first + _COUNTED_ROWS, rows + 1))
            counts.add(RowBatch(source, [], numbers), list(islice(scored, len(numbers))))
    return counts


def _scores(parts: Sequence[Path], columns: list[str]) -> Iterator[dict[str, Any]]:
    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=_COUNTED_ROWS, columns=columns):
                yield from batch.to_pylist()
