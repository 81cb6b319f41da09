"""Unlabelled traces from files and folders in the documented schema."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from classifier.errors import InputFileError
from classifier.files import InputFile, find_inputs, read_batches
from classifier.progress import Progress

RAW_CHAIN: Final = "raw_cot"
"""The `kind` of rows that are raw chains of thought, neither summaries nor direct answers."""


@dataclass(frozen=True, slots=True)
class TraceRow:
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

    @property
    def is_raw(self) -> bool:
        """Tell whether it is a raw chain of thought, as far as the row says."""
        return self.kind in ("", RAW_CHAIN)


def read_trace_rows(sources: Sequence[InputFile], progress: Progress | None = None) -> Iterator[TraceRow]:
    """Read the traces of files, whatever their `kind`.

    Parameters
    ----------
    sources
        Files whose rows have `trace` and, where known, `kind`, `source`, `model` and `problem_id`.
    progress
        Is told about every batch read.

    Yields
    ------
    TraceRow
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
                yield _trace_row(row, place)
            if progress is not None:
                progress.advance(batch)


def read_raw_traces(paths: Sequence[Path | str]) -> list[TraceRow]:
    """Read the raw chains of thought of files and folders; empty ones are left out.

    Parameters
    ----------
    paths
        Files, folders or patterns.

    Returns
    -------
    list of TraceRow
        In the order of the files and their rows; none where no path is given.

    Raises
    ------
    InputFileError
        If a path is missing, a row cannot be read or has no `trace`.
    """
    if not paths:
        return []
    sources = find_inputs([str(path) for path in paths])
    return [row for row in read_trace_rows(sources) if row.is_raw and row.trace.strip()]


def _trace_row(row: Mapping[str, Any], place: str) -> TraceRow:
    trace = row.get("trace")
    if not isinstance(trace, str):
        raise InputFileError(
            f"{place}: expected a text column `trace` (`kind`, `source`, `model`, `problem_id` may stand "
            f"beside it), but the row has {', '.join(map(str, row)) or 'no column'}"
        )
    texts = (
        "" if row.get(key) is None else str(row[key]) for key in ("source", "model", "problem_id", "kind")
    )
    return TraceRow(trace, *texts)
