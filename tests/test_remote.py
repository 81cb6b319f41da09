"""Inputs that URLs name: in memory, and on a real server that speaks S3's protocol."""

import functools
import gzip
import http.server
import importlib
import io
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier.batch import ScoreOptions, score_files
from classifier.errors import DependencyError, InputFileError, OutputFileError
from classifier.files import BatchLimits, find_inputs
from classifier.files.manifest import read_manifest, read_provenance
from classifier.filtering import FilterOptions, filter_files
from classifier.row_stream import RowOptions
from classifier.verify import verify_output
from tests.cli_runner import CommandLine, python
from tests.fake_scorer import FakeRowScorer, loader, read_lines, refuse_to_load, score, write_lines
from tests.object_store import object_store

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra `remote`)")

BATCHES_OF_FIVE = RowOptions(limits=BatchLimits(rows=5))
ROWS = [{"id": n, "trace": f"Step {n}."} for n in range(50)]
LINES = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()


def parquet(rows: Sequence[dict[str, Any]], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file, **options)
    return file.getvalue()


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def names(*patterns: str) -> list[str]:
    return [source.name for source in find_inputs(patterns)]


def score_both(content: bytes, name: str, url: str, folder: Path, ending: str) -> None:
    """Score a local file and its copy elsewhere; the outputs must have the same bytes."""
    (folder / name).write_bytes(content)
    score([folder / name], folder / f"local{ending}", rows=BATCHES_OF_FIVE)
    score([url], folder / f"out{ending}", rows=BATCHES_OF_FIVE)
    assert (folder / f"out{ending}").read_bytes() == (folder / f"local{ending}").read_bytes()
    assert verify_output(str(folder / f"out{ending}")).problems == []
    manifest = read_manifest(folder / f"out{ending}")
    assert manifest is not None
    assert (manifest["inputs"], manifest["rows"]) == ([url], 50)


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", LINES),
        ("rows.jsonl.gz", gzip.compress(LINES)),
        ("rows.json", json.dumps(ROWS).encode()),
        ("rows.parquet", parquet(ROWS, row_group_size=7)),
    ],
)
def test_rows_elsewhere_come_out_as_local_ones(
    memory: Any, tmp_path: Path, name: str, content: bytes, ending: str
) -> None:
    memory.pipe(f"/bucket/{name}", content)
    score_both(content, name, f"memory:///bucket/{name}", tmp_path, ending)


def test_folders_and_patterns(memory: Any) -> None:
    for name in ("b.jsonl", "a.parquet", "sub/c.jsonl.gz", "notes.txt", "_temporary/d.jsonl", ".e.jsonl"):
        memory.pipe(f"/bucket/{name}", b"")
    memory.pipe("/bucket/b.jsonl.manifest.json", b"{}")
    assert names("memory:///bucket") == [
        f"memory:///bucket/{name}" for name in ("a.parquet", "b.jsonl", "sub/c.jsonl.gz")
    ]
    assert names("memory:///bucket/*.jsonl") == ["memory:///bucket/b.jsonl"]
    assert names("memory:///bucket/s*") == ["memory:///bucket/sub/c.jsonl.gz"]
    memory.pipe("/odd[1].jsonl", b"")
    assert names("memory:///odd[1].jsonl") == ["memory:///odd[1].jsonl"]


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        (["memory:///bucket/none.jsonl"], r"memory:///bucket/none\.jsonl does not exist: check the address"),
        (["memory:///bucket/none*.jsonl"], r"No object matches memory:///bucket/none\*\.jsonl"),
        (["memory:///bucket/notes.txt"], r"notes\.txt has an ending that is not known"),
        (["memory:///empty"], r"memory:///empty holds no traces"),
        (["memory:///bucket/a.jsonl", "memory:///bucket"], r"a\.jsonl is named twice"),
        (["nowhere://bucket/a.jsonl"], r"nowhere://bucket/a\.jsonl cannot be read: Protocol not known"),
        (["file:///tmp/a.jsonl"], r"is a local file: give its path, /tmp/a\.jsonl"),
    ],
)
def test_what_there_is_not(memory: Any, tmp_path: Path, urls: list[str], message: str) -> None:
    memory.pipe("/bucket/notes.txt", b"")
    memory.pipe("/bucket/a.jsonl", b"")
    memory.mkdir("/empty")
    with pytest.raises(InputFileError, match=message):
        score_files(urls, str(tmp_path / "out.jsonl"), refuse_to_load)


def test_without_the_packages_it_says_what_to_install(
    memory: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(DependencyError, match=r"Reading gs:// needs .*gcsfs for gs://"):
        find_inputs(["gs://bucket/a.jsonl"])
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(DependencyError, match=r"pip install 'branching-classifier\[remote\]'"):
        find_inputs(["memory:///bucket/a.jsonl"])
    # Files on this machine need none of it.
    write_lines(tmp_path / "rows.jsonl", ROWS)
    score([tmp_path / "rows.jsonl"], tmp_path / "out.jsonl")


def test_outputs_are_local(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/bucket/a.jsonl", LINES)
    with pytest.raises(OutputFileError, match="is a URL, and outputs are local files"):
        score_files(["memory:///bucket/a.jsonl"], "memory:///bucket/out.jsonl", refuse_to_load)
    with pytest.raises(InputFileError, match="is a URL: copy it and its manifest here"):
        verify_output("memory:///bucket/out.jsonl")


@pytest.mark.parametrize("ending", [".jsonl.gz", ".parquet"])
def test_a_run_over_rows_elsewhere_goes_on(memory: Any, tmp_path: Path, ending: str) -> None:
    memory.pipe("/bucket/a.jsonl", LINES)
    output, whole = tmp_path / f"out{ending}", tmp_path / f"whole{ending}"
    score(["memory:///bucket/a.jsonl"], whole, rows=BATCHES_OF_FIVE)

    class Stopping(FakeRowScorer):
        def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
            if len(self.batches) == 3:
                raise KeyboardInterrupt
            return super().score_rows(rows)

    options = ScoreOptions(rows=BATCHES_OF_FIVE)
    with pytest.raises(KeyboardInterrupt) as stop:
        score_files(["memory:///bucket/a.jsonl"], str(output), loader(Stopping()), options)
    assert stop.value.__notes__ == ["15 rows are scored; the same command goes on from there"]
    memory.pipe("/bucket/a.jsonl", LINES.replace(b"Step 7.", b"Changed."))
    with pytest.raises(
        InputFileError, match=r"memory:///bucket/a\.jsonl line 6 and the rows after it are not"
    ):
        score(["memory:///bucket/a.jsonl"], output, rows=BATCHES_OF_FIVE)
    memory.pipe("/bucket/a.jsonl", LINES)
    summary = score(["memory:///bucket/a.jsonl"], output, rows=BATCHES_OF_FIVE)
    assert summary.rows_before == 15
    assert output.read_bytes() == whole.read_bytes()


def test_a_connection_that_breaks(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class BreakingFile(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > len(LINES) // 2:
                raise ValueError("the line went dead.\nDetails that nobody reads")
            return super().read(min(size or 0, 97))

    usual = type(memory)._open

    def breaking(system: Any, path: str, *arguments: Any, **options: Any) -> io.BytesIO:
        return BreakingFile(usual(system, path, *arguments, **options).getvalue())

    monkeypatch.setattr(type(memory), "_open", breaking)
    memory.pipe("/bucket/a.jsonl", LINES)
    memory.pipe("/bucket/a.parquet", parquet(ROWS))
    url = "memory:///bucket/a.jsonl"
    with pytest.raises(InputFileError) as failure:
        score([url], tmp_path / "out.jsonl", rows=BATCHES_OF_FIVE)
    assert str(failure.value).startswith(f"{url} cannot be read after line 2")
    assert str(failure.value).endswith(
        ": the line went dead. Check the address, the credentials and the network"
    )
    with pytest.raises(InputFileError, match="the line went dead"):
        score(["memory:///bucket/a.parquet"], tmp_path / "out.jsonl", rows=BATCHES_OF_FIVE)
    monkeypatch.setattr(type(memory), "_open", usual)
    score([url], tmp_path / "out.jsonl", rows=BATCHES_OF_FIVE)
    assert len(read_lines(tmp_path / "out.jsonl")) == 50
    manifest = read_manifest(tmp_path / "out.jsonl")
    assert manifest is not None
    assert [attempt["rows_scored"] for attempt in manifest["attempts"]] == [25, 25]


def test_what_scored_rows_elsewhere_is_known(memory: Any, tmp_path: Path) -> None:
    for name, sha256 in (("a", "a"), ("b", "b")):
        memory.pipe(f"/bucket/{name}.jsonl", LINES)
        local = tmp_path / f"{name}.jsonl"
        score_files([f"memory:///bucket/{name}.jsonl"], str(local), loader(sha256=sha256 * 64))
        memory.pipe(f"/scored/{name}.jsonl", local.read_bytes())
        (source,) = find_inputs([f"memory:///scored/{name}.jsonl"])
        assert read_provenance(source) is None
        beside = local.with_name(local.name + ".manifest.json")
        memory.pipe(f"/scored/{beside.name}", beside.read_bytes())
        assert (read_provenance(source) or {})["model"]["sha256"] == sha256 * 64
    options = FilterOptions(keep=0.5)
    with pytest.raises(InputFileError, match="their rates cannot be compared"):
        filter_files(["memory:///scored"], str(tmp_path / "kept.jsonl"), refuse_to_load, options)
    filter_files(["memory:///scored/a.jsonl"], str(tmp_path / "kept.jsonl"), refuse_to_load, options)
    assert len(read_lines(tmp_path / "kept.jsonl")) == 25


def test_a_web_server_and_a_secret_in_the_address(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    write_lines(tmp_path / "a.jsonl", ROWS)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"127.0.0.1:{server.server_port}/a.jsonl"
            score([f"http://{address}?signature=secret"], tmp_path / "out.jsonl")
        finally:
            server.shutdown()
            thread.join()
    manifest = read_manifest(tmp_path / "out.jsonl")
    assert manifest is not None
    assert manifest["inputs"] == [f"http://{address}"]
    assert len(read_lines(tmp_path / "out.jsonl")) == 50


def test_the_hub_without_a_network(branching: CommandLine, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (extra `remote`)")
    done = branching("score", "hf://datasets/nobody/nothing/a.jsonl", "-o", tmp_path / "out.jsonl")
    assert done.code == 2
    assert "hf://datasets/nobody/nothing/a.jsonl cannot be read: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def branching(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    for module in ("s3fs", "moto", "flask", "flask_cors"):
        pytest.importorskip(module, reason=f"{module} is not installed (extras `remote` and `test`)")
    with object_store() as environment:
        yield environment


@pytest.fixture
def s3(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of the server; everything in this process finds the server too."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    s3fs = importlib.import_module("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()
    client = importlib.import_module("boto3").client("s3")
    client.create_bucket(Bucket="traces")
    yield client
    for found in client.list_objects_v2(Bucket="traces").get("Contents", []):
        client.delete_object(Bucket="traces", Key=found["Key"])
    client.delete_bucket(Bucket="traces")
    client.close()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
class TestS3:
    """Rows of a real server."""

    @pytest.mark.parametrize(
        ("name", "content"), [("rows.jsonl.gz", gzip.compress(LINES)), ("rows.parquet", parquet(ROWS))]
    )
    def test_rows_come_out_as_local_ones(self, s3: Any, tmp_path: Path, name: str, content: bytes) -> None:
        s3.put_object(Bucket="traces", Key=f"deep/{name}", Body=content)
        score_both(content, name, f"s3://traces/deep/{name}", tmp_path, ".parquet")

    def test_more_than_one_block(self, s3: Any, tmp_path: Path) -> None:
        rows = [{"trace": f"{n} " + "word " * 20_000, "id": n} for n in range(50)]
        lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        s3.put_object(Bucket="traces", Key="long.jsonl", Body=lines)
        score_both(lines, "long.jsonl", "s3://traces/long.jsonl", tmp_path, ".jsonl")
        table = parquet(rows, row_group_size=9, compression="none", use_dictionary=False)
        s3.put_object(Bucket="traces", Key="long.parquet", Body=table)
        score_both(table, "long.parquet", "s3://traces/long.parquet", tmp_path, ".parquet")

    def test_folders_patterns_and_what_there_is_not(self, s3: Any, branching: CommandLine) -> None:
        for name in ("a.jsonl", "part/b.jsonl", "part/_c.jsonl"):
            s3.put_object(Bucket="traces", Key=name, Body=LINES)
        assert names("s3://traces") == ["s3://traces/a.jsonl", "s3://traces/part/b.jsonl"]
        assert names("s3://traces/*.jsonl") == ["s3://traces/a.jsonl"]
        missing = branching("score", "s3://traces/none.jsonl", "--show")
        assert (missing.code, "s3://traces/none.jsonl does not exist" in missing.stderr) == (2, True)
        nowhere = branching("score", "s3://no-such-bucket/a.jsonl", "--show")
        assert (nowhere.code, "s3://no-such-bucket/a.jsonl" in nowhere.stderr) == (2, True)

    def test_a_server_that_is_not_there(
        self, s3: Any, branching: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        s3fs = importlib.import_module("s3fs")
        s3fs.S3FileSystem.clear_instance_cache()
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        done = branching("score", "s3://traces/a.jsonl", "--show")
        assert done.code == 2
        assert "s3://traces/a.jsonl cannot be read: Could not connect" in done.stderr

    def test_a_killed_run_goes_on(self, s3: Any, tmp_path: Path) -> None:
        s3.put_object(Bucket="traces", Key="a.jsonl", Body=LINES)
        code = f"""
        import os, signal, sys
        from classifier.batch import ScoreOptions, score_files
        from classifier.files import BatchLimits
        from classifier.row_stream import RowOptions
        from tests.fake_scorer import FakeRowScorer, loader

        class Killed(FakeRowScorer):
            def score_rows(self, rows):
                if len(self.batches) == {{batches}}:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().score_rows(rows)

        options = ScoreOptions(rows=RowOptions(limits=BatchLimits(rows=5)))
        score_files(["s3://traces/a.jsonl"], {str(tmp_path / "out.jsonl")!r}, loader(Killed()), options)
        """
        for batches in (3, 4):
            run = python(code.replace("{batches}", str(batches)))
            _, errors = run.communicate()
            assert run.returncode == -signal.SIGKILL, errors
        score(["s3://traces/a.jsonl"], tmp_path / "out.jsonl", rows=BATCHES_OF_FIVE)
        manifest = read_manifest(tmp_path / "out.jsonl")
        assert manifest is not None
        assert [attempt["rows_scored"] for attempt in manifest["attempts"]] == [20, 25, 15]
        score(["s3://traces/a.jsonl"], tmp_path / "whole.jsonl", rows=BATCHES_OF_FIVE)
        assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
