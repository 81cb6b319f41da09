"""Rows in, score columns out: the four columns that every path adds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

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

    def __call__(self, batch: Mapping[str, Sequence[object]]) -> Any:
        """Score a batch of columns, as `datasets.Dataset.map(..., batched=True)` passes it.

        Parameters
        ----------
        batch
            Column name to values, all of one length.

        Returns
        -------
        dict or pyarrow.Table
            The score columns, for a `datasets` batch together with its own columns so that the types of the
            score columns hold even where a whole batch is null.
        """
        names = list(batch)
        rows = [dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        scored = self.score_rows(rows)
        if hasattr(batch, "pa_table"):
            from classifier.adapters.datasets import append_columns

            return append_columns(batch.pa_table, scored)
        added = list(SCORE_COLUMNS)
        added += [name for name in (RATES, STEPS) if any(name in row for row in scored)]
        return {name: [row.get(name) for row in scored] for name in added}

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
