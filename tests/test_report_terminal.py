"""Reports and scored traces in the terminal: in 80 columns, with and without colour."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from classifier.report.palette import KIND_STYLES
from classifier.report.samples import sample_of
from classifier.report.terminal import coloured_trace
from classifier.row_stream import RowOptions
from tests.cli_runner import CommandLine
from tests.fake_scorer import FakeRowScorer, loader, read_lines, write_lines
from tests.scored_files import failed_row, plain_row, scored_row, write_parquet, write_scored_lines


@pytest.fixture
def branching(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


def rendered(row: dict[str, Any], **options: Any) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", **options)
    console.print(coloured_trace(sample_of("row", row, RowOptions())))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def rows(count: int = 25) -> list[dict[str, Any]]:
    return [
        scored_row(
            [("A step.", 0.1, "convergent"), ("Another.", 0.5 + number / 100, "restart")],
            source=f"a source with a very long name that does not fit {number % 13}",
            id=number,
        )
        for number in range(count)
    ]


def test_report_fits_into_80_columns(branching: CommandLine, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "scored.parquet", [*rows(), failed_row("empty: nothing", source="x")])
    done = branching("report", path)
    assert done.code == 1
    assert max(map(len, done.stdout.splitlines())) <= 80
    for said in (
        "rows",
        "without a score",
        "mean rate",
        "█",
        "keep",
        "90%",
        "rank correlation",
        "more on the page",
    ):
        assert said in done.stdout
    assert "\x1b" not in done.stdout


def test_report_as_json(branching: CommandLine, tmp_path: Path) -> None:
    done = branching("report", write_parquet(tmp_path / "scored.parquet", rows()), "--json")
    assert done.code == 0
    assert json.loads(done.stdout)["rows"] == 25


def test_report_without_rates(branching: CommandLine, tmp_path: Path) -> None:
    done = branching("report", write_scored_lines(tmp_path / "scored.jsonl", [failed_row("empty: nothing")]))
    assert done.code == 1
    assert "nothing to show" in done.stdout


def test_comparison(branching: CommandLine, tmp_path: Path) -> None:
    left = write_parquet(tmp_path / "a.parquet", [plain_row(0.1, problem=1), plain_row(0.2, problem=2)])
    right = write_parquet(tmp_path / "b.parquet", [plain_row(0.3, problem=1), plain_row(0.4, problem=2)])
    done = branching("report", left, "--compare", right, "--pair-by", "problem")
    assert done.code == 0
    assert "On the 2 problems in both" in done.stdout
    assert "+0.200" in done.stdout
    as_json = branching("report", left, "--compare", right, "--pair-by", "problem", "--json")
    assert json.loads(as_json.stdout)["pairs"]["mean_difference"] == pytest.approx(0.2)


def test_wrong_calls(branching: CommandLine, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [{"trace": "Not scored."}])
    done = branching("report", path)
    assert done.code == 2
    assert "has no scores" in done.stderr


def test_steps_have_colours_and_kinds_in_words() -> None:
    row = scored_row([("So far.", 0.1, "convergent"), ("No, wrong.", 0.9, "backtrack")])
    shown = rendered(row, no_color=False)
    assert "[backtrack 0.90]" in shown
    assert KIND_STYLES["backtrack"] == "bold red"
    assert "\x1b[1;31mNo, wrong." in shown
    without = rendered(row, no_color=True)
    assert "[backtrack 0.90]" in without
    assert "31m" not in without


def test_traces_cannot_steer_the_terminal() -> None:
    row = scored_row(
        [("Clear \x1b[2J the\x07 screen.", 0.9, "restart"), ("\x9b31m \u202e", 0.1, "convergent")]
    )
    shown = rendered(row, no_color=True)
    assert "\x1b[2J" not in shown
    assert not set("\x07\x9b\u202e") & set(shown)


def test_columns_cannot_steer_the_terminal(branching: CommandLine, tmp_path: Path) -> None:
    steering = "a\x1b[2J\x07\u202eb"
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "One.", "id": steering}])
    shown = branching("score", source, "--show")
    path = write_scored_lines(tmp_path / "scored.jsonl", [plain_row(0.1, **{steering: steering})] * 2)
    report = branching("report", path, "--by", steering)
    compared = branching("report", path, "--compare", path, "--pair-by", steering)
    assert (shown.code, report.code, compared.code) == (0, 0, 0)
    for done in (shown, report, compared):
        assert not set("\x1b\x07\u202e") & set(done.stdout + done.stderr)
    assert "a�[2J��b" in shown.stdout
    assert report.stdout.count("a�[2J��b") == 2


def test_markup_in_traces_is_text(branching: CommandLine, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "[bold]x[/bold] [/nothing]", "id": "[red]"}])
    done = branching("score", source, "--show")
    assert done.code == 0, done.stderr
    assert "[bold]x[/bold] [/nothing]" in done.stdout
    assert "[red]" in done.stdout


def test_score_and_show_without_an_output(branching: CommandLine, tmp_path: Path) -> None:
    lines = [{"trace": "word " * length, "id": f"t{length}"} for length in range(1, 30)]
    source = write_lines(tmp_path / "in.jsonl", [*lines, {"trace": ""}])
    done = branching("score", source, "--show")
    assert done.code == 1
    assert "The 10 rows that branch most, of 29" in done.stdout
    assert "Rows without a score: 1" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert branching.loads[-1]["steps"] is True
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


def test_one_trace_is_shown_alone(branching: CommandLine) -> None:
    done = branching("score", "-", "--show", stdin=b'{"trace": "Only this one."}\n')
    assert done.code == 0
    assert "[restart 0.50] Only this one." in done.stdout
    assert "branch rate" not in done.stdout


def test_nothing_scored_shows_nothing(branching: CommandLine) -> None:
    done = branching("score", "-", "--show", stdin=b'{"trace": ""}\n')
    assert done.code == 1
    assert done.stdout == ""


def test_an_output_does_not_depend_on_showing(branching: CommandLine, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "One."}, {"trace": "And two."}])
    branching("score", source, "-o", tmp_path / "plain.parquet")
    shown = branching("score", source, "-o", tmp_path / "shown.parquet", "--show")
    assert "Scored 2 of 2 rows" in shown.stderr
    assert "The 2 rows that branch most" in shown.stdout
    assert (tmp_path / "plain.parquet").read_bytes() == (tmp_path / "shown.parquet").read_bytes()
    branching("score", source, "-o", tmp_path / "steps.jsonl", "--show", "--steps")
    assert all(len(row["branch_steps"]) == 1 for row in read_lines(tmp_path / "steps.jsonl"))


@pytest.mark.parametrize("steps", [[], ["--steps"]])
def test_a_run_that_goes_on_shows_what_was_scored_before(
    branching: CommandLine, tmp_path: Path, steps: list[str]
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": f"Step {n}."} for n in range(600)])
    whole = branching("score", source, "-o", tmp_path / "whole.jsonl", "--show", *steps)
    usual = branching.load
    stopped: list[int] = []

    class Stopping(FakeRowScorer):
        def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
            if stopped:
                raise KeyboardInterrupt
            stopped.append(len(rows))
            return super().score_rows(rows)

    branching.load = lambda options: loader(Stopping(steps=options["steps"]))()
    assert branching("score", source, "-o", tmp_path / "out.jsonl", "--show", *steps).code == 130
    assert stopped == [256]
    branching.load = usual
    again = branching("score", source, "-o", tmp_path / "out.jsonl", "--show", *steps)
    assert "256 rows were scored before" in again.stderr
    assert again.stdout == whole.stdout


def test_what_cannot_be_shown(branching: CommandLine, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "One."}])
    assert "both write to standard output" in branching("score", source, "--show", "--json").stderr
    assert "both write to standard output" in branching("score", source, "--show", "-o", "-").stderr
    done = branching("score", source)
    assert done.code == 2
    assert "--show" in done.stderr
    branching("score", source, "-o", tmp_path / "scored.parquet")
    again = branching("score", tmp_path / "scored.parquet", "--show")
    assert again.code == 2
    assert "--overwrite-columns" in again.stderr
    assert branching("score", tmp_path / "scored.parquet", "--show", "--overwrite-columns").code == 0
    assert read_lines(source) == [{"trace": "One."}]
