"""Label folders of traces by the labelling functions, and read such labels back."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import InputFileError, OptionError
from classifier.files import find_inputs, plan_output
from classifier.files.outputs import NewFile
from classifier.kinds import KINDS
from classifier.progress import Progress
from classifier.steps import split_steps
from classifier.surrogates import without_surrogates
from training.label_table import LabelTable, label_table
from training.soft_labels import FloatArray, VoteWeights, committed_weights
from training.trace_files import TraceRow, read_trace_rows
from training.votes import FUNCTION_NAMES, Votes, vote_matrix

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_GROUP: Final = 64


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


def vote_traces(
    traces: Iterator[TraceRow], weights: VoteWeights, summary: LabelSummary
) -> Iterator[tuple[VotedTrace, Votes]]:
    """Label traces by the labelling functions, and count what was labelled.

    Parameters
    ----------
    traces
        The rows; those that are not raw chains of thought are left out.
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
        if not raw.is_raw:
            summary.other_rows += 1
            continue
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
            for voted, _ in vote_traces(read_trace_rows(sources, progress), weights, summary):
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
        traces = read_trace_rows(sources, progress)
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
        "trace": without_surrogates(voted.trace),
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
