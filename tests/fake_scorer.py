"""A row scorer that costs nothing: a trace's rate follows from its text alone."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from classifier.batch import ScoreOptions, ScoreSummary, score_files
from classifier.errors import RowError
from classifier.row_stream import LoadedScorer
from classifier.traces import read_traces


def fake_rate(text: str) -> float:
    """Return the rate that the fake scorer gives a text."""
    return crc32(text.encode("utf-8", "surrogatepass")) % 1000 / 999


def fake_columns(text: str) -> dict[str, Any]:
    """Return the columns that the fake scorer adds to a row with one trace."""
    rate, steps = fake_rate(text), len(text.split())
    return {
        "branch_rate": rate,
        "branch_count": round(rate * steps),
        "step_count": steps,
        "branch_error": None,
    }


class FakeRowScorer:
    """Scores rows by arithmetic, and remembers the sizes of its batches."""

    def __init__(self, *, steps: bool = False, schema: str | None = None, column: str | None = None) -> None:
        self.steps = steps
        self.schema = schema
        self.column = column
        self.batches: list[int] = []

    def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
        """Score rows as `classifier.columns.RowScorer` does."""
        self.batches.append(len(rows))
        return [self._score(row) for row in rows]

    def _score(self, row: object) -> dict[str, Any]:
        try:
            if isinstance(row, RowError):
                raise row
            found = read_traces(row, schema=self.schema, column=self.column)
        except RowError as error:
            columns: dict[str, Any] = {
                "branch_rate": None,
                "branch_count": None,
                "step_count": None,
                "branch_error": error.column_text,
            }
            return columns | ({"branch_steps": None} if self.steps else {})
        scores = [fake_columns(trace.text) for trace in found.traces]
        columns = {
            "branch_rate": sum(score["branch_rate"] for score in scores) / len(scores),
            "branch_count": sum(score["branch_count"] for score in scores),
            "step_count": sum(score["step_count"] for score in scores),
            "branch_error": None,
        }
        if found.several:
            columns["branch_rates"] = [score["branch_rate"] for score in scores]
        if self.steps:
            end = len(found.traces[0].text)
            columns["branch_steps"] = [{"start": 0, "end": end, "probability": 0.5, "kind": "restart"}]
        return columns


def loader(
    scorer: FakeRowScorer | None = None, *, sha256: str = "a" * 64, name: str = "fake"
) -> Callable[[], LoadedScorer]:
    """Make a function that returns a loaded scorer."""
    used = scorer or FakeRowScorer()
    provenance = {
        "model": {"name": name, "version": "1", "sha256": sha256, "precision": "fp32"},
        "package_version": "0",
        "threshold": 0.5,
        "provider": "FakeProvider",
        "options": {"schema": used.schema, "column": used.column, "steps": used.steps},
    }
    return lambda: LoadedScorer(used, provenance)


def write_lines(path: Path, lines: Iterable[str | dict[str, Any]]) -> Path:
    """Write JSON lines; texts go in as they are."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def refuse_to_load() -> LoadedScorer:
    """Stand for a model that must not be needed."""
    raise AssertionError("the model was loaded")


def score(inputs: Sequence[Path | str], output: Path | str, **options: Any) -> ScoreSummary:
    """Score files with the fake scorer."""
    return score_files([str(one) for one in inputs], str(output), loader(), ScoreOptions(**options))


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in a folder."""
    return {path.name for path in folder.iterdir()}
