"""One row per schema, field for field as the public card has it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from classifier.traces import SCHEMAS, RowTraces, Trace, read_traces

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "schemas").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    fixture = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(fixture, dict)
    return fixture


def is_of(value: object, type_name: str) -> bool:
    """Tell whether a value has the type that a data set's card names; null fits every type."""
    if value is None:
        return True
    if type_name.startswith("list["):
        return isinstance(value, list) and all(is_of(item, type_name[5:-1]) for item in value)
    types = {"string": str, "int64": int, "bool": bool, "message": dict, "null": type(None)}
    return type(value) is types[type_name]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixture_has_the_fields_of_its_card(path: Path) -> None:
    fixture = load(path)
    assert fixture["card"]
    if fixture["fields"] is None:
        assert isinstance(fixture["row"], str)
    else:
        assert list(fixture["row"]) == list(fixture["fields"])
        assert all(is_of(fixture["row"][name], kind) for name, kind in fixture["fields"].items())


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixture_is_read(path: Path) -> None:
    fixture = load(path)
    expected = RowTraces(
        tuple(Trace(*pair) for pair in zip(fixture["traces"], fixture["places"], strict=True)),
        fixture["several"],
        fixture["schema"],
    )
    assert read_traces(fixture["row"]) == expected


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixture_is_read_the_same_when_its_schema_is_named(path: Path) -> None:
    fixture = load(path)
    assert read_traces(fixture["row"], schema=fixture["schema"]) == read_traces(fixture["row"])


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixture_is_read_the_same_from_arrow_and_pandas(path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    fixture = load(path)
    if isinstance(fixture["row"], str):
        pytest.skip("a plain text has no columns")
    table = pa.Table.from_pylist([fixture["row"]])
    expected = read_traces(fixture["row"])
    frame = table.to_pandas()
    assert read_traces(table.to_pylist()[0]) == expected
    assert read_traces({name: table[name][0] for name in table.column_names}) == expected
    # Lists become numpy arrays of objects, and nulls may become NaN.
    assert read_traces({name: frame[name].iloc[0] for name in frame.columns}) == expected


def test_every_schema_that_is_found_has_a_fixture() -> None:
    found = {load(path)["schema"] for path in FIXTURES}
    assert found == set(SCHEMAS) - {"inline", "harmony"}


def test_all_traces_of_the_shared_files_are_read_whole(shared_data: Path) -> None:
    rows = 0
    for path in sorted((shared_data / "traces").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                assert read_traces(row) == RowTraces((Trace(row["trace"], "trace"),), False, "trace")
                rows += 1
    assert rows == 6_061
