"""Parquet in and out, and one schema for rows of JSON."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier import batch as batch_module
from classifier import row_stream
from classifier.columns import COLUMN_TYPES
from classifier.errors import InputFileError
from classifier.files import ADDED_COLUMNS, BatchLimits, table_writer
from classifier.files.schema import merge_types
from classifier.row_stream import RowOptions
from tests.fake_scorer import fake_rate, names_in, read_lines, score, write_lines


def rich_table() -> pa.Table:
    chat = pa.list_(pa.struct([("role", pa.string()), ("content", pa.large_string())]))
    schema = pa.schema(
        [
            pa.field("id", pa.int16(), nullable=False, metadata={b"unit": b"none"}),
            pa.field("messages", chat),
            pa.field("when", pa.timestamp("ns", "UTC")),
            pa.field("kind", pa.dictionary(pa.int8(), pa.string())),
            pa.field("vector", pa.list_(pa.float32(), 2)),
            pa.field("data", pa.binary()),
        ],
        metadata={b"huggingface": b'{"info": {}}', b"own": b"kept"},
    )
    messages = [
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": f"<think>Step {n}.</think> {n}"}]
        for n in range(600)
    ]
    return pa.table(
        [
            pa.array(range(600), pa.int16()),
            pa.array(messages, chat),
            pa.array([1 + n for n in range(600)], pa.timestamp("ns", "UTC")),
            pa.array(["x", None, "y"] * 200, pa.dictionary(pa.int8(), pa.string())),
            pa.array([[n, 0.5] for n in range(600)], pa.list_(pa.float32(), 2)),
            pa.array([b"\xff", None] * 300, pa.binary()),
        ],
        schema=schema,
    )


def test_parquet_keeps_types_values_and_metadata(tmp_path: Path) -> None:
    table = rich_table()
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=100)
    score([tmp_path / "in.parquet"], tmp_path / "out.parquet", steps=True)
    result = pq.read_table(tmp_path / "out.parquet")
    own = result.select(table.column_names)
    metadata = result.schema.metadata or {}
    assert own.schema.equals(table.schema)
    assert own.equals(table)
    assert own.schema.field("id").metadata == {b"unit": b"none"}
    assert not own.schema.field("id").nullable
    kept = {key: value for key, value in metadata.items() if key != b"branching"}
    assert kept == table.schema.metadata
    assert result.column("branch_rate").to_pylist() == [fake_rate(f"Step {n}.") for n in range(600)]
    added = result.schema.names[len(table.schema) :]
    assert added == ["branch_rate", "branch_count", "step_count", "branch_error", "branch_steps"]
    for name in added:
        assert result.schema.field(name).type == COLUMN_TYPES[name]
    provenance = json.loads(metadata[b"branching"])
    assert provenance["model"] == {"name": "fake", "version": "1", "sha256": "a" * 64, "precision": "fp32"}


def test_added_columns_are_those_of_the_scorer() -> None:
    assert tuple(COLUMN_TYPES) == ADDED_COLUMNS


def test_parquet_to_json_lines(tmp_path: Path) -> None:
    table = rich_table().slice(0, 2)
    nested = pa.array([{"x": float("nan"), "y": [float("inf"), 2.0]}, None])
    table = table.append_column("nested", nested)
    table = table.append_column("day", pa.array([0, 1], pa.date32()))
    table = table.append_column("days", pa.array([[0], [1]], pa.list_(pa.date32())))
    table = table.append_column("price", pa.array([1, 2], pa.decimal128(5, 2)))
    pq.write_table(table, tmp_path / "in.parquet")
    score([tmp_path / "in.parquet"], tmp_path / "out.jsonl")
    row = read_lines(tmp_path / "out.jsonl")[0]
    assert row["id"] == 0
    assert row["messages"][1] == {"role": "assistant", "content": "<think>Step 0.</think> 0"}
    assert row["when"] == "1970-01-01 00:00:00.000000001Z"
    assert row["data"] == "/w=="
    assert row["nested"] == {"x": None, "y": [None, 2.0]}
    assert (row["day"], row["days"], row["price"]) == ("1970-01-01", ["1970-01-01"], "1.00")
    assert row["branch_rate"] == fake_rate("Step 0.")


def test_parquet_text_that_is_not_utf8_costs_only_its_row(tmp_path: Path) -> None:
    offsets, data = pa.py_buffer(b"\0\0\0\0\5\0\0\0\7\0\0\0"), pa.py_buffer(b"Good.\xff!")
    traces = pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])
    pq.write_table(pa.table({"n": [1, 2], "trace": traces}), tmp_path / "in.parquet")
    for ending in (".parquet", ".jsonl"):
        summary = score([tmp_path / "in.parquet"], tmp_path / f"out{ending}")
        assert summary.counts.errors == {"format": 1}
        assert "row 2" in summary.counts.first_errors[0]["place"]
        assert "column 'trace' cannot be read" in summary.counts.first_errors[0]["error"]
    result = pq.read_table(tmp_path / "out.parquet")
    assert result.column("trace").cast(pa.binary()).to_pylist() == [b"Good.", b"\xff!"]
    good, bad = read_lines(tmp_path / "out.jsonl")
    assert good["branch_rate"] == fake_rate("Good.")
    assert (bad["n"], bad["trace"], bad["branch_rate"]) == (2, "\\xff!", None)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["trace", "trace"])
    with pq.ParquetWriter(tmp_path / "in.parquet", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputFileError, match=r"in\.parquet has two columns named 'trace'"):
        score([tmp_path / "in.parquet"], tmp_path / "out.parquet")


def test_parquet_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"trace": pa.array([], pa.string())}), tmp_path / "in.parquet")
    summary = score([tmp_path / "in.parquet"], tmp_path / "out.parquet")
    assert summary.counts.rows == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_row_groups_are_not_as_small_as_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_writer, "_GROUP_ROWS", 100)
    source = write_lines(tmp_path / "in.jsonl", [{"trace": f"Step {n}."} for n in range(250)])
    limits = BatchLimits(rows=10)
    score([source], tmp_path / "out.parquet", rows=RowOptions(limits=limits))
    metadata = pq.ParquetFile(tmp_path / "out.parquet").metadata
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [100, 100, 50]


def test_several_traces_turn_up_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_writer, "_GROUP_ROWS", 7)
    rows: list[dict[str, Any]] = [{"n": n, "trace": f"Step {n}."} for n in range(20)]
    rows[15] = {"n": 15, "generations": ["One.", "Two."]}
    source = write_lines(tmp_path / "in.jsonl", rows)
    score([source], tmp_path / "out.parquet", rows=RowOptions(limits=BatchLimits(rows=5)))
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("n").to_pylist() == list(range(20))
    rates = [fake_rate("One."), fake_rate("Two.")]
    expected: list[list[float] | None] = [None] * 20
    expected[15] = rates
    assert table.column("branch_rates").to_pylist() == expected
    assert table.column("branch_rate")[15].as_py() == sum(rates) / 2
    assert table.column("branch_rate")[0].as_py() == fake_rate("Step 0.")
    assert names_in(tmp_path) == {"in.jsonl", "out.parquet", "out.parquet.manifest.json"}


def test_one_schema_for_all_lines(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"trace": "One.", "n": 1, "x": 1, "list": [], "obj": {"a": 1}, "none": None, "flag": True},
        {"trace": "Two.", "n": None, "x": 1.5, "list": ["a", None], "obj": {"b": "c"}, "late": "l"},
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    summary = score([source], tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.names[:8] == ["trace", "n", "x", "list", "obj", "none", "flag", "late"]
    assert table.schema.field("n").type == pa.int64()
    assert table.schema.field("x").type == pa.float64()
    first, second = table.to_pylist()
    assert (first["x"], first["list"], first["obj"], first["flag"]) == (1.0, [], {"a": 1, "b": None}, True)
    assert (second["list"], second["obj"], second["late"]) == (["a", None], {"a": None, "b": "c"}, "l")
    assert summary.json_text_columns == []


DISAGREEING = [
    ("1", '"one"'),
    ('"one"', '["one"]'),
    ('{"content": "a"}', '{"content": ["a"]}'),
    ("true", "1"),
    ("{}", "{}"),
    ("9223372036854775808", "1"),
    ("9007199254740993", "0.5"),
    ("[" * 30 + "]" * 30, "null"),
    ("{" + ", ".join(f'"k{n}": {n}' for n in range(300)) + "}", "null"),
]


@pytest.mark.parametrize(("one", "other"), DISAGREEING)
def test_columns_whose_rows_disagree_become_json_text(tmp_path: Path, one: str, other: str) -> None:
    lines = [f'{{"trace": "A.", "odd": {one} }}', f'{{"odd":{other}, "trace": "B."}}', '{"trace": "C."}']
    summary = score([write_lines(tmp_path / "in.jsonl", lines)], tmp_path / "out.parquet")
    odd = pq.read_table(tmp_path / "out.parquet").column("odd").to_pylist()
    assert odd == [one, None if other == "null" else other, None]
    assert summary.json_text_columns == ["odd"]


def test_lone_surrogates_are_stored_without_loss(tmp_path: Path) -> None:
    lines = [
        '{"trace": "A pair is fine: \\ud83d\\ude00."}',
        '{"trace": "Half is not: \\uD83d.", "\\udc00": [{"\\ud800": "\\udfff"}]}',
        '{"trace": "Plain."}',
    ]
    summary = score([write_lines(tmp_path / "in.jsonl", lines)], tmp_path / "out.parquet")
    pair, half, plain = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert pair["trace"] == "A pair is fine: \U0001f600."
    assert pair["branch_raw"] is plain["branch_raw"] is None
    assert half["trace"] == "Half is not: \ufffd."
    assert half["\ufffd"] == [{"\ufffd": "\ufffd"}]
    assert half["branch_raw"] == lines[1]
    assert half["branch_rate"] == fake_rate("Half is not: \ud83d.")
    assert summary.replaced_rows == 1
    assert not summary.counts.errors


def test_mixed_inputs_share_a_schema(tmp_path: Path) -> None:
    pq.write_table(
        pa.table(
            {
                "trace": pa.array(["One."], pa.large_string()),
                "n": pa.array([1], pa.int32()),
                "chat": pa.array([[{"a": "x"}]]),
                "odd": pa.array([{"at": [1.0]}]),
                "label": pa.array(["l"]).dictionary_encode(),
                "only": pa.array([b"\xff"]),
            }
        ),
        tmp_path / "a.parquet",
    )
    row = {"trace": "Two.", "n": 2, "chat": [{"a": "y", "b": 1}], "odd": "text", "label": "m"}
    source = write_lines(tmp_path / "b.jsonl", [row])
    summary = score([tmp_path / "a.parquet", source], tmp_path / "out.parquet")
    one, two = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (one["n"], two["n"]) == (1, 2)
    assert one["chat"] == [{"a": "x", "b": None}]
    assert two["chat"] == [{"a": "y", "b": 1}]
    assert (one["odd"], two["odd"]) == ('{"at": [1.0]}', '"text"')
    assert (one["label"], two["label"]) == ("l", "m")
    assert (one["only"], two["only"]) == (b"\xff", None)
    assert summary.json_text_columns == ["odd"]
    assert [one["branch_rate"], two["branch_rate"]] == [fake_rate("One."), fake_rate("Two.")]


def test_types_merge_without_loss() -> None:
    text, large = pa.string(), pa.large_string()
    assert merge_types(pa.int8(), pa.int64()) == pa.int64()
    assert merge_types(pa.uint8(), pa.uint32()) == pa.uint32()
    assert merge_types(pa.float32(), pa.float64()) == pa.float64()
    assert merge_types(pa.int64(), pa.float64()) is None
    assert merge_types(pa.int64(), pa.uint64()) is None
    assert merge_types(pa.null(), text) == merge_types(text, pa.null()) == text
    assert merge_types(text, large) == large
    assert merge_types(pa.list_(pa.int8()), pa.large_list(pa.int16())) == pa.large_list(pa.int16())
    assert merge_types(pa.list_(pa.int8()), pa.list_(text)) is None
    struct = pa.struct([("a", text)])
    assert merge_types(struct, pa.struct([("b", text)])) == pa.struct([("a", text), ("b", text)])
    assert merge_types(struct, pa.struct([("a", pa.int8())])) is None


@pytest.mark.parametrize("changed", [{"trace": 1}, {"trace": "Two.", "new": 1}])
def test_a_file_that_changes_between_readings_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "One."}])
    plan_first = row_stream.make_plan

    def plan_then_change(*arguments: Any) -> Any:
        plan = plan_first(*arguments)
        write_lines(source, [{"trace": "One."}, changed])
        return plan

    monkeypatch.setattr(batch_module, "make_plan", plan_then_change)
    with pytest.raises(InputFileError, match=r"in\.jsonl does not hold what it held in the first reading"):
        score([source], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
