"""Shards: parts of the rows, each with an output of its own; and what `branching verify` says of outputs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier.batch import ScoreOptions, score_files
from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.files import BatchLimits, count_rows, find_inputs, read_batches
from classifier.files.shards import Shard
from classifier.row_stream import RowOptions
from classifier.verify import verify_output
from tests.cli_runner import CommandLine
from tests.fake_scorer import FakeRowScorer, loader, names_in, read_lines, score, write_lines

BATCHES_OF_FIVE = RowOptions(limits=BatchLimits(rows=5))


@pytest.fixture
def branching(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    lines: list[Any] = ["", *({"trace": f"Line {n}."} for n in range(13)), "  ", "{oops", "\u2003", "7"]
    table = pa.table({"trace": [f"Row {n}." for n in range(20)]})
    pq.write_table(table, tmp_path / "b.parquet", row_group_size=6)
    return [write_lines(tmp_path / "a.jsonl", lines), tmp_path / "b.parquet"]


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_shards_hold_the_rows_of_one_output(tmp_path: Path, sources: list[Path], count: int) -> None:
    score(sources, tmp_path / "whole.jsonl", rows=BATCHES_OF_FIVE)
    summary = score(sources, tmp_path / "out.jsonl", rows=BATCHES_OF_FIVE, shards=count)
    assert summary.counts.rows == 35
    assert [Path(name).name for name in summary.outputs] == [
        f"out-{number:05}-of-{count:05}.jsonl" for number in range(1, count + 1)
    ]
    joined = b"".join(Path(name).read_bytes() for name in summary.outputs)
    assert joined == (tmp_path / "whole.jsonl").read_bytes()
    sizes = [len(read_lines(Path(name))) for name in summary.outputs]
    assert max(sizes) - min(sizes) <= 1
    assert verify_output(str(tmp_path / "out.jsonl")).problems == []


def test_one_shard_is_what_all_shards_at_once_give(tmp_path: Path, sources: list[Path]) -> None:
    score(sources, tmp_path / "out.parquet", shards=3)
    (tmp_path / "apart").mkdir()
    for number in (3, 1, 2):
        score(sources, tmp_path / "apart" / "out.parquet", shard=Shard(number, 3))
    names = [f"out-0000{number}-of-00003.parquet" for number in (1, 2, 3)]
    for name in names:
        assert (tmp_path / name).read_bytes() == (tmp_path / "apart" / name).read_bytes()
    assert len({pq.read_schema(tmp_path / name) for name in names}) == 1


def test_a_limit_counts_before_rows_are_divided(tmp_path: Path, sources: list[Path]) -> None:
    rows = RowOptions(limits=BatchLimits(rows=5), limit=17)
    score(sources, tmp_path / "whole.jsonl", rows=rows)
    summary = score(sources, tmp_path / "out.jsonl.gz", rows=rows, shards=2)
    assert [json.loads(Path(f"{name}.manifest.json").read_text())["rows"] for name in summary.outputs] == [
        8,
        9,
    ]


def test_blank_lines_are_counted_up_to_the_last_row(tmp_path: Path) -> None:
    row = {"trace": "A line."}
    source = write_lines(tmp_path / "in.jsonl", ["", row, row, "", "", row, "", "{oops", "", ""])
    for limit, blank in ((1, 1), (2, 1), (3, 3), (None, 6)):
        summary = score([source], tmp_path / f"{limit}.jsonl", rows=RowOptions(limit=limit))
        assert summary.counts.blank_lines == blank
    for count in (1, 2, 3, 4, 9):
        summary = score([source], tmp_path / f"{count}.jsonl.gz", shards=count)
        assert summary.counts.blank_lines == 6


@pytest.mark.parametrize("skip", range(0, 24, 3))
def test_rows_are_passed_over(sources: list[Path], skip: int) -> None:
    for source in find_inputs([str(path) for path in sources]):
        rows = [row for batch in read_batches(source) for row in batch.rows]
        batches = list(read_batches(source, BatchLimits(rows=4), skip=skip))
        assert [str(row) for batch in batches for row in batch.rows] == [str(row) for row in rows[skip:]]
        assert count_rows(source) == len(rows)
        if source.is_table:
            numbers = [number for batch in batches for number in batch.numbers]
            assert numbers == list(range(skip + 1, 21))


class Stopping(FakeRowScorer):
    """Stops after five batches."""

    def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
        """Score, or stop."""
        if len(self.batches) == 5:
            raise KeyboardInterrupt
        return super().score_rows(rows)


def test_shards_go_on_where_they_were_stopped(tmp_path: Path, sources: list[Path]) -> None:
    score(sources, tmp_path / "whole.jsonl", rows=BATCHES_OF_FIVE)
    options = ScoreOptions(rows=BATCHES_OF_FIVE, shards=3)
    names = [str(path) for path in sources]
    with pytest.raises(KeyboardInterrupt):
        score_files(names, str(tmp_path / "out.jsonl"), loader(Stopping()), options)
    assert (tmp_path / "out-00001-of-00003.jsonl").exists()
    assert not (tmp_path / "out-00002-of-00003.jsonl").exists()
    scorer = FakeRowScorer()
    summary = score_files(names, str(tmp_path / "out.jsonl"), loader(scorer), options)
    assert summary.counts.rows == summary.rows_before + sum(scorer.batches) == 35
    assert summary.rows_before >= 20
    joined = b"".join(Path(name).read_bytes() for name in summary.outputs)
    assert joined == (tmp_path / "whole.jsonl").read_bytes()
    assert not [name for name in names_in(tmp_path) if name.startswith(".")]
    with pytest.raises(OutputFileError, match=r"out-00001-of-00003\.jsonl exists"):
        score_files(names, str(tmp_path / "out.jsonl"), loader(), options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "0/3"], "There is no shard 0 of 3"),
        (["--shard", "4/3"], "There is no shard 4 of 3"),
        (["--shard", "half"], "The shard 'half' is not of the form 2/8"),
        (["--shard", "1/3", "--shards", "3"], "give one of the two"),
    ],
)
def test_shards_that_there_cannot_be(
    branching: CommandLine, tmp_path: Path, sources: list[Path], arguments: list[str], message: str
) -> None:
    result = branching("score", *sources, "-o", tmp_path / "out.jsonl", *arguments)
    assert result.code == 2
    assert message in result.stderr
    with pytest.raises(OptionError, match="Shards are files"):
        score(sources, "-", shards=2)


@pytest.mark.parametrize("arguments", [["--shard", "2/8"], ["--shards", "8"]])
def test_shards_are_refused_where_all_rows_would_be_scored(
    branching: CommandLine, tmp_path: Path, sources: list[Path], arguments: list[str]
) -> None:
    shown = branching("score", *sources, "--show", *arguments)
    assert (shown.code, shown.stdout) == (2, "")
    assert "name one with -o, or leave --shard and --shards out" in shown.stderr
    on_ray = branching("score", sources[1], "-o", tmp_path / "out", "--engine", "ray", *arguments)
    assert on_ray.code == 2
    assert "--shard and --shards are for the local engine" in on_ray.stderr
    assert names_in(tmp_path) == {"a.jsonl", "b.parquet"}


def test_shards_from_standard_input(branching: CommandLine, tmp_path: Path) -> None:
    lines = b"".join(b'{"trace": "Line %d."}\n' % n for n in range(5))
    assert branching("score", "-", "-o", tmp_path / "out.jsonl", "--shard", "2/2", stdin=lines).code == 0
    rows = read_lines(tmp_path / "out-00002-of-00002.jsonl")
    assert [row["trace"] for row in rows] == ["Line 2.", "Line 3.", "Line 4."]


def test_verify_says_that_all_is_well(branching: CommandLine, tmp_path: Path, sources: list[Path]) -> None:
    for name in ("out.jsonl.zst", "out.parquet"):
        assert branching("score", *sources, "-o", tmp_path / name).code == 1
        result = branching("verify", tmp_path / name)
        assert (result.code, result.stderr) == (0, "35 rows in 1 file, all as the manifest says\n")
        branching("filter", tmp_path / name, "-o", tmp_path / f"kept-{name}", "--keep", "0.5", "--no-scores")
    assert branching("verify", tmp_path / "kept-out.jsonl.zst").code == 2
    branching("filter", tmp_path / "out.parquet", "-o", tmp_path / "kept.jsonl", "--keep", "0.5")
    assert json.loads(branching("verify", tmp_path / "kept.jsonl", "--json").stdout)["problems"] == []


def test_verify_finds_what_was_changed(branching: CommandLine, tmp_path: Path, sources: list[Path]) -> None:
    output = tmp_path / "out.jsonl"
    branching("score", *sources, "-o", output)
    lines = output.read_text().splitlines(keepends=True)
    output.write_text("".join(lines[1:]))
    result = branching("verify", output)
    assert result.code == 1
    for part in (
        "sha256 should be ",
        "bytes should be ",
        "rows should be 35 and is 34",
        "scored should be 33",
    ):
        assert f"{output}: {part}" in result.stderr
    output.write_text("".join(lines[:-1]) + '{"trace": "No scores."}\n')
    assert "out.jsonl line 35 has no scores" in branching("verify", output).stderr


def test_verify_knows_the_model_of_a_table(tmp_path: Path, sources: list[Path]) -> None:
    score(sources, tmp_path / "out.parquet")
    manifest = tmp_path / "out.parquet.manifest.json"
    manifest.write_text(manifest.read_text().replace("a" * 64, "b" * 64))
    (problem,) = verify_output(str(tmp_path / "out.parquet")).problems
    assert "the model that its metadata name is not the one of the manifest" in problem
    (tmp_path / "out.parquet").write_bytes((tmp_path / "out.parquet").read_bytes()[:-9])
    (problem,) = verify_output(str(tmp_path / "out.parquet")).problems
    assert "is no Parquet file, or a damaged one" in problem


def test_verify_misses_shards(tmp_path: Path, sources: list[Path]) -> None:
    for number in (1, 3):
        score(sources, tmp_path / "out.jsonl", shard=Shard(number, 3))
    assert verify_output(str(tmp_path / "out.jsonl")).problems == [
        f"{tmp_path / 'out.jsonl'}: shard 2 of 3 is missing"
    ]
    score_files(
        [str(sources[0])], str(tmp_path / "out.jsonl"), loader(name="other"), ScoreOptions(shard=Shard(2, 3))
    )
    (problem,) = verify_output(str(tmp_path / "out.jsonl")).problems
    assert "not all scored by the same model" in problem
    score(sources, tmp_path / "out.jsonl", shards=2)
    with pytest.raises(InputFileError, match="into 2 and into 3 shards"):
        verify_output(str(tmp_path / "out.jsonl"))


@pytest.mark.parametrize(("name", "message"), [("-", "has no manifest"), ("none.jsonl", "does not exist")])
def test_what_verify_cannot_check(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputFileError, match=message):
        verify_output(name if name == "-" else str(tmp_path / name))
