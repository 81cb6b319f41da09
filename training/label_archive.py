"""The labelled documents as offsets and kinds, without their text, and the documents rebuilt from them.

An archive has one row a labelled step. The text is not in it: whoever has the traces finds each document
again by the SHA-256 of its trace.

Write one: python -m training.label_archive train.jsonl.gz -o training/labels/gold_train.parquet
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from classifier.errors import InputFileError, OptionError
from classifier.files import find_inputs, plan_output
from classifier.files.outputs import NewFile
from classifier.kinds import KIND_CODES
from training.gold import GoldDocument, GoldStep, read_gold
from training.label_files import trace_sha256
from training.trace_files import read_trace_rows
from training.written_traces import ENDING, read_written_traces

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: Final = (
    "source",
    "model",
    "group",
    "problem_id",
    "document",
    "trace_sha256",
    "start",
    "end",
    "kind",
)
"""The columns of an archive, in order; `kind` is a code of `classifier.kinds.KIND_CODES`."""


@dataclass(frozen=True, slots=True)
class RebuiltGold:
    """Labelled documents rebuilt from an archive and traces.

    Parameters
    ----------
    documents
        Those whose trace was found, in the archive's order.
    missing
        Ids of the documents whose trace was not found.
    """

    documents: tuple[GoldDocument, ...]
    missing: tuple[str, ...]


def write_archive(documents: Iterable[GoldDocument], path: Path, *, overwrite: bool = False) -> int:
    """Write the labels of documents without their text.

    Parameters
    ----------
    documents
        Labelled documents whose steps have kinds.
    path
        The Parquet file to write.
    overwrite
        Whether a file that exists may be replaced.

    Returns
    -------
    int
        How many rows, that is steps, were written.

    Raises
    ------
    OptionError
        If a step has no kind, or two documents have the same id.
    OutputFileError
        If the file exists or cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = plan_output(str(path), overwrite=overwrite, inputs=[])
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for document in documents:
        if document.id in seen:
            raise OptionError(f"two documents have the id {document.id}; an archive needs one id a document")
        seen.add(document.id)
        rows.extend(_rows(document))
    file = NewFile(target)
    try:
        table = pa.Table.from_pylist(rows, schema=_schema())
        pq.write_table(table, pa.PythonFile(file), compression="zstd", compression_level=19)
        file.commit()
    finally:
        file.discard()
    return len(rows)


def _rows(document: GoldDocument) -> Iterable[dict[str, Any]]:
    digest = trace_sha256(document.trace)
    for step in document.steps:
        if step.kind is None:
            raise OptionError(
                f"document {document.id}: step {step.start}..{step.end} has no kind; an archive is for "
                f"steps of known kind ({', '.join(KIND_CODES)})"
            )
        values = (
            document.source,
            document.model,
            document.group,
            document.problem_id,
            document.id,
            digest,
            step.start,
            step.end,
            step.kind,
        )
        yield dict(zip(COLUMNS, values, strict=True))


def _schema() -> "pa.Schema":
    import pyarrow as pa

    numbers = {"start", "end"}
    return pa.schema([(name, pa.int32() if name in numbers else pa.string()) for name in COLUMNS])


def rebuild_gold(archive: Path, traces: Sequence[str]) -> RebuiltGold:
    """Rebuild labelled documents from an archive and the traces that it speaks of.

    Parameters
    ----------
    archive
        A Parquet file that `write_archive` wrote.
    traces
        Files, folders or patterns of trace files; rows of every `kind` are looked at.

    Returns
    -------
    RebuiltGold
        The documents whose trace was found, and the ids of the others.

    Raises
    ------
    InputFileError
        If a file cannot be read, the archive has other columns, or a step does not fit its trace.
    """
    rows = _read(archive)
    wanted = {row["trace_sha256"] for row in rows}
    texts: dict[str, str] = {}
    for raw in read_trace_rows(find_inputs(traces)):
        digest = trace_sha256(raw.trace)
        if digest in wanted:
            texts.setdefault(digest, raw.trace)
        if len(texts) == len(wanted):
            break
    documents, missing = [], []
    for name, group in groupby(rows, key=lambda row: row["document"]):
        steps = list(group)
        trace = texts.get(steps[0]["trace_sha256"])
        if trace is None:
            missing.append(name)
        else:
            documents.append(_document(steps, trace, archive))
    return RebuiltGold(tuple(documents), tuple(missing))


def read_labelled(path: Path, traces: Sequence[Path]) -> list[GoldDocument]:
    """Read labelled documents, in whichever form they are.

    Parameters
    ----------
    path
        Documents with their text as JSONL, plain or gzip; an archive of labels (`.parquet`), whose text is
        looked for in `traces`; or a file (`.txt`) or folder of traces written by hand.
    traces
        Files and folders of traces.

    Returns
    -------
    list of GoldDocument
        The documents.

    Raises
    ------
    InputFileError
        If a file cannot be read or has another schema, or the traces lack one that an archive speaks of.
    """
    if path.is_dir() or path.suffix == ENDING:
        return read_written_traces(path)
    if path.suffix != ".parquet":
        return read_gold([path])
    rebuilt = rebuild_gold(path, [str(one) for one in traces])
    if rebuilt.missing:
        raise InputFileError(
            f"{path}: the traces of {len(rebuilt.missing)} labelled documents, the first of them "
            f"{rebuilt.missing[0]}, are not among the given ones; give the traces that were labelled"
        )
    return list(rebuilt.documents)


def _read(archive: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(archive)
    except (OSError, pa.ArrowException) as error:
        raise InputFileError(f"{archive}: the label archive cannot be read ({error})") from error
    if tuple(table.column_names) != COLUMNS:
        raise InputFileError(
            f"{archive}: expected the columns {', '.join(COLUMNS)}, "
            f"but it has {', '.join(table.column_names)}"
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _document(rows: Sequence[dict[str, Any]], trace: str, archive: Path) -> GoldDocument:
    first = rows[0]
    steps = []
    for row in rows:
        start, end, kind = row["start"], row["end"], row["kind"]
        if not 0 <= start < end <= len(trace) or kind not in KIND_CODES:
            raise InputFileError(
                f"{archive}: document {first['document']}: step {start}..{end} of kind {kind!r} does not fit "
                f"its trace of {len(trace)} characters"
            )
        steps.append(GoldStep(start=start, end=end, branches=kind != "C", kind=kind))
    return GoldDocument(
        id=first["document"],
        trace=trace,
        steps=tuple(steps),
        model=first["model"],
        group=first["group"],
        problem_id=first["problem_id"],
        source=first["source"],
    )


def _main() -> None:
    import typer

    def write(
        gold: list[Path] = typer.Argument(help="Labelled documents, JSONL or .jsonl.gz."),  # noqa: B008
        output: Path = typer.Option(..., "--output", "-o", help="The Parquet file to write."),  # noqa: B008
        overwrite: bool = typer.Option(False, "--overwrite", help="Replace a file that exists."),
    ) -> None:
        """Write the labels of documents without their text."""
        typer.echo(f"{write_archive(read_gold(gold), output, overwrite=overwrite):,} steps -> {output}")

    typer.run(write)


if __name__ == "__main__":
    _main()
