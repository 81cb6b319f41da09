"""`branching filter`: rows with several traces, and scores of different models."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier.row_stream import LoadedScorer
from tests.cli_runner import CommandLine
from tests.fake_scorer import (
    fake_columns,
    fake_rate,
    loader,
    read_lines,
    write_lines,
)

Rows = list[dict[str, Any]]


@pytest.fixture
def branching(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


ROWS: Rows = [{"n": n, "source": "ab"[n % 2], "trace": f"Trace {n}. " * (n % 7 + 1)} for n in range(100)]
RATES = [fake_rate(row["trace"]) for row in ROWS]


def scored(rows: Sequence[dict[str, Any]]) -> Rows:
    return [row | fake_columns(row["trace"]) for row in rows]


def lowest(count: int, numbers: Sequence[int] = range(100)) -> list[int]:
    cut = sorted(RATES[number] for number in numbers)[count - 1]
    return [number for number in numbers if RATES[number] <= cut]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in.jsonl", ROWS)


@pytest.fixture
def scored_source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "scored.jsonl", scored(ROWS))


def read_any(path: Path) -> Rows:
    rows: Rows = pq.read_table(path).to_pylist() if path.suffix == ".parquet" else read_lines(path)
    return rows


SEVERAL: Rows = [
    {"problem": "p", "generations": ["A.", "B.", "C."], "correct": [True, True, True]},
    {"problem": "q", "generations": ["D.", "E."], "correct": [False, True]},
    {"problem": "q", "generations": ["F.", "G."], "correct": [False, False]},
    {"problem": "r", "generations": ["H."], "correct": [True]},
]


def best(texts: str) -> str:
    return min((f"{text}." for text in texts), key=fake_rate)


@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet", "scored.jsonl", "scored.parquet"])
@pytest.mark.parametrize(
    ("column", "expected"),
    [("correct", [best("ABC"), "E.", "H."]), ("problem", [best("ABC"), best("DEFG"), "H."])],
)
def test_best_of(branching: CommandLine, tmp_path: Path, name: str, column: str, expected: list[str]) -> None:
    source = write_lines(tmp_path / "in.jsonl", SEVERAL)
    pq.write_table(pa.Table.from_pylist(SEVERAL), tmp_path / "in.parquet")
    branching("score", source, "-o", tmp_path / "scored.jsonl")
    branching("score", source, "-o", tmp_path / "scored.parquet")
    result = branching(
        "filter", tmp_path / name, "-o", tmp_path / "out.parquet", "--best-of", column, "--json"
    )
    assert result.code == 0
    rows = read_any(tmp_path / "out.parquet")
    assert sorted(row["generations"][0] for row in rows) == sorted(expected)
    for row in rows:
        (text,) = row["generations"]
        assert row["branch_rates"] == [fake_rate(text)]
        assert row["branch_rate"] == fake_rate(text)
        # The counts of one trace of several cannot be told from scores that were summed.
        known = name.startswith("in") or text == "H."
        assert row["step_count"] == (1 if known else None)
    summary = json.loads(result.stdout)
    assert (summary["kept"], summary["dropped"], summary["not_best"]) == (3, 5, 5)
    shown = branching("filter", tmp_path / name, "-o", tmp_path / "b.jsonl", "--best-of", column)
    assert "Dropped as another trace is better, or none is marked correct: 5" in shown.stderr


def test_best_of_one_trace_a_row(branching: CommandLine, tmp_path: Path) -> None:
    rows = [row | {"correct": row["n"] % 3 == 0} for row in ROWS[:9]]
    source = write_lines(tmp_path / "in.jsonl", [*rows, {"correct": True}])
    arguments = ["--best-of", "correct", "--keep", "0.6"]
    assert branching("filter", source, "-o", tmp_path / "out.jsonl", *arguments).code == 1
    kept = read_lines(tmp_path / "out.jsonl")
    assert [row.get("n") for row in kept] == [*lowest(2, [0, 3, 6]), None]
    preview = json.loads(branching("filter", source, "--dry-run", "--best-of", "correct", "--json").stdout)
    assert preview["plans"][-1]["kept"] == 3


@pytest.mark.parametrize("name", ["in.jsonl", "scored.parquet"])
def test_explode(branching: CommandLine, tmp_path: Path, name: str) -> None:
    source = write_lines(tmp_path / "in.jsonl", SEVERAL)
    branching("score", source, "-o", tmp_path / "scored.parquet")
    result = branching("filter", tmp_path / name, "-o", tmp_path / "out.jsonl", "--explode", "--keep", "0.5")
    assert result.code == 0
    texts = sorted((f"{letter}." for letter in "ABCDEFGH"), key=fake_rate)[:4]
    assert [row["generations"][0] for row in read_lines(tmp_path / "out.jsonl")] == sorted(texts)
    assert "Kept 4 of 8 rows" in result.stderr


@pytest.mark.parametrize("name", ["in.jsonl", "scored.jsonl"])
def test_several_traces_ask_for_a_choice(branching: CommandLine, tmp_path: Path, name: str) -> None:
    source = write_lines(tmp_path / "in.jsonl", SEVERAL)
    branching("score", source, "-o", tmp_path / "scored.jsonl")
    result = branching("filter", tmp_path / name, "-o", tmp_path / "out.jsonl", "--keep", "0.5")
    assert result.code == 2
    assert "line 1 holds several traces" in result.stderr
    assert "--explode" in result.stderr
    assert "--best-of COLUMN" in result.stderr


def load_with(sha256: str, options: dict[str, Any]) -> LoadedScorer:
    return loader(sha256=sha256)()


def test_scores_of_different_models(branching: CommandLine, tmp_path: Path, source: Path) -> None:
    for name, sha256 in (("a", "a"), ("b", "b"), ("c", "a")):
        branching.load = partial(load_with, sha256 * 64)
        branching("score", source, "-o", tmp_path / f"{name}.parquet")
        branching("score", source, "-o", tmp_path / f"{name}.jsonl")
    output = tmp_path / "out.jsonl"
    for one, other in (("a.parquet", "b.parquet"), ("a.jsonl", "b.parquet"), ("b.jsonl", "a.jsonl")):
        names = (tmp_path / one, tmp_path / other)
        result = branching("filter", *names, "-o", output, "--keep", "0.5")
        assert result.code == 2
        assert f"{names[0]} was scored by fake 1 (fp32, SHA-256 {one[0] * 12}…)" in result.stderr
        assert "Score them with the same model" in result.stderr
        assert not output.exists()
        again = branching(
            "filter", *names, "-o", tmp_path / "out.jsonl", "--keep", "1", "--overwrite-columns"
        )
        assert again.code == 0
        assert len(read_lines(output)) == 200
        output.unlink()
    names = (tmp_path / "a.parquet", tmp_path / "c.jsonl")
    result = branching("filter", *names, "-o", tmp_path / "out.parquet", "--keep", "0.5")
    assert result.code == 0
    metadata = pq.read_schema(tmp_path / "out.parquet").metadata or {}
    provenance = json.loads(metadata[b"branching"])
    assert provenance["model"]["sha256"] == "a" * 64
    assert provenance["selection"]["keep"] == 0.5
    assert "rows" not in provenance


def test_scores_of_an_unknown_model(branching: CommandLine, tmp_path: Path, scored_source: Path) -> None:
    result = branching("filter", scored_source, "-o", tmp_path / "out.jsonl", "--max-rate", "0.5")
    assert result.code == 0
    assert f"Nothing says which model scored {scored_source}" in result.stderr
    assert json.loads((tmp_path / "out.jsonl.manifest.json").read_text())["provenance"] is None


def test_filtered_lines_know_their_model(branching: CommandLine, tmp_path: Path, source: Path) -> None:
    assert branching("filter", source, "-o", tmp_path / "out.jsonl", "--keep", "0.5").code == 0
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert manifest["rows"] == 50
    assert manifest["provenance"]["selection"]["max_rate"] == sorted(RATES)[49]
    again = branching("filter", tmp_path / "out.jsonl", "-o", tmp_path / "again.jsonl", "--keep", "0.5")
    assert "Scores by model fake 1" in again.stderr


def test_steps_of_scored_rows_are_kept(branching: CommandLine, tmp_path: Path, source: Path) -> None:
    branching("score", source, "-o", tmp_path / "steps.jsonl", "--steps")
    branching("filter", tmp_path / "steps.jsonl", "-o", tmp_path / "out.parquet", "--keep", "0.1")
    rows = read_any(tmp_path / "out.parquet")
    assert [row["n"] for row in rows] == lowest(10)
    assert all(row["branch_steps"][0]["kind"] == "restart" for row in rows)


def test_exploding_a_row_whose_score_failed(branching: CommandLine, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"generations": ["A.", ""]}, {"generations": ["B.", "C."]}])
    branching("score", source, "-o", tmp_path / "scored.jsonl")
    result = branching(
        "filter", tmp_path / "scored.jsonl", "-o", tmp_path / "o.jsonl", "--explode", "--keep", "1"
    )
    assert result.code == 1
    rows = read_lines(tmp_path / "o.jsonl")
    assert [row["generations"] for row in rows] == [["A."], [""], ["B."], ["C."]]
    assert [row["branch_rate"] for row in rows] == [None, None, fake_rate("B."), fake_rate("C.")]


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_traces_stand_where_they_stood_when_rows_were_scored(
    branching: CommandLine, tmp_path: Path, ending: str
) -> None:
    rows = [{"mine": row["trace"], "n": row["n"]} for row in ROWS[:10]]
    source = write_lines(tmp_path / "in.jsonl", rows)
    branching("score", source, "-o", tmp_path / f"scored{ending}", "--column", "mine")
    arguments = ["--keep", "0.5", "--json"]
    result = branching("filter", tmp_path / f"scored{ending}", "-o", tmp_path / "out.jsonl", *arguments)
    dropped = [len(row["trace"]) for row in ROWS[:10] if row["n"] not in lowest(5, range(10))]
    summary = json.loads(result.stdout)
    assert summary["tokens_dropped"] == round(sum(dropped) / 4)
    assert summary["selection"]["length_share_dropped"] > 0
    named = branching(
        "filter", tmp_path / f"scored{ending}", "--dry-run", "--keep", "0.5", "--json", "--column", "n"
    )
    assert json.loads(named.stdout)["tokens"] == 0


def test_alternatives_stand_where_they_stood_when_rows_were_scored(
    branching: CommandLine, tmp_path: Path
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"outs": ["A.", "B."]}, {"outs": ["C.", "D."]}])
    scored_rows = tmp_path / "scored.jsonl"
    branching("score", source, "-o", scored_rows, "--column", "outs")
    result = branching("filter", scored_rows, "-o", tmp_path / "out.jsonl", "--explode", "--keep", "0.5")
    assert "Kept 2 of 4 rows" in result.stderr
    texts = sorted((f"{letter}." for letter in "ABCD"), key=fake_rate)[:2]
    assert [row["outs"] for row in read_lines(tmp_path / "out.jsonl")] == [[text] for text in sorted(texts)]


NESTED: Rows = [{"info": {"outs": ["A.", "B."]}}, {"info": {"outs": ["C."]}}]


@pytest.mark.parametrize("name", ["in.jsonl", "scored.jsonl"])
def test_several_traces_inside_a_column(branching: CommandLine, tmp_path: Path, name: str) -> None:
    source = write_lines(tmp_path / "in.jsonl", NESTED)
    branching("score", source, "-o", tmp_path / "scored.jsonl", "--column", "info.outs")
    output = tmp_path / "out.jsonl"
    arguments = ["--keep", "0.5", "--column", "info.outs"]
    result = branching("filter", tmp_path / name, "-o", output, *arguments)
    assert result.code == 2
    assert "line 1 holds several traces" in result.stderr
    result = branching("filter", tmp_path / name, "-o", output, *arguments, "--explode")
    assert result.code == 2
    assert f"{name} line 1 holds several traces in 'info.outs', which is inside a column" in result.stderr
    assert "Copy the list to a column of its own" in result.stderr
    assert not output.exists()


def test_exploding_rows_with_one_trace_inside_a_column(branching: CommandLine, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", NESTED)
    output = tmp_path / "out.jsonl"
    arguments = ["--column", "info.outs", "--explode"]
    assert branching("score", source, "-o", output, *arguments).code == 2
    write_lines(source, NESTED[1:])
    assert branching("score", source, "-o", output, *arguments).code == 0
    assert read_lines(output)[0]["branch_rates"] == [fake_rate("C.")]


def test_a_bad_trace_among_those_of_any_column(branching: CommandLine, tmp_path: Path) -> None:
    rows: Rows = [
        {"outs": ["A.", "", "C."]},
        {"outs": [None, "D."]},
        {"outs": [[{"role": "assistant", "content": "<think>E.</think>"}], []]},
        {"outs": [{"role": "user", "content": "E."}, {"role": "user", "content": "F."}]},
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    for number, options in enumerate(([], ["--schema", "openr1"])):
        output = tmp_path / f"{number}.jsonl"
        assert branching("score", source, "-o", output, "--column", "outs", "--explode", *options).code == 1
        rates = [row["branch_rate"] for row in read_lines(output)][:7]
        assert rates == [fake_rate(text) if text else None for text in ("A.", "", "C.", "", "D.", "E.", "")]
    assert len(read_lines(tmp_path / "0.jsonl")) == 8


def test_files_scored_with_different_columns(branching: CommandLine, tmp_path: Path) -> None:
    for column in ("deep", "wide"):
        source = write_lines(tmp_path / f"{column}.in.jsonl", [{column: "A" * 40}, {column: ["B", "C" * 79]}])
        branching("score", source, "-o", tmp_path / f"{column}.jsonl", "--column", column)
    inputs = [tmp_path / "deep.jsonl", tmp_path / "wide.jsonl"]
    output = tmp_path / "out.jsonl"
    result = branching("filter", *inputs, "-o", output, "--keep", "1", "--explode", "--json")
    summary = json.loads(result.stdout)
    assert [len(row.get("deep") or row["wide"]) for row in read_lines(output)] == [40, 1, 1] * 2
    assert summary["tokens_kept"] == 2 * (40 + 1 + 79) / 4
    assert summary["without_trace"] == 0
    assert summary["provenance"]["options"]["column"] is None
    again = branching("filter", output, "-o", tmp_path / "again.jsonl", "--keep", "1")
    assert "No trace was found in 6 rows that have a score" in again.stderr
    preview = branching("filter", output, "--dry-run", "--column", "wide", "--json")
    assert json.loads(preview.stdout)["without_trace"] == 3


def test_parts_of_one_trace_are_no_alternatives(branching: CommandLine, tmp_path: Path) -> None:
    steps = ["<think>A.</think>", "<think>B.</think>"]
    source = write_lines(tmp_path / "in.jsonl", [{"completions": steps}])
    output = tmp_path / "out.jsonl"
    assert branching("score", source, "-o", output, "--column", "completions", "--explode").code == 1
    (row,) = read_lines(output)
    assert row["completions"] == steps
    assert "could be the parts of one chain of thought" in row["branch_error"]


@pytest.mark.parametrize("arguments", [[], ["--by", "source"]])
@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_dry_run_of_rows_without_a_score(
    branching: CommandLine, tmp_path: Path, policy: str, arguments: list[str]
) -> None:
    rows: Rows = [*ROWS[:8], *({"trace": "", "source": source} for source in "ab")]
    source = write_lines(tmp_path / "in.jsonl", rows)
    options = ["--on-error", policy, "--keep", "0.5", "--json", *arguments]
    (plan,) = (
        plan
        for plan in json.loads(branching("filter", source, "--dry-run", *options).stdout)["plans"]
        if plan["keep"] == 0.5
    )
    summary = json.loads(branching("filter", source, "-o", tmp_path / "out.jsonl", *options).stdout)
    assert (summary["kept"], summary["dropped"]) == ((6, 4) if policy == "keep" else (4, 6))
    for name in ("kept", "dropped", "tokens_kept", "tokens_dropped"):
        assert plan[name] == summary[name]


def test_dry_run_shows_fractions_only(branching: CommandLine, source: Path) -> None:
    result = branching("filter", source, "--dry-run", "--max-rate", "0.5")
    assert result.code == 2
    assert "max_rate is 0.5, and a dry run shows what fractions to keep would do" in result.stderr
    assert branching.loads == []


def test_rows_without_a_score_are_counted_in_their_group(branching: CommandLine, tmp_path: Path) -> None:
    rows: list[Any] = [
        {"trace": "A.", "g": "a"},
        {"trace": None, "g": "a"},
        {"trace": None, "g": []},
        {"trace": None},
        "{oops",
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    result = branching("filter", source, "-o", tmp_path / "out.jsonl", "--keep", "0.5", "--by", "g", "--json")
    assert json.loads(result.stdout)["selection"]["groups"] == {
        "a": {"rows": 2, "kept": 2, "dropped": 0, "errors": 1},
        "null": {"rows": 3, "kept": 3, "dropped": 0, "errors": 3},
    }
