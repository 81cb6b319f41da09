"""Label folders of traces by the labelling functions, and read such labels back."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import InputFileError, OptionError
from classifier.files import InputFile, find_inputs, plan_output, read_batches
from classifier.files.outputs import NewFile
from classifier.kinds import KINDS
from classifier.progress import Progress
from classifier.steps import split_steps
from training.label_table import LabelTable, label_table
from training.soft_labels import FloatArray, VoteWeights, committed_weights
from training.votes import FUNCTION_NAMES, Votes, vote_matrix

if TYPE_CHECKING:
    import pyarrow as pa

RAW_CHAIN: Final = "raw_cot"
"""The `kind` of rows that are raw chains of thought; rows of other kinds are left out."""

_ROWS_A_GROUP: Final = 64
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RawTrace:
    """One row of a trace file.

    Parameters
    ----------
    trace
        Its text.
    source, model, problem_id
        Where it comes from; empty where the row does not say.
    kind
        Whether it is a raw chain of thought; empty where the row does not say.
    """

    trace: str
    source: str
    model: str
    problem_id: str
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class VotedTrace:
    """A trace with the soft labels of its steps.

    Parameters
    ----------
    trace
        The trace.
    source, model, problem_id
        Where it comes from.
    sha256
        SHA-256 of the trace's text.
    spans
        Character offsets of its steps.
    probabilities
        Soft labels, float32 [steps, 4], in the order of `KINDS`.
    """

    trace: str
    source: str
    model: str
    problem_id: str
    sha256: str
    spans: tuple[tuple[int, int], ...]
    probabilities: FloatArray


@dataclass(slots=True)
class LabelSummary:
    """What a labelling run did.

    Parameters
    ----------
    traces, steps, characters
        What was labelled.
    other_rows
        Rows left out because they are not raw chains of thought.
    empty_traces
        Raw chains without a step, left out.
    kind_shares
        Mean soft label, by kind.
    output
        Where the labels are; empty if nothing was written.
    weights_fitted_on
        The data that the weights were fitted on.
    """

    traces: int = 0
    steps: int = 0
    characters: int = 0
    other_rows: int = 0
    empty_traces: int = 0
    kind_shares: dict[str, float] = field(default_factory=dict)
    output: str = ""
    weights_fitted_on: str = ""


def trace_sha256(trace: str) -> str:
    """Return the SHA-256 of a trace's UTF-8 text, by which it is found again."""
    return hashlib.sha256(trace.encode("utf-8", errors="surrogatepass")).hexdigest()


def read_raw_traces(
    sources: Sequence[InputFile], summary: LabelSummary | None = None, progress: Progress | None = None
) -> Iterator[RawTrace]:
    """Read the raw chains of thought of trace files.

    Parameters
    ----------
    sources
        Files whose rows have `trace` and, where known, `kind`, `source`, `model` and `problem_id`.
    summary
        Counts the rows that are left out.
    progress
        Is told about every batch read.

    Yields
    ------
    RawTrace
        Every row whose `kind` is absent or `raw_cot`.

    Raises
    ------
    InputFileError
        If a row cannot be read or has no `trace`.
    """
    for raw in read_all_traces(sources, progress):
        if raw.kind in ("", RAW_CHAIN):
            yield raw
        elif summary is not None:
            summary.other_rows += 1


def read_all_traces(sources: Sequence[InputFile], progress: Progress | None = None) -> Iterator[RawTrace]:
    """Read the traces of trace files, whatever their `kind`.

    Parameters
    ----------
    sources
        Files whose rows have `trace` and, where known, `kind`, `source`, `model` and `problem_id`.
    progress
        Is told about every batch read.

    Yields
    ------
    RawTrace
        Every row.

    Raises
    ------
    InputFileError
        If a row cannot be read or has no `trace`.
    """
    for source in sources:
        for batch in read_batches(source):
            for index, row in enumerate(batch.rows):
                place = batch.place(index)
                if not isinstance(row, dict):
                    raise InputFileError(f"{place}: {row}")
                yield _raw_trace(row, place)
            if progress is not None:
                progress.advance(batch)


def _raw_trace(row: Mapping[str, Any], place: str) -> RawTrace:
    trace = row.get("trace")
    if not isinstance(trace, str):
        raise InputFileError(
            f"{place}: expected a text column `trace` (`kind`, `source`, `model`, `problem_id` may stand "
            f"beside it), but the row has {', '.join(map(str, row)) or 'no column'}"
        )
    texts = (
        "" if row.get(key) is None else str(row[key]) for key in ("source", "model", "problem_id", "kind")
    )
    return RawTrace(trace, *texts)


def vote_traces(
    traces: Iterator[RawTrace], weights: VoteWeights, summary: LabelSummary
) -> Iterator[tuple[VotedTrace, Votes]]:
    """Label traces by the labelling functions, and count what was labelled.

    Parameters
    ----------
    traces
        The traces.
    weights
        How to weigh the votes.
    summary
        Counts the traces; complete once the traces are used up.

    Yields
    ------
    VotedTrace, Votes
        Each trace that has a step, and its vote matrix.
    """
    totals = np.zeros(len(KINDS))
    for raw in traces:
        spans = split_steps(raw.trace)
        if not spans:
            summary.empty_traces += 1
            continue
        votes = vote_matrix(raw.trace, spans)
        probabilities = weights.probabilities(votes)
        summary.traces += 1
        summary.steps += len(spans)
        summary.characters += len(raw.trace)
        totals += probabilities.sum(axis=0)
        yield (
            VotedTrace(
                trace=raw.trace,
                source=raw.source,
                model=raw.model,
                problem_id=raw.problem_id,
                sha256=trace_sha256(raw.trace),
                spans=tuple(spans),
                probabilities=probabilities,
            ),
            votes,
        )
    shares = totals / max(summary.steps, 1)
    summary.kind_shares = {kind: float(share) for kind, share in zip(KINDS, shares, strict=True)}


def label_files(
    inputs: Sequence[str],
    output: str,
    *,
    weights: VoteWeights | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> LabelSummary:
    """Label every raw chain of thought in trace files and write the labels to a Parquet file.

    The file has one row a trace: its text, where it comes from, its SHA-256, and lists of the steps'
    start and end offsets and of their four kind probabilities.

    Parameters
    ----------
    inputs
        Files, folders or patterns.
    output
        A path that ends in `.parquet`.
    weights
        How to weigh the votes; without any, those that come with the package.
    overwrite
        Whether an output that exists may be replaced.
    progress
        Shows how far the run has come.

    Returns
    -------
    LabelSummary
        What was labelled.

    Raises
    ------
    InputFileError
        If an input is missing or a row has no trace; nothing is written then.
    OutputFileError
        If the output exists or cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sources = find_inputs(inputs)
    target = plan_output(output, overwrite=overwrite, inputs=sources)
    if target.format != "parquet" or target.path is None:
        raise OptionError(f"{output}: labels are written as Parquet; give an output that ends in .parquet")
    weights = weights or committed_weights()
    summary = LabelSummary(output=output, weights_fitted_on=weights.fitted_on)
    progress = progress or Progress()
    schema = _schema()
    file = NewFile(target)
    try:
        with progress, pq.ParquetWriter(pa.PythonFile(file), schema, compression="zstd") as writer:
            progress.start("Labelling", sources)
            group: list[dict[str, Any]] = []
            traces = read_raw_traces(sources, summary, progress)
            for voted, _ in vote_traces(traces, weights, summary):
                group.append(_row(voted))
                if len(group) == _ROWS_A_GROUP:
                    writer.write_table(_table(group, schema))
                    group = []
            if group:
                writer.write_table(_table(group, schema))
        file.commit()
    finally:
        file.discard()
    return summary


def trace_table(inputs: Sequence[str], *, progress: Progress | None = None) -> LabelTable:
    """Make the table of the labelling functions on every raw chain of thought in trace files.

    Parameters
    ----------
    inputs
        Files, folders or patterns.
    progress
        Shows how far the run has come.

    Returns
    -------
    LabelTable
        Coverage, overlap and conflict; there is no accuracy without annotations.

    Raises
    ------
    InputFileError
        If an input is missing or a row has no trace.
    """
    sources = find_inputs(inputs)
    summary = LabelSummary()
    progress = progress or Progress()
    with progress:
        progress.start("Voting", sources)
        traces = read_raw_traces(sources, summary, progress)
        matrices = [votes for _, votes in vote_traces(traces, committed_weights(), summary)]
    votes = np.concatenate(matrices) if matrices else np.empty((0, len(FUNCTION_NAMES)), dtype=np.int8)
    return label_table(votes, f"{summary.traces:,} raw chains of thought")


def read_labels(path: Path | str) -> Iterator[VotedTrace]:
    """Read labels that `label_files` wrote.

    Parameters
    ----------
    path
        The Parquet file.

    Yields
    ------
    VotedTrace
        Each trace with its steps and soft labels.

    Raises
    ------
    InputFileError
        If it is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != _schema().names:
                raise InputFileError(
                    f"{path}: expected the columns {', '.join(_schema().names)} that `branching label` "
                    f"writes, but it has {', '.join(file.schema_arrow.names)}"
                )
            for batch in file.iter_batches(batch_size=_ROWS_A_GROUP):
                yield from map(_voted_trace, batch.to_pylist())
    except (OSError, pa.ArrowException) as error:
        raise InputFileError(f"{path}: the labels cannot be read ({error})") from error


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("source", pa.string()),
            ("model", pa.string()),
            ("problem_id", pa.string()),
            ("sha256", pa.string()),
            ("trace", pa.large_string()),
            ("start", pa.list_(pa.int32())),
            ("end", pa.list_(pa.int32())),
            ("probabilities", pa.list_(pa.list_(pa.float32(), len(KINDS)))),
        ]
    )


def _row(voted: VotedTrace) -> dict[str, Any]:
    return {
        "source": voted.source,
        "model": voted.model,
        "problem_id": voted.problem_id,
        "sha256": voted.sha256,
        # Arrow text is UTF-8, which has no lone surrogates; one code point for one keeps the offsets true.
        "trace": _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", voted.trace),
        "start": [start for start, _ in voted.spans],
        "end": [end for _, end in voted.spans],
        "probabilities": voted.probabilities.tolist(),
    }


def _table(rows: list[dict[str, Any]], schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=schema)


def _voted_trace(row: Mapping[str, Any]) -> VotedTrace:
    probabilities: NDArray[np.float32] = np.array(row["probabilities"], dtype=np.float32)
    return VotedTrace(
        trace=row["trace"],
        source=row["source"],
        model=row["model"],
        problem_id=row["problem_id"],
        sha256=row["sha256"],
        spans=tuple(zip(row["start"], row["end"], strict=True)),
        probabilities=probabilities,
    )
