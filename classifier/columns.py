"""Rows in, score columns out: the four columns that every path adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import pyarrow as pa

from classifier.errors import RowError
from classifier.scorer import StepScore
from classifier.traces import read_traces

RATE, COUNT, STEP_COUNT, ERROR = "branch_rate", "branch_count", "step_count", "branch_error"
RATES, STEPS = "branch_rates", "branch_steps"
SCORE_COLUMNS = (RATE, COUNT, STEP_COUNT, ERROR)
"""The columns that every path adds; `branch_rates` joins them for rows of several traces."""

COLUMN_TYPES: dict[str, pa.DataType] = {
    "branch_rate": pa.float64(),
    "branch_count": pa.int32(),
    "step_count": pa.int32(),
    "branch_error": pa.string(),
    "branch_rates": pa.list_(pa.float64()),
    "branch_steps": pa.list_(
        pa.struct(
            [("start", pa.int32()), ("end", pa.int32()), ("probability", pa.float32()), ("kind", pa.string())]
        )
    ),
}
"""The type of each column that scoring adds, on every path."""


class Score(Protocol):
    """The score of one trace, as `classifier.scorer.TraceScore` is."""

    @property
    def branch_rate(self) -> float:
        """Return the mean probability over the steps."""

    @property
    def branch_count(self) -> int:
        """Return the number of steps that branch."""

    @property
    def step_count(self) -> int:
        """Return the number of steps."""

    @property
    def steps(self) -> Sequence[StepScore]:
        """Return every step with its probability and kind."""


class ScoresTraces(Protocol):
    """Scores traces, as `classifier.BranchScorer` and `classifier.client.ScoringClient` do."""

    def score_batch_or_errors(self, traces: Iterable[object]) -> Sequence[Score | RowError]:
        """Return the score or the error of each trace, in order."""


class RowScorer:
    """Adds the score columns to rows of any known schema.

    Parameters
    ----------
    scorer
        Scores the traces.
    column
        The column that holds the trace or messages; found by itself by default.
    schema
        The schema of the rows; found by itself by default.
    steps
        Whether to add `branch_steps` too.
    """

    def __init__(
        self,
        scorer: ScoresTraces,
        *,
        column: str | None = None,
        schema: str | None = None,
        steps: bool = False,
    ) -> None:
        self.scorer = scorer
        self.column = column
        self.schema = schema
        self.steps = steps

    def __call__(self, batch: Mapping[str, Sequence[object]] | pa.Table) -> Any:
        """Score a batch of columns, as `datasets.Dataset.map(..., batched=True)` or Ray Data pass it.

        Parameters
        ----------
        batch
            Column name to values, all of one length; or an Arrow table.

        Returns
        -------
        dict or pyarrow.Table
            The score columns; for an Arrow table the table with them, of fixed types. To a batch of a
            `datasets.Dataset` they are added in place, and nothing is returned.
        """
        if isinstance(batch, pa.Table):
            from classifier.files.table_inputs import table_rows

            return with_score_columns(batch, self.score_arrays(table_rows(batch), batch.schema))
        names = list(batch)
        rows = [dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        if hasattr(batch, "pa_table"):
            # Values that a function returns lose their type where all are null; a batch that is changed in
            # place keeps Arrow arrays as they are.
            cast("dict[str, Any]", batch).update(self.score_arrays(rows, batch.pa_table.schema))
            return {}
        scored = self.score_rows(rows)
        added = list(SCORE_COLUMNS)
        added += [name for name in (RATES, STEPS) if any(name in row for row in scored)]
        return {name: [row.get(name) for row in scored] for name in added}

    def score_arrays(self, rows: Sequence[object], schema: pa.Schema) -> dict[str, pa.Array[Any]]:
        """Score rows of a table.

        Parameters
        ----------
        rows
            As for `score_rows`.
        schema
            The table's columns: where they may hold several traces a row, `branch_rates` is always there, so
            that all batches of a table get the same columns.

        Returns
        -------
        dict of pyarrow.Array
            The score columns, of the types in `COLUMN_TYPES`.
        """
        scored = self.score_rows(rows)
        added = list(SCORE_COLUMNS)
        if may_hold_several(schema, self.column, self.schema) or any(RATES in row for row in scored):
            added.append(RATES)
        added += [STEPS] if self.steps else []
        return {name: pa.array([row.get(name) for row in scored], COLUMN_TYPES[name]) for name in added}

    def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
        """Score rows.

        Parameters
        ----------
        rows
            Mappings or strings; a RowError in place of a row stands for one that could not be parsed.

        Returns
        -------
        list of dict
            For each row, in order, the columns to add. `branch_rates` is there where the row's schema holds
            several traces, `branch_steps` where `steps` was asked for.
        """
        traces: list[str] = []
        plans: list[RowError | tuple[slice, bool]] = []
        for row in rows:
            try:
                if isinstance(row, RowError):
                    raise row
                found = read_traces(row, schema=self.schema, column=self.column)
            except RowError as error:
                plans.append(error)
            else:
                plans.append((slice(len(traces), len(traces) + len(found.traces)), found.several))
                traces.extend(trace.text for trace in found.traces)
        scores = self.scorer.score_batch_or_errors(traces)
        return [
            _error_columns(plan, self.steps)
            if isinstance(plan, RowError)
            else _score_columns(scores[plan[0]], several=plan[1], steps=self.steps)
            for plan in plans
        ]


def with_score_columns(table: pa.Table, columns: Mapping[str, pa.Array[Any]]) -> pa.Table:
    """Return a table with the score columns at its end, in place of earlier ones."""
    table = table.drop_columns([name for name in columns if name in table.column_names])
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


def may_hold_several(table: pa.Schema, column: str | None = None, schema: str | None = None) -> bool:
    """Tell from a table's types whether its rows may hold several traces each.

    Parameters
    ----------
    table
        The columns of the table.
    column, schema
        How its rows are read, as for `RowScorer`.
    """
    name = column or "generations"
    kind = _type_at(table, name)
    if schema not in (None, "openr1") or kind is None:
        return False
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    return name == "generations" or schema == "openr1" or not pa.types.is_struct(kind.value_type)


def _type_at(schema: pa.Schema, path: str) -> pa.DataType | None:
    """Return the type of a column, or of the field inside structs that a path with dots names."""
    if path in schema.names:
        found: pa.DataType = schema.field(path).type
        return found
    kind: pa.DataType | None = pa.struct(list(schema))
    for name in path.split("."):
        if not isinstance(kind, pa.StructType) or kind.get_field_index(name) < 0:
            return None
        kind = kind.field(name).type
    return kind


def _score_columns(scores: Sequence[Score | RowError], *, several: bool, steps: bool) -> dict[str, Any]:
    good: list[Score] = []
    for index, score in enumerate(scores):
        if isinstance(score, RowError):
            if several:
                score = type(score)(f"trace {index} of {len(scores)}: {score}")
            return _error_columns(score, steps)
        good.append(score)
    columns: dict[str, Any] = {
        RATE: sum(score.branch_rate for score in good) / len(good),
        COUNT: sum(score.branch_count for score in good),
        STEP_COUNT: sum(score.step_count for score in good),
        ERROR: None,
    }
    if several:
        columns[RATES] = [score.branch_rate for score in good]
    if steps:
        columns[STEPS] = [
            {"start": step.start, "end": step.end, "probability": step.probability, "kind": step.kind}
            for score in good
            for step in score.steps
        ]
    return columns


def _error_columns(error: RowError, steps: bool) -> dict[str, Any]:
    columns: dict[str, Any] = {RATE: None, COUNT: None, STEP_COUNT: None, ERROR: error.column_text}
    if steps:
        columns[STEPS] = None
    return columns
