"""Rows in files: found, read without loss, and written whole or not at all."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from classifier.errors import InputFileError
from classifier.files import jsonl as jsonl_module
from classifier.files.jsonl import elements, members, with_members, with_values, without_members
from tests.fake_scorer import fake_columns, fake_rate, names_in, read_lines, score, write_lines

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values), st.integers(0, 3), st.booleans())
def test_appending_members_keeps_the_text(row: dict[str, Any], indent: int, ascii_only: bool) -> None:
    text = json.dumps(row, indent=indent or None, ensure_ascii=ascii_only)
    added = {"branch_rate": 0.25, "branch_error": None}
    result = with_members(text, added)
    assert json.loads(result) == row | added
    assert result.startswith(text.strip()[:-1].rstrip())


@given(st.dictionaries(st.text(), json_values), st.integers(0, 2))
def test_members_are_found_where_they_stand(row: dict[str, Any], indent: int) -> None:
    text = json.dumps(row, indent=indent or None)
    found = members(text)
    assert {one.key: json.loads(text[one.value_start : one.end]) for one in found} == row
    for name in row:
        rest = {key: value for key, value in row.items() if key != name}
        assert json.loads(without_members(text, [name])) == rest
        assert json.loads(with_values(text, {name: lambda old: f"[{old}]"})) == row | {name: [row[name]]}


@given(st.lists(json_values), st.integers(0, 2))
def test_elements_are_found_where_they_stand(values: list[Any], indent: int) -> None:
    found = elements(json.dumps(values, indent=indent or None))
    assert [json.loads(one) for one in found] == values


def test_removing_what_is_not_there_changes_nothing() -> None:
    text = '{ "a" : 1 ,"b":2}'
    assert without_members(text, ["c"]) == text
    assert with_members(text, {}) == text
    assert with_members("{ }", {"a": 1}) == '{"a": 1}'


ODD_LINES = [
    '{"trace": "One step.", "n": 1.10, "big": 123456789012345678901234567890, "e": 1e400}',
    '{"b": 1, "a": 2, "a": 3, "trace": "Two steps. Here."}',
    '{ "trace" : "Spaces  kept." , "\\u00e9": "\\u00e9\\/" }',
    '{"trace": "Half of a pair: \\ud83d, and no more."}',
    '{"trace": "Übung, 数学 \u2028 and a tab\\t."}',
]


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst"])
def test_lines_come_out_with_their_bytes(tmp_path: Path, ending: str) -> None:
    source = write_lines(tmp_path / "in.jsonl", ODD_LINES)
    output = tmp_path / f"out{ending}"
    summary = score([source], output)
    data = output.read_bytes()
    if ending.endswith(".gz"):
        data = gzip.decompress(data)
    if ending.endswith(".zst"):
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    for old, new in zip(ODD_LINES, data.decode().split("\n")[:-1], strict=True):
        columns = fake_columns(json.loads(old)["trace"])
        assert new == f"{old[:-1].rstrip()}, {json.dumps(columns)[1:]}"
    assert summary.counts.rows == summary.counts.scored == 5
    assert not summary.counts.errors


def test_bare_strings_are_rows_of_text(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", ['  "Just a \\u0074race." '])
    score([source], tmp_path / "out.jsonl")
    text = (tmp_path / "out.jsonl").read_text()
    assert text.startswith('{"text": "Just a \\u0074race.", "branch_rate": ')
    assert json.loads(text)["branch_rate"] == fake_rate("Just a trace.")


BAD_LINES = [
    ("{broken", "format: not JSON: Expecting property name enclosed in double quotes at column 2 of line 2"),
    ("null", "format: null where a JSON object was expected in line 2"),
    ("[1, 2]", "format: an array where a JSON object was expected in line 2"),
    ("17", "format: a number where a JSON object was expected in line 2"),
    ('{"trace": ' + "9" * 5000 + "}", "format: JSON that cannot be read in line 2: Exceeds the limit"),
    ("[" * 100_000, "format: JSON that cannot be read in line 2: maximum recursion depth"),
]


@pytest.mark.parametrize(
    ("line", "error"), BAD_LINES, ids=["syntax", "null", "array", "number", "digits", "depth"]
)
@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_bad_line_costs_only_itself(tmp_path: Path, line: str, error: str, ending: str) -> None:
    good = {"trace": "A good step."}
    source = write_lines(tmp_path / "in.jsonl", [good, line, good])
    output = tmp_path / f"out{ending}"
    summary = score([source], output)
    rows = pq.read_table(output).to_pylist() if ending == ".parquet" else read_lines(output)
    first, bad, last = rows
    assert first["branch_rate"] == last["branch_rate"] == fake_rate("A good step.")
    assert bad["branch_raw"] == line
    assert bad["branch_error"].startswith(error)
    assert bad["branch_rate"] is bad["branch_count"] is bad["step_count"] is None
    assert summary.counts.errors == {"format": 1}
    assert summary.counts.first_errors == [{"place": f"{source} line 2", "error": bad["branch_error"]}]


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_invalid_utf8_costs_only_its_line(tmp_path: Path, ending: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(b'{"trace": "Good."}\n{"trace": "caf\xe9"}\r\n{"trace": "Good."}')
    output = tmp_path / f"out{ending}"
    assert score([source], output).counts.errors == {"format": 1}
    rows = pq.read_table(output).to_pylist() if ending == ".parquet" else read_lines(output)
    assert rows[1]["branch_raw"] == '{"trace": "caf\\xe9"}'
    assert "byte 0xe9 at position 15 of line 2" in rows[1]["branch_error"]
    assert rows[2]["branch_rate"] == fake_rate("Good.")


def test_blank_lines_are_no_rows_but_count_in_line_numbers(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(b'\xef\xbb\xbf{"trace": "Good."}\n\n  \r\n{oops\n\n')
    summary = score([source], tmp_path / "out.jsonl")
    rows = read_lines(tmp_path / "out.jsonl")
    assert [row.get("trace") for row in rows] == ["Good.", None]
    assert summary.counts.blank_lines == 3
    assert summary.counts.first_errors[0]["place"].endswith("line 4")


def test_an_unreadable_line_stays_one_in_a_second_run(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", ["{oops", {"trace": "Good."}])
    score([source], tmp_path / "one.jsonl")
    score([tmp_path / "one.jsonl"], tmp_path / "two.parquet", overwrite_columns=True)
    bad, good = pq.read_table(tmp_path / "two.parquet").to_pylist()
    assert bad["branch_raw"] == "{oops"
    assert bad["branch_error"].startswith("format: an earlier run could not read this line")
    assert good["branch_rate"] == fake_rate("Good.")


@pytest.mark.parametrize(
    "text",
    [
        '[{"trace": "One."}, {"trace": "Two."}]',
        '\ufeff[\n  {\n    "trace": "One."\n  },\r\n  {"trace": "Two."}\n]\n',
        '{"trace": "One."}\n{"trace": "Two."}\n',
        '\n{"trace": "One."}\n{"trace": "Two."}',
    ],
)
def test_json_documents(tmp_path: Path, text: str) -> None:
    source = tmp_path / "in.json"
    source.write_text(text, encoding="utf-8")
    score([source], tmp_path / "out.jsonl")
    rows = read_lines(tmp_path / "out.jsonl")
    assert [(row["trace"], row["branch_rate"]) for row in rows] == [
        ("One.", fake_rate("One.")),
        ("Two.", fake_rate("Two.")),
    ]


def test_one_json_object_is_one_row(tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_text('{\n  "trace": "One."\n}\n')
    score([source], tmp_path / "out.jsonl")
    assert [row["trace"] for row in read_lines(tmp_path / "out.jsonl")] == ["One."]


def test_rows_of_an_array_are_numbered(tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_text('[{"trace": "One."},\n 5]')
    summary = score([source], tmp_path / "out.jsonl")
    assert summary.counts.first_errors[0]["place"] == f"{source} row 2"
    assert "in row 2" in summary.counts.first_errors[0]["error"]


def test_a_broken_array_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_text('[{"trace": "One."}, {"trace": ')
    with pytest.raises(
        InputFileError, match=r"in\.json is not a JSON array that can be read: .* line 1 column"
    ):
        score([source], tmp_path / "out.jsonl")
    assert names_in(tmp_path) == {"in.json"}


def test_a_document_too_large_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_module, "_LARGEST_DOCUMENT", 30)
    source = tmp_path / "in.json"
    source.write_text('[{"trace": "A trace that is far too long."}]')
    with pytest.raises(InputFileError, match=r"in\.json is one JSON document of more than .*jq -c"):
        score([source], tmp_path / "out.jsonl")


def test_a_line_too_long_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_module, "_LONGEST_LINE", 30)
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "A"}, {"trace": "A trace that is far too long."}])
    with pytest.raises(InputFileError, match=r"in\.jsonl line 2 is longer than"):
        score([source], tmp_path / "out.jsonl")
