"""Tables as inputs: Arrow files, folders that `datasets` saved, and traces in nested columns."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier.errors import InputFileError, OptionError
from classifier.files import BatchLimits, count_rows, find_inputs, read_batches
from classifier.row_stream import RowOptions
from tests.cli_runner import CommandLine
from tests.fake_scorer import fake_rate, names_in, read_lines, score

BATCHES_OF_FIVE = RowOptions(limits=BatchLimits(rows=5))
ROWS = [{"id": n, "meta": {"tags": ["a", None]}, "trace": f"Step {n}."} for n in range(50)]


@pytest.fixture
def branching(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


def saved(folder: Path, rows: list[dict[str, Any]], shards: int = 1) -> Path:
    """Save a data set as `datasets` does."""
    datasets = pytest.importorskip("datasets", reason="datasets is not installed (extra `train`)")
    datasets.Dataset.from_list(rows).save_to_disk(folder, num_shards=shards)
    return folder


def write_arrow(path: Path, *, stream: bool, rows: list[dict[str, Any]] = ROWS) -> Path:
    table = pa.Table.from_pylist(rows)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with path.open("wb") as file, new(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=12)
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_saved_data_set_is_an_input(tmp_path: Path, ending: str) -> None:
    saved(tmp_path / "saved", ROWS, shards=3)
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    score([tmp_path / "rows.parquet"], tmp_path / f"expected{ending}", rows=BATCHES_OF_FIVE)
    summary = score([tmp_path / "saved"], tmp_path / f"out{ending}", rows=BATCHES_OF_FIVE)
    assert [Path(name).name for name in summary.inputs] == [f"data-0000{n}-of-00003.arrow" for n in range(3)]
    if ending == ".jsonl":
        assert read_lines(tmp_path / "out.jsonl") == read_lines(tmp_path / "expected.jsonl")
    else:
        assert pq.read_table(tmp_path / "out.parquet").equals(pq.read_table(tmp_path / "expected.parquet"))


def test_splits_and_rows_in_another_order(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed (extra `train`)")
    rows = datasets.Dataset.from_list(ROWS)
    splits = {"train": rows.select(range(40)).shuffle(seed=1), "test": rows.select(range(40, 50))}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    score([tmp_path / "saved"], tmp_path / "out.jsonl")
    expected = [*splits["test"]["id"], *splits["train"]["id"]]
    assert [row["id"] for row in read_lines(tmp_path / "out.jsonl")] == expected
    # What `map` has left beside the data of a saved data set is no part of it.
    again = datasets.load_from_disk(tmp_path / "saved" / "test")
    again.map(lambda row: {"twice": row["id"] * 2})
    assert [name for name in names_in(tmp_path / "saved" / "test") if name.startswith("cache-")]
    (source,) = find_inputs([str(tmp_path / "saved" / "test")])
    assert count_rows(source) == 10


def test_the_output_is_read_by_datasets_again(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed (extra `train`)")
    saved(tmp_path / "saved", ROWS)
    score([tmp_path / "saved"], tmp_path / "out.parquet")
    scored = datasets.Dataset.from_parquet(str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache"))
    assert scored["branch_rate"][:3] == [fake_rate(f"Step {n}.") for n in range(3)]
    assert scored.column_names[:3] == ["id", "meta", "trace"]


def test_a_saved_data_set_that_lacks_a_file(tmp_path: Path) -> None:
    saved(tmp_path / "saved", ROWS, shards=2)
    (tmp_path / "saved" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(
        InputFileError, match=r"saved lacks data-00001-of-00002\.arrow, which its state\.json"
    ):
        score([tmp_path / "saved"], tmp_path / "out.jsonl")


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files_are_read(tmp_path: Path, stream: bool) -> None:
    path = write_arrow(tmp_path / "rows.arrow", stream=stream)
    score([path], tmp_path / "out.jsonl", rows=BATCHES_OF_FIVE)
    assert [row["id"] for row in read_lines(tmp_path / "out.jsonl")] == list(range(50))
    (source,) = find_inputs([str(path)])
    assert count_rows(source) == 50
    for skip in (0, 1, 12, 13, 49, 50):
        batches = list(read_batches(source, BatchLimits(rows=5), skip=skip))
        assert [number for batch in batches for number in batch.numbers] == list(range(skip + 1, 51))
        rows = [row for batch in batches for row in batch.rows]
        assert [row["id"] for row in rows if isinstance(row, dict)] == list(range(skip, 50))
    score([path], tmp_path / "shards.jsonl", rows=BATCHES_OF_FIVE, shards=3)
    parts = [tmp_path / f"shards-{n:05}-of-00003.jsonl" for n in (1, 2, 3)]
    assert b"".join(part.read_bytes() for part in parts) == (tmp_path / "out.jsonl").read_bytes()


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files_that_were_cut_are_refused(tmp_path: Path, stream: bool) -> None:
    content = write_arrow(tmp_path / "rows.arrow", stream=stream).read_bytes()
    for end in range(0, len(content), 8):
        (tmp_path / "rows.arrow").write_bytes(content[:end])
        with pytest.raises(InputFileError, match=r"rows\.arrow is .*(damaged|no Arrow file)"):
            score([tmp_path / "rows.arrow"], tmp_path / "out.jsonl")
        assert not (tmp_path / "out.jsonl").exists()


def test_arrow_files_that_have_scores_are_refused(tmp_path: Path) -> None:
    rows = [{"trace": "One.", "branch_rate": 0.5}]
    path = write_arrow(tmp_path / "rows.arrow", stream=True, rows=rows)
    with pytest.raises(OptionError, match=r"rows\.arrow already has the column branch_rate"):
        score([path], tmp_path / "out.jsonl")


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_trace_in_a_nested_column_of_parquet(branching: CommandLine, tmp_path: Path, ending: str) -> None:
    rows = [
        {"id": n, "answer": {"model": "m", "parts": {"reasoning": f"Step {n}.", "final": "7"}}}
        for n in range(20)
    ]
    rows[3]["answer"] = {"model": "m", "parts": None}
    rows[4]["answer"] = None
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=6)
    output = tmp_path / f"out{ending}"
    done = branching("score", tmp_path / "rows.parquet", "-o", output, "--column", "answer.parts.reasoning")
    assert done.code == 1, done.stderr
    found = read_lines(output) if ending == ".jsonl" else pq.read_table(output).to_pylist()
    assert [row["branch_rate"] for row in found] == [
        None if n in (3, 4) else fake_rate(f"Step {n}.") for n in range(20)
    ]
    assert all((row["branch_error"] is None) == (n not in (3, 4)) for n, row in enumerate(found))
    assert [row["answer"] for row in found] == [row["answer"] for row in rows]
    if ending == ".parquet":
        assert pq.read_schema(output).field("answer").equals(table.schema.field("answer"))


def test_messages_in_a_nested_column_of_parquet(branching: CommandLine, tmp_path: Path) -> None:
    messages = [
        [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": f"<think>Step {n}.</think> 7"}]
        for n in range(6)
    ]
    rows = [{"record": {"messages": one}} for one in messages]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    column = ("--column", "record.messages")
    assert branching("score", tmp_path / "rows.parquet", "-o", tmp_path / "out.jsonl", *column).code == 0
    found = read_lines(tmp_path / "out.jsonl")
    assert [row["branch_error"] for row in found] == [None] * 6
