"""Labelled traces written by hand, and the ways in which labelled documents are read."""

import gzip
from pathlib import Path

import pytest

from classifier.errors import InputFileError
from classifier.steps import split_steps
from tests.toy_training import write_gold, write_traces
from training.gold import read_gold
from training.label_archive import read_labelled, write_archive
from training.written_traces import read_written_traces

TEXT = """\
=== style: notes | domain: fractions | problem: What is a half of 6/7?
C A half of 6/7 is 3/7.
A Or does a half mean 0.5 less?
B That reading gives nothing sensible, so drop it.

- ignored
"""


def test_steps_and_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "fractions.txt"
    path.write_text(
        TEXT.replace("- ignored", "C - A list item.\nC y = 3/7\nC It is done.") + TEXT.splitlines()[0]
    )
    (document,) = read_written_traces(path)
    assert document.trace == (
        "A half of 6/7 is 3/7. Or does a half mean 0.5 less? That reading gives nothing sensible, so drop it."
        "\n\n- A list item.\ny = 3/7\nIt is done."
    )
    assert [step.kind for step in document.steps] == ["C", "A", "B", "C", "C", "C"]
    assert [document.trace[start:end] for start, end in document.spans][1] == "Or does a half mean 0.5 less?"
    assert document.spans == split_steps(document.trace)
    assert (document.id, document.model, document.group) == (
        f"{tmp_path.name}/fractions-1",
        "notes",
        "written",
    )
    assert document.problem_id == "What is a half of 6/7?"


@pytest.mark.parametrize("line", ["D So x = 4.", "C", "Cx", "So x = 4.", "- ignored"])
def test_other_lines_are_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "wrong.txt"
    path.write_text(f"=== style: notes\nC Right.\n{line}\n")
    with pytest.raises(InputFileError, match=r"wrong\.txt, line 3: expected .*got"):
        read_written_traces(path)


def test_step_before_any_heading_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "headless.txt"
    path.write_text("C So x = 4.\n")
    with pytest.raises(InputFileError, match="line 1"):
        read_written_traces(path)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.txt").write_bytes(b"\xff")
    for path in (tmp_path / "bytes.txt", tmp_path / "absent.txt"):
        with pytest.raises(InputFileError, match=path.name):
            read_written_traces(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputFileError, match="expected labelled traces"):
        read_written_traces(tmp_path / "empty")


def test_every_form_of_labelled_documents(tmp_path: Path) -> None:
    traces = write_traces(tmp_path / "traces", 5)
    plain = write_gold(tmp_path / "gold.jsonl", 5, first=1_000)
    packed = tmp_path / "gold.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    archive = tmp_path / "gold.parquet"
    write_archive(read_gold([plain]), archive)
    written = tmp_path / "written" / "one.txt"
    written.parent.mkdir()
    written.write_text(TEXT.replace("- ignored\n", ""))
    expected = read_gold([plain])
    assert read_labelled(plain, []) == read_labelled(packed, []) == expected
    rebuilt = read_labelled(archive, [traces])
    assert [(one.id, one.trace, one.steps) for one in rebuilt] == [
        (one.id, one.trace, one.steps) for one in expected
    ]
    assert read_labelled(written, []) == read_labelled(written.parent, [])
    with pytest.raises(InputFileError, match="not among the given ones"):
        read_labelled(archive, [write_traces(tmp_path / "fewer", 4)])
