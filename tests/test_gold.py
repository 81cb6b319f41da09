"""Labelled documents: what a row without an identifier is called."""

import json
from pathlib import Path

import pytest

from classifier.errors import InputFileError
from training.gold import read_gold


def write_rows(path: Path, traces: list[str]) -> Path:
    rows = [{"trace": trace, "steps": [{"start": 0, "end": 4, "label": 0}]} for trace in traces]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_identifier_of_a_row_without_one_is_of_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "labelled.jsonl", ["Five apples.", "Four pears.", "Half \ud83d of it."])
    monkeypatch.chdir(tmp_path)
    identifiers = [one.id for one in read_gold(["labelled.jsonl"])]
    assert identifiers == [one.id for one in read_gold([path])]
    assert len(set(identifiers)) == 3
    elsewhere = write_rows(tmp_path / "other.jsonl", ["Four pears."])
    assert read_gold([elsewhere])[0].id == identifiers[1]


def test_trace_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text(json.dumps({"trace": ["One.", "Two."], "steps": []}) + "\n")
    with pytest.raises(InputFileError, match=r"labelled\.jsonl, line 1: expected a JSON object"):
        read_gold([path])
