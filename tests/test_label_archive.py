"""The labels without their text, written and rebuilt."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier.errors import InputFileError, OptionError, OutputFileError
from tests.toy_gold import toy_document, without_kinds, write_gold
from training.gold import GoldDocument
from training.label_archive import COLUMNS, rebuild_gold, write_archive
from training.label_files import trace_sha256

ROOT = Path(__file__).parent.parent
ARCHIVES = ROOT / "training" / "labels"
DOCUMENTS = [
    replace(toy_document(seed), source="toys", problem_id=f"p{seed}", group=f"group-{seed % 2}")
    for seed in range(4)
]


def write_traces(path: Path, documents: Sequence[GoldDocument]) -> str:
    rows = [
        {"trace": document.trace, "kind": "raw_cot" if number % 2 else "direct_output"}
        for number, document in enumerate(documents)
    ]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return str(path)


def test_documents_come_back_as_they_were(tmp_path: Path) -> None:
    archive = tmp_path / "gold.parquet"
    count = write_archive(DOCUMENTS, archive)
    other = toy_document(99)
    # Traces are found in whatever order and company they are, and whatever their kind.
    traces = write_traces(tmp_path / "traces.jsonl.gz", [other, *reversed(DOCUMENTS)])
    rebuilt = rebuild_gold(archive, [traces])

    assert count == sum(len(document.steps) for document in DOCUMENTS)
    assert list(rebuilt.documents) == DOCUMENTS
    assert rebuilt.missing == ()


def test_archive_holds_offsets_and_kinds_but_no_text(tmp_path: Path) -> None:
    archive = tmp_path / "gold.parquet"
    write_archive(DOCUMENTS, archive)
    table = pq.read_table(archive)
    first = table.slice(0, 1).to_pylist()[0]

    assert tuple(table.column_names) == COLUMNS
    assert first["trace_sha256"] == trace_sha256(DOCUMENTS[0].trace)
    assert (first["start"], first["end"]) == DOCUMENTS[0].spans[0]
    words = {word for document in DOCUMENTS for word in re.findall(r"[A-Za-z]{5,}", document.trace)}
    texts = json.dumps(table.to_pylist())
    assert not [word for word in words if word in texts]


def test_documents_without_trace_are_named(tmp_path: Path) -> None:
    archive = tmp_path / "gold.parquet"
    write_archive(DOCUMENTS, archive)
    changed = replace(DOCUMENTS[2], trace=DOCUMENTS[2].trace + " ")
    traces = write_traces(tmp_path / "traces.jsonl.gz", [DOCUMENTS[0], changed, DOCUMENTS[3]])
    rebuilt = rebuild_gold(archive, [traces])

    assert [document.id for document in rebuilt.documents] == ["toy-0", "toy-3"]
    assert rebuilt.missing == ("toy-1", "toy-2")


def test_two_documents_of_one_trace_both_come_back(tmp_path: Path) -> None:
    whole = DOCUMENTS[0]
    halves = [
        replace(whole, id="first", steps=whole.steps[:6]),
        replace(whole, id="second", steps=whole.steps[6:]),
    ]
    archive = tmp_path / "gold.parquet"
    write_archive(halves, archive)

    assert list(rebuild_gold(archive, [write_traces(tmp_path / "t.jsonl.gz", [whole])]).documents) == halves


def test_steps_without_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"toy-0.*no kind"):
        write_archive([without_kinds(DOCUMENTS[0])], tmp_path / "gold.parquet")
    assert not list(tmp_path.iterdir())


def test_equal_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="two documents have the id toy-1"):
        write_archive([DOCUMENTS[1], DOCUMENTS[1]], tmp_path / "gold.parquet")


def test_archive_that_exists_is_kept(tmp_path: Path) -> None:
    archive = tmp_path / "gold.parquet"
    write_archive(DOCUMENTS[:1], archive)
    with pytest.raises(OutputFileError, match="exists"):
        write_archive(DOCUMENTS, archive)
    write_archive(DOCUMENTS, archive, overwrite=True)

    assert len(set(pq.read_table(archive)["document"].to_pylist())) == 4


def test_other_files_are_no_archive(tmp_path: Path) -> None:
    traces = write_traces(tmp_path / "traces.jsonl.gz", DOCUMENTS)
    pq.write_table(pa.table({"start": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputFileError, match="expected the columns source"):
        rebuild_gold(tmp_path / "other.parquet", [traces])
    with pytest.raises(InputFileError, match="cannot be read"):
        rebuild_gold(tmp_path / "missing.parquet", [traces])


def test_steps_that_do_not_fit_their_trace_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "gold.parquet"
    write_archive(DOCUMENTS[:1], archive)
    table = pq.read_table(archive)
    ends = pa.array([100_000] * len(table), pa.int32())
    pq.write_table(table.set_column(COLUMNS.index("end"), "end", ends), archive)
    with pytest.raises(InputFileError, match=r"toy-0.*does not fit"):
        rebuild_gold(archive, [write_traces(tmp_path / "t.jsonl.gz", DOCUMENTS)])


def test_module_writes_an_archive(tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "gold.jsonl.gz", DOCUMENTS)
    output = tmp_path / "gold.parquet"
    done = subprocess.run(
        [sys.executable, "-m", "training.label_archive", str(gold), "-o", str(output)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert "48 steps" in done.stdout
    assert pq.read_metadata(output).num_rows == 48


@pytest.mark.parametrize(("name", "documents", "steps"), [("train", 619, 30_998), ("dev", 23, 1_195)])
def test_committed_archives_are_whole(name: str, documents: int, steps: int) -> None:
    table = pq.read_table(ARCHIVES / f"gold_{name}.parquet")

    assert tuple(table.column_names) == COLUMNS
    assert table.num_rows == steps
    assert len(set(table["document"].to_pylist())) == documents
    assert set(table["kind"].to_pylist()) == set("CABR")
    # Names, numbers and digests are a few words at most: no column hides a text.
    for column in COLUMNS:
        assert max(len(str(value).split()) for value in table[column].to_pylist()) <= 4
