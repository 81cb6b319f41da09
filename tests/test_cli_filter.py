"""`branching filter`: which rows stay, and that they stay as they were."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.files import BatchLimits, writers
from classifier.filtering import FilterOptions, filter_files, run
from classifier.row_stream import RowOptions
from tests.cli_runner import CommandLine
from tests.fake_scorer import (
    fake_columns,
    fake_rate,
    loader,
    names_in,
    read_lines,
    refuse_to_load,
    write_lines,
)
from tests.test_file_tables import rich_table

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


def read_any(path: Path) -> Rows:
    rows: Rows = pq.read_table(path).to_pylist() if path.suffix == ".parquet" else read_lines(path)
    return rows


@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet", "scored.jsonl", "scored.parquet"])
def test_keep_a_fraction(branching: CommandLine, tmp_path: Path, name: str, output: str) -> None:
    rows = scored(ROWS) if name.startswith("scored") else ROWS
    write_lines(tmp_path / name, rows)
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    dropped = tmp_path / "dropped.parquet"
    result = branching(
        "filter", tmp_path / name, "-o", tmp_path / output, "--keep", "0.9", "--dropped", dropped
    )
    assert result.code == 0
    keep = lowest(90)
    assert read_any(tmp_path / output) == scored([ROWS[number] for number in keep])
    others = [row for row in ROWS if row["n"] not in keep]
    assert read_any(dropped) == scored(others)
    assert len(branching.loads) == (not name.startswith("scored"))
    assert "Kept 90 of 100 rows" in result.stderr
    assert f"Highest branch rate kept: {max(RATES[number] for number in keep):.4f}" in result.stderr
    share = sum(len(row["trace"]) for row in others) / sum(len(row["trace"]) for row in ROWS)
    assert f"Dropped 10 rows with {share:.1%} of the tokens" in result.stderr


def test_keep_within_each_group(branching: CommandLine, tmp_path: Path, source: Path) -> None:
    arguments = ["--keep", "0.5", "--by", "source"]
    result = branching("filter", source, "-o", tmp_path / "out.jsonl", *arguments, "--json")
    assert result.code == 0
    even, odd = lowest(25, range(0, 100, 2)), lowest(25, range(1, 100, 2))
    assert [row["n"] for row in read_lines(tmp_path / "out.jsonl")] == sorted(even + odd)
    summary = json.loads(result.stdout)
    rates = {"a": max(RATES[n] for n in even), "b": max(RATES[n] for n in odd)}
    assert summary["rule"]["max_rates"] == rates
    counts = {"rows": 50, "kept": 25, "dropped": 25, "errors": 0}
    assert summary["selection"]["groups"] == {"a": counts, "b": counts}
    assert (summary["kept"], summary["dropped"]) == (50, 50)
    shown = branching("filter", source, "-o", tmp_path / "b.jsonl", *arguments).stderr
    assert f"  a: {rates['a']:.4f}\n  b: {rates['b']:.4f}\n" in shown


@pytest.mark.parametrize("rows", [1, 7, 256])
def test_max_rate_on_scored_lines_keeps_their_bytes(tmp_path: Path, rows: int) -> None:
    lines = [f'{{"n":{row["n"]:>4}, {json.dumps(row)[1:-1]} }}' for row in scored(ROWS)]
    source = write_lines(tmp_path / "scored.jsonl", lines)
    options = FilterOptions(max_rate=0.5, rows=RowOptions(limits=BatchLimits(rows=rows)))
    dropped = str(tmp_path / "dropped.jsonl")
    filter_files([str(source)], str(tmp_path / "out.jsonl"), refuse_to_load, options, dropped=dropped)
    kept = [line for line, rate in zip(lines, RATES, strict=True) if rate <= 0.5]
    assert (tmp_path / "out.jsonl").read_text().splitlines() == kept
    others = [line for line, rate in zip(lines, RATES, strict=True) if rate > 0.5]
    assert (tmp_path / "dropped.jsonl").read_text().splitlines() == others


def test_filtering_standard_input(branching: CommandLine) -> None:
    data = "".join(json.dumps(row) + "\n" for row in ROWS[:10]).encode()
    result = branching("filter", "-", "-o", "-", "--keep", "0.5", stdin=data)
    assert result.code == 0
    kept = [json.loads(line)["n"] for line in result.stdout.splitlines()]
    assert kept == lowest(5, range(10))


@pytest.mark.parametrize("name", ["in.jsonl", "scored.jsonl", "scored.parquet"])
@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
def test_no_scores(branching: CommandLine, tmp_path: Path, name: str, output: str) -> None:
    lines: list[str | dict[str, Any]] = [*ROWS[:10], "{oops"]
    if name == "scored.jsonl":
        lines[:10] = scored(ROWS[:10])
    source = write_lines(tmp_path / "in.jsonl", lines)
    if name.startswith("scored"):
        branching("score", source, "-o", tmp_path / name, "--overwrite-columns")
    result = branching("filter", tmp_path / name, "-o", tmp_path / output, "--keep", "0.5", "--no-scores")
    assert result.code == 1
    rows = read_any(tmp_path / output)
    expected = [ROWS[number] for number in lowest(5, range(10))]
    assert [{key: row[key] for key in row if row[key] is not None} for row in rows[:-1]] == expected
    assert {key: value for key, value in rows[-1].items() if value is not None} == {"branch_raw": "{oops"}
    assert not (tmp_path / "out.jsonl.manifest.json").exists()


BAD_ROWS: list[str | dict[str, Any]] = [{"trace": "Good."}, "{oops", {"trace": None}, {"trace": "Fine."}]


@pytest.mark.parametrize("already", [False, True])
@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_rows_without_a_score(branching: CommandLine, tmp_path: Path, policy: str, already: bool) -> None:
    source = write_lines(tmp_path / "in.jsonl", BAD_ROWS)
    if already:
        branching("score", source, "-o", tmp_path / "scored.parquet")
        source = tmp_path / "scored.parquet"
    output, others = tmp_path / "out.jsonl", tmp_path / "dropped.jsonl"
    policies = ["--keep", "1", "--on-error", policy]
    result = branching("filter", source, "-o", output, "--dropped", others, *policies)
    assert result.code == 1
    kept, dropped = read_lines(output), read_lines(others)
    assert [row["branch_error"] is None for row in kept] == (
        [True, False, False, True] if policy == "keep" else [True, True]
    )
    assert len(dropped) == (0 if policy == "keep" else 2)
    assert "Rows without a score: 2 (format 1, type 1)" in result.stderr
    assert "line 2: format" in result.stderr or "row 2: format" in result.stderr


@pytest.mark.parametrize("how", [["--keep", "0.5"], ["--max-rate", "0.5"], ["--dry-run"]])
def test_failing_on_rows_without_a_score(branching: CommandLine, tmp_path: Path, how: list[str]) -> None:
    source = write_lines(tmp_path / "in.jsonl", BAD_ROWS)
    result = branching("filter", source, "-o", tmp_path / "out.jsonl", *how, "--on-error", "fail")
    assert result.code == 1
    assert f"{source} line 2 has no score (format: not JSON" in result.stderr
    assert names_in(tmp_path) == {"in.jsonl"}


@pytest.mark.parametrize("lines", [[], ["{oops"], [{"n": 1}]])
def test_nothing_to_take_a_fraction_of(branching: CommandLine, tmp_path: Path, lines: list[Any]) -> None:
    source = write_lines(tmp_path / "in.jsonl", lines)
    result = branching("filter", source, "-o", tmp_path / "out.jsonl", "--keep", "0.5")
    assert result.code == bool(lines)
    assert len(read_lines(tmp_path / "out.jsonl")) == len(lines)
    assert "Kept" in result.stderr
    preview = branching("filter", source, "--dry-run")
    assert preview.code == bool(lines)
    assert "No row has a branch rate" in preview.stderr


def test_dry_run(branching: CommandLine, tmp_path: Path, source: Path) -> None:
    result = branching("filter", source, "--dry-run", "--keep", "0.42", "--json")
    assert result.code == 0
    preview = json.loads(result.stdout)
    assert preview["rows"] == 100
    assert [plan["keep"] for plan in preview["plans"]] == [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42]
    assert preview["tokens"] == round(sum(len(row["trace"]) for row in ROWS) / 4)
    half = preview["plans"][5]
    keep = lowest(50)
    assert (half["kept"], half["dropped"]) == (50, 50)
    assert half["max_rate"] == max(RATES[number] for number in keep)
    length = sum(len(ROWS[number]["trace"]) for number in keep)
    assert half["tokens_kept"] == round(length / 4)
    assert half["time_saved"] == pytest.approx(1 - length / sum(len(row["trace"]) for row in ROWS))
    longest = sorted(range(100), key=lambda number: -len(ROWS[number]["trace"]))[:50]
    assert half["length_overlap"] == len(set(longest) - set(keep)) / 50
    table = branching("filter", source, "--dry-run")
    assert f"{half['max_rate']:.4f}" in table.stdout
    assert "estimated at 4 characters" in table.stderr
    assert names_in(tmp_path) == {"in.jsonl"}


def test_dry_run_within_groups(branching: CommandLine, source: Path) -> None:
    result = branching("filter", source, "--dry-run", "--keep", "0.1", "--by", "source", "--json")
    last = json.loads(result.stdout)["plans"][-1]
    expected = lowest(5, range(0, 100, 2)) + lowest(5, range(1, 100, 2))
    assert (last["keep"], last["kept"]) == (0.1, 10)
    length = sum(len(ROWS[number]["trace"]) for number in expected)
    assert last["length_kept"] == length
    assert "source" not in branching("filter", source, "--dry-run").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.jsonl", "-o", "out.jsonl"], "Nothing says what to keep"),
        (["in.jsonl", "--keep", "0.5"], "No output was given"),
        (["in.jsonl", "-o", "out.jsonl", "--keep", "0.5", "--max-rate", "0.1"], "Both keep and max_rate"),
        (["in.jsonl", "-o", "out.jsonl", "--keep", "90"], "keep is 90"),
        (["in.jsonl", "-o", "out.jsonl", "--max-rate", "12"], "max_rate is 12"),
        (
            ["in.jsonl", "-o", "out.jsonl", "--max-rate", "0.5", "--by", "source"],
            "by groups the rows for keep",
        ),
        (
            ["in.jsonl", "-o", "out.jsonl", "--keep", "0.5", "--by", "sauce"],
            "line 1 has no column 'sauce'",
        ),
        (["in.jsonl", "-o", "out.jsonl", "--keep", "0.5", "--by", "lists"], "line 1 holds a list in 'lists'"),
        (
            ["in.jsonl", "-o", "out.jsonl", "--best-of", "lists"],
            "in 'lists' that does not match",
        ),
        (["in.jsonl", "-o", "out.jsonl", "--best-of", "lost"], "line 1 has no column 'lost' for --best-of"),
        (["in.jsonl", "-o", "in.jsonl", "--keep", "0.5"], "in.jsonl is an input as well"),
        (["in.jsonl", "-o", "a.jsonl", "--dropped", "./a.jsonl", "--keep", "0.5"], "give them two names"),
        (["in.jsonl", "-o", "-", "--dropped", "-", "--keep", "0.5"], "give them two names"),
        (["in.jsonl", "-o", "a.jsonl", "--dropped", "old.jsonl", "--keep", "0.5"], "old.jsonl exists"),
        (
            ["in.jsonl", "-o", "a.jsonl", "--dropped", "-", "--keep", "0.5", "--json"],
            "both write to standard",
        ),
        (
            ["in.jsonl", "scored.jsonl", "-o", "a.jsonl", "--keep", "0.5"],
            "in.jsonl has none. Score the",
        ),
        (["mixed.jsonl", "-o", "a.jsonl", "--keep", "0.5"], "mixed.jsonl line 2 has no branch_rate"),
        (["late.jsonl", "-o", "a.jsonl", "--keep", "0.5"], "late.jsonl line 2 already has the column"),
        (["odd.jsonl", "-o", "a.jsonl", "--keep", "0.5"], "line 1 has scores that scoring never writes"),
    ],
)
def test_wrong_calls(
    branching: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    unscored = {"trace": "One.", "lists": [1, 2]}
    write_lines(tmp_path / "in.jsonl", [unscored])
    write_lines(tmp_path / "old.jsonl", [])
    write_lines(tmp_path / "scored.jsonl", scored([unscored]))
    write_lines(tmp_path / "mixed.jsonl", [*scored([unscored]), unscored])
    write_lines(tmp_path / "late.jsonl", [unscored, *scored([unscored])])
    write_lines(tmp_path / "odd.jsonl", [unscored | {"branch_rate": "0.5"}])
    before = names_in(tmp_path)
    result = branching("filter", *arguments)
    assert result.code == 2
    assert message in result.stderr
    assert names_in(tmp_path) == before


def test_a_row_without_score_and_reason(branching: CommandLine, tmp_path: Path) -> None:
    rows = [*scored(ROWS[:2]), {"trace": "x", "branch_rate": None}]
    source = write_lines(tmp_path / "in.jsonl", rows)
    result = branching("filter", source, "-o", tmp_path / "out.jsonl", "--keep", "1")
    assert result.code == 1
    assert "line 3: row: the row has no score" in result.stderr


def test_a_broken_line_among_scored_ones(branching: CommandLine, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", ["{oops", *scored(ROWS[:2])])
    result = branching("filter", source, "-o", tmp_path / "out.jsonl", "--keep", "1")
    assert result.code == 1
    bad, *good = read_lines(tmp_path / "out.jsonl")
    assert bad["branch_raw"] == "{oops"
    assert bad["branch_error"].startswith("format: not JSON")
    assert good == scored(ROWS[:2])
    assert branching.loads == []


@pytest.mark.parametrize("already", [False, True])
@pytest.mark.parametrize("count", [99, 101, 110])
def test_inputs_that_change_between_the_readings(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, count: int, already: bool
) -> None:
    rows = scored(ROWS) if already else ROWS
    write_lines(source, rows)
    open_writers = run._open_writers

    def change_then_open(*arguments: Any) -> Any:
        write_lines(source, [*rows, *rows][:count])
        return open_writers(*arguments)

    monkeypatch.setattr(run, "_open_writers", change_then_open)
    options = FilterOptions(keep=0.5, rows=RowOptions(limits=BatchLimits(rows=10)))
    with pytest.raises(InputFileError, match="The inputs hold other rows than in the first reading"):
        filter_files([str(source)], str(tmp_path / "out.jsonl"), loader(), options)
    assert names_in(tmp_path) == {"in.jsonl"}


def test_scores_that_cannot_be_kept_for_the_second_reading(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, mode: str, encoding: str) -> None:
            assert (mode, encoding) == ("w+", "utf-8")

        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr("classifier.filtering.rated_rows.tempfile.TemporaryFile", Full)
    with pytest.raises(
        OutputFileError, match=r"The scores cannot be kept in .*: No space left on device.*TMPDIR"
    ):
        filter_files([str(source)], str(tmp_path / "out.jsonl"), loader(), FilterOptions(keep=0.5))
    assert names_in(tmp_path) == {"in.jsonl"}


def test_a_second_output_that_cannot_be_opened(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = writers.open_writer

    def open_one(target: Any, *arguments: Any) -> Any:
        if target.path.name == "dropped.jsonl":
            raise OutputFileError("no more files")
        return opened(target, *arguments)

    monkeypatch.setattr(run, "open_writer", open_one)
    with pytest.raises(OutputFileError, match="no more files"):
        filter_files(
            [str(source)],
            str(tmp_path / "out.parquet"),
            loader(),
            FilterOptions(keep=0.5),
            dropped=str(tmp_path / "dropped.jsonl"),
        )
    assert names_in(tmp_path) == {"in.jsonl"}


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(OptionError, match="on_error is 'skip'; expected keep, drop or fail"):
        FilterOptions(on_error="skip")


def test_many_batches(tmp_path: Path) -> None:
    traces = [f"Step {n}." for n in range(3000)]
    source = write_lines(tmp_path / "in.jsonl", [{"trace": trace} for trace in traces])
    output = tmp_path / "out.jsonl"
    summary = filter_files([str(source)], str(output), loader(), FilterOptions(max_rate=0.3))
    expected = [trace for trace in traces if fake_rate(trace) <= 0.3]
    assert [row["trace"] for row in read_lines(output)] == expected
    assert summary.selection.kept == len(expected)


def test_rich_types_pass_through(tmp_path: Path) -> None:
    table = rich_table()
    pq.write_table(table, tmp_path / "in.parquet")
    options = FilterOptions(max_rate=0.4)
    filter_files([str(tmp_path / "in.parquet")], str(tmp_path / "out.parquet"), loader(), options)
    kept = [number for number in range(600) if fake_rate(f"Step {number}.") <= 0.4]
    result = pq.read_table(tmp_path / "out.parquet").select(table.column_names)
    assert result.equals(table.take(kept))
