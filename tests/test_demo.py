"""The demo: its traces are scored when it runs, and shown."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TRACES = ROOT / "examples" / "demo" / "traces.jsonl"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def branching(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "classifier", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "scored.jsonl"
    branching("score", TRACES, "-o", output, "--steps")
    return output


def test_every_trace_gets_a_score(scored: Path) -> None:
    given, rows = read(TRACES), read(scored)
    assert len(rows) >= 20
    assert [{name: row[name] for name in given[0]} for row in rows] == given
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["branch_error"] is None
        assert 0 < row["branch_rate"] < 1
        assert 3 <= row["step_count"] == len(row["branch_steps"]) <= 15


def test_a_changed_trace_gets_another_rate(scored: Path, tmp_path: Path) -> None:
    rows = read(TRACES)
    changed = 2
    rows[changed]["trace"] += "\nWait, that can't be right.\nMaybe the leak stops at some point?"
    (tmp_path / "changed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    branching("score", tmp_path / "changed.jsonl", "-o", tmp_path / "rescored.jsonl")
    before = [row["branch_rate"] for row in read(scored)]
    after = [row["branch_rate"] for row in read(tmp_path / "rescored.jsonl")]
    assert [index for index, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]] == [
        changed
    ]


def test_the_rows_that_branch_most_are_shown_in_80_columns(scored: Path) -> None:
    command = [sys.executable, "-m", "classifier", "score", str(TRACES), "--show"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = sorted(enumerate(read(scored), start=1), key=lambda pair: -pair[1]["branch_rate"])[:10]
    first = next(number for number, line in enumerate(lines) if line.startswith("row "))
    for line, (number, row) in zip(lines[first + 1 :], rows, strict=False):
        words = line.split()
        assert words[:2] == [str(number), row["id"]]
        kinds = [0 if word == "·" else int(word) for word in words[-3:]]
        assert words[-6:-3] == [
            f"{row['branch_rate']:.3f}",
            str(row["step_count"]),
            str(row["branch_count"]),
        ]
        assert sum(kinds) == row["branch_count"]
    shown = " ".join(done.stdout.split())
    for step in rows[0][1]["branch_steps"]:
        text = " ".join(rows[0][1]["trace"][step["start"] : step["end"]].split())
        label = "" if step["kind"] == "convergent" else f"[{step['kind']} {step['probability']:.2f}] "
        assert f"{label}{text}" in shown


def test_filter_drops_the_most_branching_tenth(scored: Path, tmp_path: Path) -> None:
    kept, dropped = tmp_path / "kept.jsonl", tmp_path / "dropped.jsonl"
    branching("filter", scored, "-o", kept, "--dropped", dropped, "--keep", "0.9")
    low = [row["branch_rate"] for row in read(kept)]
    high = [row["branch_rate"] for row in read(dropped)]
    assert len(low) + len(high) == len(read(scored))
    assert len(high) == len(read(scored)) // 10
    assert max(low) <= min(high)
