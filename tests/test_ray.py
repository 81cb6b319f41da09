"""Scoring on Ray: the local run's columns and bits, also when a worker is killed; refusals."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier import BranchFilter, BranchScorer
from classifier.adapters.ray import RayBranchScorer, default_workers, score_dataset
from classifier.adapters.ray_files import _model_for_workers, _rows_per_block, score_parquet
from classifier.batch import ScoreOptions, score_files
from classifier.debug_encoder import DebugEncoder
from classifier.errors import DependencyError, EngineError, ModelError, OptionError, UsageError
from classifier.files import BatchLimits, find_inputs
from classifier.loading import scorer_loader
from classifier.row_stream import RowOptions
from tests.cli_runner import CommandLine
from tests.example_traces import BRANCHING, CONVERGING, TRACES
from tests.ray_cluster import RAY_WARNINGS, two_cpus

ray = pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")

pytestmark = [pytest.mark.slow, *RAY_WARNINGS]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with two_cpus():
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three tables whose columns differ a little."""
    folder = tmp_path_factory.mktemp("rows")
    rows = [
        {"id": number, "meta": {"source": "a", "tags": ["x", None]}, "trace": f"Case {number}. {text}"}
        for number, text in enumerate([*TRACES] * 12)
    ]
    for row in rows[5::20]:
        row["trace"] = None
    for part in range(3):
        table = pa.Table.from_pylist(rows[part * 24 : part * 24 + 24])
        if part == 1:
            table = table.set_column(0, "id", table["id"].cast(pa.int32()))
        if part == 2:
            table = table.append_column("extra", pa.array(range(24)))
        pq.write_table(table.replace_schema_metadata({"origin": "test"}), folder / f"{2 - part}.parquet")
    return folder


def small_blocks(**options: Any) -> ScoreOptions:
    return ScoreOptions(rows=RowOptions(limits=BatchLimits(rows=6)), **options)


def local(inputs: Path, output: Path, options: ScoreOptions | None = None) -> pa.Table:
    load = scorer_loader(provider="cpu", steps=options.steps if options else False)
    score_files([str(inputs)], str(output), load, options)
    return pq.read_table(output)


def in_order(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(part) for part in sorted(folder.iterdir())])


def workers_of_ray() -> dict[int, psutil.Process]:
    """Return the processes of this test's Ray that score."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::MapWorker"):
                found[process.pid] = process
        except psutil.Error:
            continue
    return found


@pytest.mark.usefixtures("cluster")
def test_a_run_whose_worker_is_killed_gives_the_table_of_the_local_run(inputs: Path, tmp_path: Path) -> None:
    expected = local(inputs, tmp_path / "local.parquet", ScoreOptions(steps=True))
    arguments = ([str(inputs)], str(tmp_path / "scored"), small_blocks(steps=True))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(score_parquet, *arguments, workers=2)
        busy: list[int] = []
        while not run.done() and not busy:
            # Past its imports, a worker is at its rows.
            busy = [pid for pid, one in workers_of_ray().items() if one.cpu_times().user > 1.2]
            time.sleep(0.02)
        os.kill(busy[0], signal.SIGKILL)
        assert not run.done(), "the worker was killed in the middle of the run"
        seen: set[int] = set()
        while not run.done():
            seen |= workers_of_ray().keys()
            time.sleep(0.05)
        summary = run.result()
    table = in_order(tmp_path / "scored")
    assert seen - {busy[0]}, "others went on"
    ids: list[Any] = table["id"].to_pylist()
    assert sorted(ids) == list(range(72)), "no row is lost, none is there twice"
    assert table.schema.equals(expected.schema, check_metadata=True)
    assert table.equals(expected), "the order, types and bits are the same"
    assert summary.counts.rows == 72
    assert summary.counts.errors == {"type": 4}
    assert summary.counts.first_errors[0]["place"] == f"{inputs / '0.parquet'} row 18"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"local.parquet", "local.parquet.manifest.json", "scored"}, "nothing is left behind"


@pytest.mark.usefixtures("cluster")
def test_the_command_replaces_the_scores_of_rows_of_several_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    generations: list[list[str | None]] = [[CONVERGING, BRANCHING], [None], [BRANCHING]]
    rows = pa.table({"generations": generations, "branch_rate": [0.5, 0.5, 0.5]})
    pq.write_table(rows, tmp_path / "rows.parquet")
    branching = CommandLine(monkeypatch, capfd)
    call = ["score", str(tmp_path / "rows.parquet"), "-o", str(tmp_path / "scored"), "--engine", "ray"]
    refused = branching(*call)
    assert (refused.code, "--overwrite-columns" in refused.stderr) == (2, True)
    (tmp_path / "scored").mkdir()
    done = branching(*call, "--workers", "1", "--overwrite", "--overwrite-columns", "--json")
    assert done.code == 1
    assert json.loads(done.stdout)["errors_by_type"] == {"type": 1}
    pq.write_table(rows.drop_columns(["branch_rate"]), tmp_path / "rows.parquet")
    expected = local(tmp_path / "rows.parquet", tmp_path / "local.parquet")
    assert "branch_rates" in expected.column_names
    assert in_order(tmp_path / "scored").equals(expected)


@pytest.mark.usefixtures("cluster")
def test_an_empty_table_gives_a_file_with_all_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"trace": pa.array([], pa.string())}), tmp_path / "rows.parquet")
    score_parquet([str(tmp_path / "rows.parquet")], str(tmp_path / "scored"), workers=1)
    table = in_order(tmp_path / "scored")
    assert len(table) == 0
    assert table.schema.equals(local(tmp_path / "rows.parquet", tmp_path / "local.parquet").schema)


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_cannot_start_ends_the_run_and_leaves_nothing(inputs: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="CUDAExecutionProvider was asked for"):
        score_parquet([str(inputs)], str(tmp_path / "scored"), provider="cuda", workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("cluster")
def test_a_data_set_is_scored_and_filtered() -> None:
    rows = [{"id": number, "text": text} for number, text in enumerate(TRACES)]
    scored = score_dataset(ray.data.from_items(rows), "text", workers=1, encoder=DebugEncoder())
    found = sorted(scored.take_all(), key=lambda row: row["id"])
    scorer = BranchScorer(encoder=DebugEncoder())
    assert [row["branch_rate"] for row in found] == [scorer.score(text).branch_rate for text in TRACES]
    keeps = BranchFilter.fit(found, keep=0.5)
    kept = scored.filter(keeps.__call__).take_all()
    assert sorted(row["id"] for row in kept) == [row["id"] for row in found if keeps(row)]


@pytest.mark.usefixtures("cluster")
def test_gpus_that_are_not_there() -> None:
    assert default_workers() == 2
    with pytest.raises(OptionError, match="1 GPUs are asked for each worker, but the Ray cluster has 0"):
        default_workers(num_gpus=1)


def test_a_worker_refuses_another_model() -> None:
    with pytest.raises(ModelError, match="same model"):
        RayBranchScorer(sha256="0" * 64)


def test_workers_find_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [_model_for_workers(model) for model in (None, "fast", "mine")] == [
        None,
        "fast",
        str(tmp_path / "mine"),
    ]


def test_blocks_of_long_traces_are_small(tmp_path: Path) -> None:
    for name, length in (("long", 40_000), ("short", 10)):
        table = pa.table({"trace": [os.urandom(length // 2).hex() for _ in range(20)]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    limits = BatchLimits(rows=256, characters=250_000)
    assert _rows_per_block(find_inputs([str(tmp_path / "long.parquet")]), limits) in (5, 6)
    assert _rows_per_block(find_inputs([str(tmp_path / "short.parquet")]), limits) == 256


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DependencyError, match=r"pip install 'branching-classifier\[ray\]'"):
        default_workers()


class TestRefusals:
    """Calls that cannot be run; none starts Ray."""

    @pytest.fixture(autouse=True)
    def no_ray(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("classifier.adapters.ray_files.ray_running", None)

    @pytest.fixture
    def rows(self, tmp_path: Path) -> Path:
        pq.write_table(pa.table({"trace": [CONVERGING]}), tmp_path / "rows.parquet")
        return tmp_path / "rows.parquet"

    @pytest.mark.parametrize(
        ("output", "message"),
        [
            ("-", "names a file, but --engine ray writes a folder"),
            ("scored.parquet", "names a file"),
            ("missing/scored", "there is no folder"),
            (".", "holds inputs as well"),
            ("taken", "give --overwrite"),
        ],
    )
    def test_outputs(self, rows: Path, tmp_path: Path, output: str, message: str) -> None:
        (tmp_path / "taken").mkdir()
        target = output if output == "-" else str(tmp_path / output)
        with pytest.raises(UsageError, match=message):
            score_parquet([str(rows)], target)

    def test_a_folder_of_other_files_is_not_replaced(self, rows: Path, tmp_path: Path) -> None:
        (tmp_path / "papers").mkdir()
        (tmp_path / "papers" / "thesis.tex").write_text("x", encoding="utf-8")
        with pytest.raises(UsageError, match="is not replaced"):
            score_parquet([str(rows)], str(tmp_path / "papers"), ScoreOptions(overwrite=True))

    def test_inputs(self, rows: Path, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text('{"trace": "One."}\n', encoding="utf-8")
        with pytest.raises(UsageError, match="is not Parquet"):
            score_parquet([str(tmp_path / "rows.jsonl")], str(tmp_path / "scored"))
        pq.write_table(pa.table({"trace": [1]}), tmp_path / "other.parquet")
        with pytest.raises(UsageError, match="disagree about the type of trace"):
            score_parquet([str(rows), str(tmp_path / "other.parquet")], str(tmp_path / "scored"))
        (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing PAR1")
        with pytest.raises(UsageError, match="damaged"):
            score_parquet([str(tmp_path / "broken.parquet")], str(tmp_path / "scored"))

    @pytest.mark.parametrize("options", [{"explode": True}, {"limit": 3}])
    def test_options_of_the_local_engine(self, rows: Path, tmp_path: Path, options: dict[str, Any]) -> None:
        with pytest.raises(OptionError, match="for the local engine"):
            score_parquet([str(rows)], str(tmp_path / "x"), ScoreOptions(rows=RowOptions(**options)))

    def test_the_command(
        self, rows: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        branching = CommandLine(monkeypatch, capfd)
        both = branching("score", rows, "-o", "x", "--engine", "ray", "--endpoint", "http://127.0.0.1:1")
        assert (both.code, "leave these out" in both.stderr) == (2, True)
        idle = branching("score", rows, "-o", "x.jsonl", "--workers", "2")
        assert (idle.code, "for --engine ray" in idle.stderr) == (2, True)
