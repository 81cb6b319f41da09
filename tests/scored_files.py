"""Scored files made by hand, for tests of reports."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from classifier.columns import COLUMN_TYPES
from tests.fake_scorer import write_lines

PROVENANCE = {
    "model": {"name": "fake", "version": "1", "sha256": "a" * 64, "precision": "fp32"},
    "package_version": "0",
    "options": {"schema": None, "column": None, "steps": True},
}
THRESHOLD = 0.5


def scored_row(
    steps: Sequence[tuple[str, float, str]], *, with_steps: bool = True, **columns: Any
) -> dict[str, Any]:
    """Make a scored row of steps, each a text with its probability and its kind."""
    texts = [text for text, _, _ in steps]
    start, spans = 0, []
    for text in texts:
        spans.append((start, start + len(text)))
        start += len(text) + 1
    row: dict[str, Any] = {
        **columns,
        "trace": " ".join(texts),
        "branch_rate": sum(probability for _, probability, _ in steps) / len(steps),
        "branch_count": sum(probability >= THRESHOLD for _, probability, _ in steps),
        "step_count": len(steps),
        "branch_error": None,
    }
    if with_steps:
        row["branch_steps"] = [
            {"start": first, "end": end, "probability": probability, "kind": kind}
            for (first, end), (_, probability, kind) in zip(spans, steps, strict=True)
        ]
    return row


def plain_row(rate: float, *, trace: str = "One step of a trace.", **columns: Any) -> dict[str, Any]:
    """Make a scored row without its steps."""
    return {
        **columns,
        "trace": trace,
        "branch_rate": rate,
        "branch_count": round(10 * rate),
        "step_count": 10,
        "branch_error": None,
    }


def failed_row(error: str, **columns: Any) -> dict[str, Any]:
    """Make a row that could not be scored."""
    scores = dict.fromkeys(("branch_rate", "branch_count", "step_count"))
    return {**columns, "trace": None, **scores, "branch_error": error}


def write_parquet(path: Path, rows: Iterable[dict[str, Any]], provenance: Any = PROVENANCE) -> Path:
    """Write scored rows as `branching score` does."""
    table = pa.Table.from_pylist(list(rows))
    for name, wanted in COLUMN_TYPES.items():
        if name in table.column_names:
            at = table.column_names.index(name)
            table = table.set_column(at, name, table.column(name).cast(wanted))
    metadata = None if provenance is None else {b"branching": json.dumps(provenance).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=7)
    return path


def write_scored_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write scored rows as JSON lines, beside them what scored them."""
    write_lines(path, list(rows))
    beside = path.with_name(path.name + ".manifest.json")
    beside.write_text(json.dumps({"provenance": PROVENANCE, "bytes": path.stat().st_size}), encoding="utf-8")
    return path
