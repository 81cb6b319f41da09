"""Inputs: which files a call names, and what is said about those that cannot be read."""

import gzip
import io
import json
import os
import threading
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from classifier.batch import ScoreOptions, score_files
from classifier.errors import InputFileError, OptionError
from classifier.files import BatchLimits, find_inputs, read_batches
from classifier.files.manifest import read_provenance
from classifier.row_stream import RowOptions
from tests.fake_scorer import fake_rate, loader, names_in, read_lines, refuse_to_load, score, write_lines

LINE = b'{"trace": "One step."}\n'


def names(*patterns: Path | str) -> list[str]:
    return [Path(source.name).name for source in find_inputs([str(pattern) for pattern in patterns])]


def touch(folder: Path, *files: str) -> None:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_a_folder_stands_for_its_traces(tmp_path: Path) -> None:
    touch(
        tmp_path, "b.jsonl", "a.parquet", "sub/c.jsonl.gz", "sub/d.ndjson.zst", "e.json", "notes.txt", "f.gz"
    )
    touch(tmp_path, ".hidden.jsonl", "_temporary/g.jsonl", ".cache/h.parquet", "b.jsonl.manifest.json")
    (tmp_path / "folder.jsonl").mkdir()
    assert names(tmp_path) == ["a.parquet", "b.jsonl", "c.jsonl.gz", "d.ndjson.zst"]


def test_json_documents_of_a_folder_count_where_it_has_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "b.json", "a.json.gz", "a.jsonl.manifest.json")
    assert names(tmp_path) == ["a.json.gz", "b.json"]


def test_patterns_and_order(tmp_path: Path) -> None:
    touch(tmp_path, "b1.jsonl", "a1.jsonl", "a2.jsonl", "deep/er/a3.jsonl", "odd[1].jsonl")
    assert names(tmp_path / "b*.jsonl", tmp_path / "a*.jsonl") == ["b1.jsonl", "a1.jsonl", "a2.jsonl"]
    assert names(tmp_path / "**" / "a3.jsonl") == ["a3.jsonl"]
    assert names(tmp_path / "odd[1].jsonl") == ["odd[1].jsonl"]


def test_rows_of_several_inputs_keep_their_order(tmp_path: Path) -> None:
    write_lines(tmp_path / "b.jsonl", [{"trace": f"B {n}."} for n in range(7)])
    pq.write_table(pa.table({"trace": [f"A {n}." for n in range(7)]}), tmp_path / "a.parquet")
    limits = BatchLimits(rows=3)
    score(
        [tmp_path / "b.jsonl", tmp_path / "a.parquet"], tmp_path / "out.jsonl", rows=RowOptions(limits=limits)
    )
    traces = [row["trace"] for row in read_lines(tmp_path / "out.jsonl")]
    assert traces == [f"B {n}." for n in range(7)] + [f"A {n}." for n in range(7)]


def test_limit_counts_over_all_inputs(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        write_lines(tmp_path / name, [{"trace": f"{name} {n}."} for n in range(3)])
    inputs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    score(inputs, tmp_path / "out.jsonl", rows=RowOptions(limit=4))
    traces = [row["trace"] for row in read_lines(tmp_path / "out.jsonl")]
    assert traces == ["a.jsonl 0.", "a.jsonl 1.", "a.jsonl 2.", "b.jsonl 0."]
    with pytest.raises(OptionError, match="limit is 0"):
        RowOptions(limit=0)


def test_batches_end_at_either_limit(tmp_path: Path) -> None:
    lines = [{"trace": "x" * size} for size in (10, 10, 10, 500, 10)]
    (source,) = find_inputs([str(write_lines(tmp_path / "in.jsonl", lines))])
    sizes = [len(batch.rows) for batch in read_batches(source, BatchLimits(rows=2, characters=400))]
    assert sizes == [2, 2, 1]
    pq.write_table(pa.table({"trace": ["x" * 10_000] * 40}), tmp_path / "in.parquet", use_dictionary=False)
    (source,) = find_inputs([str(tmp_path / "in.parquet")])
    batches = list(read_batches(source, BatchLimits(rows=30, characters=100_000)))
    assert 5 <= len(batches[0].rows) <= 10
    assert [number for batch in batches for number in batch.numbers] == list(range(1, 41))
    assert batches[-1].share_read == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.jsonl", r"none\.jsonl does not exist: check the path"),
        (lambda folder: folder / "none*.jsonl", r"No file matches .*none\*\.jsonl: check the pattern"),
        (lambda folder: folder / "notes.txt" / "a.jsonl", r"cannot be read: Not a directory"),
        (
            lambda folder: folder / "notes.txt",
            r"notes\.txt has an ending that is not known: exp",
        ),
        (lambda folder: folder / "table.parquet.gz", r"table\.parquet\.gz has an ending that is not known"),
        (lambda folder: folder / "empty", r"empty holds no traces: it has no file that ends in \.jsonl"),
    ],
)
def test_what_cannot_be_an_input(tmp_path: Path, make: object, message: str) -> None:
    touch(tmp_path, "notes.txt", "table.parquet.gz", "empty/readme.md")
    assert callable(make)
    with pytest.raises(InputFileError, match=message):
        score_files([str(make(tmp_path))], str(tmp_path / "out.jsonl"), refuse_to_load)
    assert not (tmp_path / "out.jsonl").exists()


def test_no_input_at_all() -> None:
    with pytest.raises(InputFileError, match="No input was given"):
        find_inputs([])


def test_an_input_named_twice_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.jsonl")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    for patterns in (
        [tmp_path, tmp_path / "a.jsonl"],
        [tmp_path / "link.jsonl", tmp_path / "a*"],
        ["-", "-"],
    ):
        with pytest.raises(InputFileError, match="named twice"):
            names(*patterns)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "One."}])
    source.chmod(0)
    # The tests may run as root, whom no permission stops.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputFileError, match=r"in\.jsonl cannot be read: permission denied"):
        find_inputs([str(source)])


def test_a_file_that_fails_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "One."}])

    class Failing(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().readline(size)

    monkeypatch.setattr("classifier.files.inputs._decompressed", lambda raw, source: Failing(LINE * 2))
    with pytest.raises(InputFileError, match=r"in\.jsonl cannot be read after line 1: Input/output error"):
        score([source], tmp_path / "out.jsonl")
    assert names_in(tmp_path) == {"in.jsonl"}


def random_lines() -> bytes:
    return b"".join(b'{"trace": "%s"}\n' % os.urandom(40).hex().encode() for _ in range(5000))


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_truncated_compressed_files(tmp_path: Path, ending: str) -> None:
    compress = gzip.compress if ending == "gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    data = compress(random_lines())
    source = tmp_path / f"in.jsonl.{ending}"
    for kept in (len(data) * 2 // 3, len(data) - 1, 5):
        source.write_bytes(data[:kept])
        with pytest.raises(InputFileError, match=rf"in\.jsonl\.{ending} is damaged or ends early.*again"):
            score([source], tmp_path / "out.jsonl")
        assert names_in(tmp_path) <= {source.name, ".out.jsonl.journal"}
    source.write_bytes(data)
    assert score([source], tmp_path / "out.jsonl").counts.rows == 5000
    source.write_bytes(data[:1000] + b"\0\0\0\0" + data[1004:])
    with pytest.raises(InputFileError, match=r"is damaged or ends early"):
        score([source], tmp_path / "out.parquet")
    assert names_in(tmp_path) == {source.name, "out.jsonl", "out.jsonl.manifest.json"}


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.gz", "in.jsonl.zst", "in.zst", "in.jsonl"])
def test_compressed_files_of_several_parts(tmp_path: Path, name: str) -> None:
    compress = zstandard.ZstdCompressor().compress if name.endswith("zst") else gzip.compress
    (tmp_path / name).write_bytes(compress(LINE) + compress(LINE * 2))
    score([tmp_path / name], tmp_path / "out.jsonl")
    assert [row["trace"] for row in read_lines(tmp_path / "out.jsonl")] == ["One step."] * 3


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("in.jsonl.gz", LINE, "is named as gzip data but holds something else"),
        ("in.jsonl.gz", b"", "is named as gzip data but is empty"),
        ("in.jsonl.zst", gzip.compress(LINE), "is named as zstd data but holds something else"),
        ("in.jsonl", b"PAR1....PAR1", "holds Parquet, not JSON"),
        ("in.jsonl", LINE.decode().encode("utf-16"), "is UTF-16 text.*iconv"),
        ("in.parquet", b"PAR1" + b"\0" * 30 + b"PAR1", "is no Parquet file, or a damaged one"),
        ("in.parquet", LINE, "is no Parquet file, or a damaged one"),
        ("in.parquet", b"", "is no Parquet file, or a damaged one"),
    ],
)
@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
def test_content_that_is_not_what_the_name_says(
    tmp_path: Path, name: str, data: bytes, message: str, output: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputFileError, match=f"{name} {message}"):
        score([tmp_path / name], tmp_path / output)
    assert names_in(tmp_path) == {name}


def test_parquet_damaged_in_the_middle(tmp_path: Path) -> None:
    pq.write_table(pa.table({"trace": [os.urandom(50).hex() for _ in range(3000)]}), tmp_path / "in.parquet")
    data = bytearray((tmp_path / "in.parquet").read_bytes())
    data[4:40] = b"\xff" * 36
    (tmp_path / "in.parquet").write_bytes(data)
    with pytest.raises(InputFileError, match=r"in\.parquet is damaged or ends early after row 0"):
        score([tmp_path / "in.parquet"], tmp_path / "out.parquet")
    assert names_in(tmp_path) == {"in.parquet"}


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    touch(tmp_path, "in.jsonl", "in.json")
    for output in ("out.jsonl", "out.parquet"):
        assert score([tmp_path / "in.jsonl", tmp_path / "in.json"], tmp_path / output).counts.rows == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_pipes_are_read_as_json_lines(tmp_path: Path) -> None:
    for output in ("out.jsonl", "out.parquet"):
        pipe = tmp_path / f"pipe-{output}"
        os.mkfifo(pipe)
        feeder = threading.Thread(target=pipe.write_bytes, args=(LINE * 3,))
        feeder.start()
        assert score([pipe], tmp_path / output).counts.scored == 3
        feeder.join()
    assert len(read_lines(tmp_path / "out.jsonl")) == 3
    assert (
        pq.read_table(tmp_path / "out.parquet").column("branch_rate").to_pylist()
        == [fake_rate("One step.")] * 3
    )


def test_a_spooled_stream_can_be_read_again(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(LINE * 3),))
    feeder.start()
    (source,) = find_inputs([str(pipe)])
    was_stream = source.is_stream
    source.spool()
    source.spool()
    feeder.join()
    assert (was_stream, source.is_stream) == (True, False)
    for _ in range(2):
        (batch,) = read_batches(source)
        assert batch.rows == [{"trace": "One step."}] * 3
    source.close()


def test_a_stream_that_cannot_be_spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.RawIOBase):
        def write(self, data: object, /) -> NoReturn:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("classifier.files.inputs.tempfile.TemporaryFile", Full)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=pipe.write_bytes, args=(LINE,))
    feeder.start()
    with pytest.raises(InputFileError, match=r"pipe must be read twice.*No space left on device.*TMPDIR"):
        score([pipe], tmp_path / "out.parquet")
    feeder.join()


@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet"])
def test_rows_that_were_scored_before(tmp_path: Path, name: str, output: str) -> None:
    row = {"branch_rate": 9, "trace": "One.", "branch_steps": "old", "own": 1, "branch_error": "old"}
    write_lines(tmp_path / "in.jsonl", [row])
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "in.parquet")
    before = names_in(tmp_path)
    with pytest.raises(OptionError, match=rf"{name}.* already has the columns branch_.*--overwrite-columns"):
        score([tmp_path / name], tmp_path / output)
    assert names_in(tmp_path) == before
    score([tmp_path / name], tmp_path / output, overwrite_columns=True)
    path = tmp_path / output
    (result,) = pq.read_table(path).to_pylist() if output == "out.parquet" else read_lines(path)
    assert list(result) == ["trace", "own", "branch_rate", "branch_count", "step_count", "branch_error"]
    assert result["branch_rate"] == fake_rate("One.")
    assert result["branch_error"] is None


def test_a_scored_row_that_turns_up_late(tmp_path: Path) -> None:
    rows = [{"trace": "One."}] * 4 + [{"trace": "Two.", "step_count": 3}]
    write_lines(tmp_path / "in.jsonl", rows)
    limits = BatchLimits(rows=2)
    with pytest.raises(OptionError, match=r"in\.jsonl line 5 already has the column step_count\. Give"):
        score([tmp_path / "in.jsonl"], tmp_path / "out.jsonl", rows=RowOptions(limits=limits))
    assert names_in(tmp_path) == {"in.jsonl", ".out.jsonl.journal"}


def test_overwriting_columns_keeps_the_rest_of_the_line(tmp_path: Path) -> None:
    line = '{"branch_rate": 1, "trace": "One.", "n":1.0, "branch\\u005ferror": "x" ,"e": "\\u00e9"}'
    score([write_lines(tmp_path / "in.jsonl", [line])], tmp_path / "out.jsonl", overwrite_columns=True)
    text = (tmp_path / "out.jsonl").read_text()
    assert text.startswith('{"trace": "One.", "n":1.0, "e": "\\u00e9", "branch_rate": ')


def test_provenance_is_only_believed_where_it_fits(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": "One."}])
    score_files([str(source)], str(tmp_path / "out.jsonl"), loader(), ScoreOptions())
    beside = tmp_path / "out.jsonl.manifest.json"
    (scored,) = find_inputs([str(tmp_path / "out.jsonl")])
    found = read_provenance(scored)
    assert found is not None
    assert found["model"]["name"] == "fake"
    assert json.loads(beside.read_text())["rows"] == 1
    for text in ("[1]", "{oops", '{"model": "fake"}'):
        beside.write_text(text)
        assert read_provenance(scored) is None
    assert read_provenance(find_inputs(["-"])[0]) is None
    score_files([str(source)], str(tmp_path / "out.jsonl"), loader(), ScoreOptions(overwrite=True))
    write_lines(tmp_path / "out.jsonl", [{"trace": "Edited.", "branch_rate": 0.5}])
    (changed,) = find_inputs([str(tmp_path / "out.jsonl")])
    assert read_provenance(changed) is None
