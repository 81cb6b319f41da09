"""The numbers of a report: read from files, added up, compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from classifier.errors import InputFileError, OptionError
from classifier.files import BatchLimits, find_inputs
from classifier.kinds import KINDS
from classifier.progress import Progress
from classifier.report import ReportOptions, report_files
from classifier.report.aggregate import NO_LABEL, Aggregate, aggregate
from classifier.report.figures import (
    SHOWN_GROUPS,
    group_figures,
    keep_plans,
    length_figures,
    rank_correlation,
    rate_histogram,
)
from classifier.report.samples import read_samples, sample_of
from classifier.report.words import facts
from classifier.row_stream import RowOptions
from tests.scored_files import (
    failed_row,
    plain_row,
    scored_row,
    write_parquet,
    write_scored_lines,
)

ROWS = [
    scored_row(
        [("First.", 0.1, "convergent"), ("No, wrong.", 0.9, "backtrack")], source="a", model="m", problem=1
    ),
    scored_row([("Only.", 0.2, "convergent")], source="b", model=None, problem=2),
    scored_row(
        [("One.", 0.0, "convergent"), ("Or two.", 0.7, "alternative"), ("Again.", 0.8, "restart")],
        source="a",
        model="m",
        problem=3,
    ),
    failed_row("empty: the trace is empty", source="b", model="m", problem=4),
]


def read(path: Path, **options: Any) -> Aggregate:
    return aggregate(find_inputs([str(path)]), ReportOptions(**options), Progress())


@pytest.mark.parametrize("write", [write_parquet, write_scored_lines])
def test_rows_add_up(tmp_path: Path, write: Any) -> None:
    name = "scored.parquet" if write is write_parquet else "scored.jsonl"
    found = read(write(tmp_path / name, ROWS))
    assert found.rows == 4
    np.testing.assert_allclose(found.rates, [0.5, 0.2, 0.5, np.nan])
    np.testing.assert_array_equal(found.branch_counts, [1, 0, 2, 0])
    np.testing.assert_array_equal(found.step_counts, [2, 1, 3, 0])
    np.testing.assert_array_equal(found.lengths, [17, 5, 19, 0])
    assert found.errors == {"empty": 1}
    assert found.first_errors[0]["error"] == "empty: the trace is empty"
    assert [labels.column for labels in found.groups] == ["source", "model"]
    assert found.groups[0].names == ["a", "b"]
    assert found.groups[1].names == ["m", NO_LABEL]
    np.testing.assert_array_equal(found.groups[0].codes, [0, 1, 0, 1])
    assert found.steps is not None
    assert found.kinds is not None
    np.testing.assert_array_equal(found.kinds, [[1, 0, 1, 0], [1, 0, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(found.kinds.sum(axis=0), found.steps.kinds.sum(axis=0))
    # Two steps stand in the middles of halves, one in the middle, three in the middles of thirds.
    places = {(int(part), KINDS[kind]) for part, kind in np.argwhere(found.steps.kinds)}
    assert places == {
        (2, "convergent"),
        (7, "backtrack"),
        (5, "convergent"),
        (1, "convergent"),
        (5, "alternative"),
        (8, "restart"),
    }
    np.testing.assert_allclose(found.steps.probability[[1, 2, 5, 7, 8]], [0.0, 0.1, 0.9, 0.9, 0.8], atol=1e-6)


def test_positions_of_steps_of_several_traces_in_a_row(tmp_path: Path) -> None:
    row = {
        **scored_row([("Ab.", 0.1, "convergent"), ("Cd.", 0.9, "restart")]),
        "generations": ["Ab. Cd.", "Ab. Cd."],
    }
    del row["trace"]
    row["branch_steps"] = row["branch_steps"] * 2
    found = read(write_parquet(tmp_path / "scored.parquet", [row]))
    assert found.steps is not None
    assert np.flatnonzero(found.steps.kinds[:, KINDS.index("restart")]).tolist() == [7]
    np.testing.assert_array_equal(found.lengths, [14])


def test_a_trace_of_one_step_and_another_trace(tmp_path: Path) -> None:
    row = {
        **scored_row([("Add.", 0.1, "convergent"), ("Or wait.", 0.9, "restart")]),
        "generations": ["x = 4.", "Add. Or wait."],
    }
    del row["trace"]
    row["branch_steps"].insert(0, {"start": 0, "end": 6, "probability": 0.2, "kind": "convergent"})
    found = read(write_parquet(tmp_path / "scored.parquet", [row]))
    assert found.steps is not None
    assert [place for place, *_ in np.argwhere(found.steps.kinds).tolist()] == [2, 5, 7]
    shown = sample_of("row", row, RowOptions()).traces
    assert [[(piece.text, piece.kind) for piece in trace if piece.kind] for trace in shown] == [
        [("x = 4.", "convergent")],
        [("Add.", "convergent"), ("Or wait.", "restart")],
    ]


def test_files_without_steps_or_rates(tmp_path: Path) -> None:
    found = read(write_parquet(tmp_path / "plain.parquet", [plain_row(0.1), plain_row(0.2)]))
    assert found.steps is None
    assert found.kinds is None
    failed = read(write_scored_lines(tmp_path / "failed.jsonl", [failed_row("empty: nothing")] * 2))
    assert keep_plans(failed) == []
    assert len(failed.scored) == 0


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert read(tmp_path / "empty.jsonl").rows == 0
    assert read(tmp_path / "empty.jsonl", by=("source",)).groups == []
    (tmp_path / "empty.jsonl").write_text("{oops\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"no column 'source' for --by \(columns: none\)"):
        read(tmp_path / "empty.jsonl", by=("source",))


def test_lines_that_cannot_be_read_are_rows_without_a_score(tmp_path: Path) -> None:
    path = tmp_path / "scored.jsonl"
    path.write_text(json.dumps(plain_row(0.3)) + "\n{oops\n", encoding="utf-8")
    found = read(path)
    assert found.rows == 2
    assert found.errors == {"format": 1}


def test_rank_correlation_is_spearmans() -> None:
    generator = np.random.default_rng(5)
    left = generator.integers(0, 12, 200).astype(float)
    right = left + generator.normal(0, 4, 200).round()
    expected = stats.spearmanr(left, right).statistic
    assert rank_correlation(left, right) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(left[:2], right[:2]) is None
    assert rank_correlation(np.ones(9), np.arange(9.0)) is None


def test_every_rate_is_in_the_histogram() -> None:
    rates = np.array([0.0, 0.1, 0.1000001, 0.23, 1.0])
    for top in (rates, rates[:4], rates[:1]):
        histogram = rate_histogram(top)
        assert histogram.counts.sum() == len(top)
        assert histogram.edges[0] == 0
        assert histogram.edges[-1] >= top.max()
    assert rate_histogram(np.array([0.1])).edges[-1] == pytest.approx(0.1)


def test_every_row_is_in_a_cell_of_rates_and_lengths() -> None:
    generator = np.random.default_rng(6)
    rates, lengths = generator.uniform(0, 0.6, 500), generator.lognormal(7, 1, 500).round()
    figures = length_figures(rates, lengths)
    assert figures.cells.sum() == 500
    assert figures.correlation == pytest.approx(stats.spearmanr(rates, lengths).statistic)
    same = length_figures(np.array([0.1, 0.2, 0.3]), np.full(3, 50.0))
    assert same.correlation is None
    assert same.cells.sum() == 3


def test_groups_and_what_plans_drop_of_them(tmp_path: Path) -> None:
    rows = [
        plain_row(rate, source=source)
        for source, rate in [("a", 0.1), ("b", 0.2), ("a", 0.3), ("a", 0.4), ("b", 0.5)]
    ]
    found = read(write_parquet(tmp_path / "scored.parquet", [*rows, failed_row("x: y", source="b")]))
    plans = keep_plans(found)
    groups = group_figures(found, found.groups[0], plans)
    assert [(group.name, group.rows, group.scored) for group in groups] == [("a", 3, 3), ("b", 3, 2)]
    assert groups[0].mean == pytest.approx(0.8 / 3)
    assert groups[0].quantiles[2] == pytest.approx(0.3)
    for at, plan in enumerate(plans):
        assert sum(group.dropped[at] for group in groups) == plan.dropped
    assert groups[1].dropped[-1] == 1


def test_rare_values_are_one_group(tmp_path: Path) -> None:
    rows = [plain_row(0.1, source=f"s{number}") for number in range(SHOWN_GROUPS + 5)]
    rows += [plain_row(0.9, source="often")] * 3
    found = read(write_parquet(tmp_path / "scored.parquet", rows))
    groups = group_figures(found, found.groups[0], [])
    assert groups[0].name == "often"
    assert len(groups) == SHOWN_GROUPS + 1
    assert groups[-1].name == "6 other values"
    assert sum(group.rows for group in groups) == len(rows)


def test_traces_are_where_they_were_scored(tmp_path: Path) -> None:
    provenance = {"model": {"sha256": "b", "precision": "fp32"}, "options": {"column": "answer"}}
    row = plain_row(0.2) | {"answer": "Twelve chars"}
    path = write_parquet(tmp_path / "scored.parquet", [row], provenance)
    assert read(path).lengths.tolist() == [12]
    assert read(path, rows=RowOptions(column="trace")).lengths.tolist() == [20]
    other = write_parquet(tmp_path / "other.parquet", [plain_row(0.1), failed_row("empty: no text")], None)
    sources = find_inputs([str(path), str(other)])
    found = aggregate(sources, ReportOptions(), Progress())
    # The second file does not say which column was scored, so it is read as the first.
    assert found.lengths.tolist() == [12, 0, 0]
    assert found.without_trace == 1
    assert ("whose trace was not found", "1 (give --column)") in facts(found)
    write_parquet(other, [plain_row(0.1)], {**provenance, "options": {"schema": "trace", "column": None}})
    found = aggregate(sources, ReportOptions(), Progress())
    assert found.lengths.tolist() == [12, 20]
    samples = read_samples(sources, [0, 1], found)
    assert [samples[number].characters for number in (0, 1)] == [12, 20]
    assert found.without_trace == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"branch_rate": 1.5}, "branch_rate that scoring never writes"),
        ({"branch_rate": "high"}, "branch_rate that scoring never writes"),
        ({"branch_count": "three"}, "branch_count that scoring never writes"),
        ({"branch_steps": [{"start": 0, "end": 2, "probability": 3.0, "kind": "restart"}]}, "branch_steps"),
        ({"branch_steps": [{"start": 0, "end": 2, "probability": 0.3, "kind": "odd"}]}, "branch_steps"),
        ({"branch_steps": [{"start": 5, "end": 2, "probability": 0.3, "kind": "restart"}]}, "branch_steps"),
        ({"branch_steps": "none"}, "branch_steps"),
    ],
)
def test_scores_that_scoring_never_writes(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    rows = [plain_row(0.1), plain_row(0.2) | change]
    path = write_scored_lines(tmp_path / "scored.jsonl", rows)
    with pytest.raises(InputFileError, match=f"line 2.*{message}"):
        read(path)


def test_parquet_with_scores_of_another_type(tmp_path: Path) -> None:
    table = pa.table({"trace": ["a"], "branch_rate": ["high"]})
    pq.write_table(table, tmp_path / "scored.parquet")
    with pytest.raises(InputFileError, match="branch_rate that scoring never writes"):
        read(tmp_path / "scored.parquet")


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_files_without_scores(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"trace": ["a"]}), path)
    else:
        path.write_text('{"trace": "a"}\n', encoding="utf-8")
    with pytest.raises(OptionError, match=r"has no scores .*branching score"):
        read(path)


def test_columns_to_group_by_must_be_there(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "scored.parquet", [plain_row(0.1, tags=["a"])])
    with pytest.raises(OptionError, match="no column 'teacher' for --by"):
        read(path, by=("teacher",))
    with pytest.raises(OptionError, match="no column 'problem' for --pair-by"):
        read(path, pair_by="problem")
    with pytest.raises(OptionError, match="holds a list in 'tags'"):
        read(path, by=("tags",))


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_every_file_must_have_the_columns_to_group_by(tmp_path: Path, ending: str) -> None:
    write = write_parquet if ending == "parquet" else write_scored_lines
    write(tmp_path / f"a.{ending}", [plain_row(0.1, source="x")])
    write(tmp_path / f"b.{ending}", [plain_row(0.2)])
    for names in ("ab", "ba"):
        sources = find_inputs([str(tmp_path / f"{name}.{ending}") for name in names])
        with pytest.raises(OptionError, match=rf"b\.{ending} has no column 'source' for --by \("):
            aggregate(sources, ReportOptions(by=("source",)), Progress())
        assert aggregate(sources, ReportOptions(), Progress()).groups[0].column == "source"


@pytest.mark.parametrize("by", [None, ("source",)])
def test_a_column_may_begin_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: tuple[str, ...] | None
) -> None:
    monkeypatch.setattr("classifier.report.scored_files._LIMITS", BatchLimits(rows=2))
    rows = [plain_row(0.1), plain_row(0.2), plain_row(0.3), plain_row(0.4, source="x")]
    (found,) = read(write_scored_lines(tmp_path / "scored.jsonl", rows), by=by).groups
    assert found.names == [NO_LABEL, "x"]
    np.testing.assert_array_equal(found.codes, [0, 0, 0, 1])


def test_keep_must_be_on_the_slider() -> None:
    with pytest.raises(OptionError, match=r"from 0\.5 to 1"):
        ReportOptions(keep=0.3)


def test_files_of_different_models_are_refused(tmp_path: Path) -> None:
    first = write_parquet(tmp_path / "a.parquet", [plain_row(0.1, problem=1)])
    other = {"model": {"name": "other", "sha256": "c", "precision": "fp32"}}
    second = write_parquet(tmp_path / "b.parquet", [plain_row(0.2, problem=1)], other)
    with pytest.raises(InputFileError, match="cannot be compared"):
        report_files([str(first), str(second)])
    with pytest.raises(InputFileError, match="cannot be compared"):
        report_files([str(first)], options=ReportOptions(pair_by="problem"), compare=str(second))


def test_two_files_on_the_same_problems(tmp_path: Path) -> None:
    first = [plain_row(rate, problem=problem) for problem, rate in [(1, 0.1), (2, 0.2), (2, 0.4), (3, 0.5)]]
    second = [plain_row(rate, problem=problem) for problem, rate in [(2, 0.2), (1, 0.4), (4, 0.9)]]
    first += [plain_row(0.9, problem=None), failed_row("x: y", problem=4)]
    left, right = (
        write_parquet(tmp_path / "a.parquet", first),
        write_parquet(tmp_path / "b.parquet", second),
    )
    summary = report_files([str(left)], options=ReportOptions(pair_by="problem"), compare=str(right))
    pairs = summary.pairs
    assert pairs is not None
    assert pairs.keys == ["1", "2"]
    np.testing.assert_allclose(pairs.left, [0.1, 0.3])
    np.testing.assert_allclose(pairs.right, [0.4, 0.2])
    assert (pairs.only_left, pairs.only_right) == (1, 1)
    assert pairs.left_rows.tolist() == [0, 1]
    assert pairs.right_rows.tolist() == [1, 0]
    differences = np.array([0.3, -0.1])
    expected = stats.norm.interval(0.95, differences.mean(), differences.std(ddof=1) / 2**0.5)
    assert pairs.interval == pytest.approx(expected)
    assert pairs.cells()[1].sum() == 2
    assert summary.errors == 1


def test_comparing_needs_shared_problems(tmp_path: Path) -> None:
    left = write_parquet(tmp_path / "a.parquet", [plain_row(0.1, problem=1)])
    right = write_parquet(tmp_path / "b.parquet", [plain_row(0.1, problem=2)])
    with pytest.raises(OptionError, match="No value of 'problem' has a scored row in both"):
        report_files([str(left)], options=ReportOptions(pair_by="problem"), compare=str(right))
    with pytest.raises(OptionError, match="--compare and --pair-by go together"):
        report_files([str(left)], compare=str(right))
    with pytest.raises(OptionError, match="--compare and --pair-by go together"):
        report_files([str(left)], options=ReportOptions(pair_by="problem"))


def test_numbers_for_machines_are_json(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "scored.parquet", ROWS)
    found = json.loads(json.dumps(report_files([str(path)]).to_dict(), allow_nan=False))
    assert found["rows"] == 4
    assert found["scored"] == 3
    assert found["mean_branch_rate"] == pytest.approx(0.4)
    assert found["groups"]["source"][0]["kinds"] == {
        "convergent": 2,
        "alternative": 1,
        "backtrack": 1,
        "restart": 1,
    }
    assert found["plans"][-1]["kept"] == 4
    failed = write_parquet(tmp_path / "failed.parquet", [failed_row("x: y")])
    assert json.dumps(report_files([str(failed)]).to_dict(), allow_nan=False)
