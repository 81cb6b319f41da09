"""The demo: its traces are scored when it runs, and shown."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TRACES = ROOT / "examples" / "demo" / "traces.jsonl"
SHOW = ROOT / "examples" / "demo" / "show.py"


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


def test_the_table_shows_every_trace_in_80_columns(scored: Path) -> None:
    done = subprocess.run([sys.executable, SHOW, scored], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = sorted(read(scored), key=lambda row: -row["branch_rate"])
    shown = [line.split() for line in lines[2 : 2 + len(rows)]]
    assert [words[0] for words in shown] == [row["id"] for row in rows]
    for words, row in zip(shown, rows, strict=True):
        rate, steps, branches, *kinds = words[-6:]
        assert (rate, steps, branches) == (
            f"{row['branch_rate']:.3f}",
            str(row["step_count"]),
            str(row["branch_count"]),
        )
        assert sum(0 if count == "·" else int(count) for count in kinds) == row["branch_count"]
    most_branching = " ".join(done.stdout.split())
    assert f"The steps of “{rows[0]['id']}”" in most_branching


def test_filter_drops_the_most_branching_tenth(scored: Path, tmp_path: Path) -> None:
    kept, dropped = tmp_path / "kept.jsonl", tmp_path / "dropped.jsonl"
    branching("filter", scored, "-o", kept, "--dropped", dropped, "--keep", "0.9")
    low = [row["branch_rate"] for row in read(kept)]
    high = [row["branch_rate"] for row in read(dropped)]
    assert len(low) + len(high) == len(read(scored))
    assert len(high) == len(read(scored)) // 10
    assert max(low) <= min(high)
