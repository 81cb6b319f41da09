"""A run that was stopped goes on: nothing is lost, and next to nothing scored twice."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from benchmarks.kill_points import kill_points
from classifier.batch import ScoreOptions, score_files
from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.files import BatchLimits, RowBatch
from classifier.files.manifest import read_manifest
from classifier.progress import Progress
from classifier.row_stream import LoadedScorer, RowOptions
from tests.cli_runner import CommandLine
from tests.fake_scorer import FakeRowScorer, loader, names_in, refuse_to_load, score, write_lines

ENDINGS = [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"]
BATCHES_OF_FIVE = RowOptions(limits=BatchLimits(rows=5))


class Stopping(FakeRowScorer):
    """Raises instead of scoring once it has scored some batches."""

    def __init__(self, batches: int, error: BaseException | None = None) -> None:
        super().__init__()
        self._left = batches
        self._error = error or KeyboardInterrupt()

    def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
        """Score a batch, or raise."""
        if not self._left:
            raise self._error
        self._left -= 1
        return super().score_rows(rows)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in.jsonl", [{"trace": f"Step {n}."} for n in range(50)])


def stop(source: Path, output: Path, batches: int, **options: Any) -> None:
    """Start a run that is stopped after so many batches."""
    scorer = loader(Stopping(batches))
    with pytest.raises(KeyboardInterrupt):
        score_files([str(source)], str(output), scorer, ScoreOptions(rows=BATCHES_OF_FIVE, **options))


def attempts(output: Path) -> list[int]:
    manifest = read_manifest(output)
    assert manifest is not None
    return [attempt["rows_scored"] for attempt in manifest["attempts"]]


def journal_of(output: Path) -> Path:
    return output.with_name(f".{output.name}.journal")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path, source: Path, ending: str) -> None:
    output, whole = tmp_path / f"out{ending}", tmp_path / f"whole{ending}"
    score([source], whole, rows=BATCHES_OF_FIVE)
    stop(source, output, 3)
    stop(source, output, 0)
    stop(source, output, 4)
    summary = score([source], output, rows=BATCHES_OF_FIVE)
    assert output.read_bytes() == whole.read_bytes()
    # A batch that was at work when the run stopped counts, as nothing says how far it came.
    assert attempts(output) == [20, 5, 25, 15]
    assert (summary.rows_before, summary.traces_before) == (35, 35)
    assert summary.counts.rows == summary.counts.scored == 50
    assert names_in(tmp_path) == {
        "in.jsonl",
        *(f"{name}{ending}{end}" for name in ("out", "whole") for end in ("", ".manifest.json")),
    }


@pytest.mark.parametrize("steps", [True, False])
def test_every_kind_of_column_goes_through_the_journal(tmp_path: Path, steps: bool) -> None:
    rows: list[Any] = [{"generations": ["A.", "B."]}, {"trace": "Ünïcode 🙂"}, "{oops", {"trace": None}] * 4
    source = write_lines(tmp_path / "in.jsonl", rows)
    options = ScoreOptions(rows=BATCHES_OF_FIVE, steps=steps)
    scorer = Stopping(2)
    scorer.steps = options.steps
    unstopped = FakeRowScorer(steps=options.steps)
    score_files([str(source)], str(tmp_path / "whole.parquet"), loader(unstopped), options)
    with pytest.raises(KeyboardInterrupt):
        score_files([str(source)], str(tmp_path / "out.parquet"), loader(scorer), options)
    score_files([str(source)], str(tmp_path / "out.parquet"), loader(unstopped), options)
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_parquet_goes_on_too(tmp_path: Path) -> None:
    pq.write_table(pa.table({"trace": [f"Step {n}." for n in range(50)]}), tmp_path / "in.parquet")
    score([tmp_path / "in.parquet"], tmp_path / "whole.jsonl", rows=BATCHES_OF_FIVE)
    stop(tmp_path / "in.parquet", tmp_path / "out.jsonl", 3)
    score([tmp_path / "in.parquet"], tmp_path / "out.jsonl", rows=BATCHES_OF_FIVE)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert attempts(tmp_path / "out.jsonl") == [20, 35]


def test_a_journal_that_was_cut_anywhere(tmp_path: Path, source: Path) -> None:
    output, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    score([source], whole, rows=BATCHES_OF_FIVE)
    stop(source, output, 3)
    journal = journal_of(output).read_bytes()
    for end in range(0, len(journal), 97):
        journal_of(output).write_bytes(journal[:end])
        score([source], output, rows=BATCHES_OF_FIVE)
        assert output.read_bytes() == whole.read_bytes()
        output.unlink()
    damaged = journal[:700] + b"#" + journal[701:]
    journal_of(output).write_bytes(damaged)
    score([source], output, rows=BATCHES_OF_FIVE)
    assert output.read_bytes() == whole.read_bytes()


def test_another_model_does_not_go_on_with_these_scores(tmp_path: Path, source: Path) -> None:
    output = tmp_path / "out.jsonl"
    stop(source, output, 3)
    other = loader(sha256="b" * 64)
    with pytest.raises(OptionError, match=r"An unfinished run, whose 15 scored rows.*another model\. Give"):
        score_files([str(source)], str(output), other, ScoreOptions(rows=BATCHES_OF_FIVE))
    options = ScoreOptions(rows=BATCHES_OF_FIVE, overwrite=True)
    score_files([str(source)], str(output), other, options)
    assert attempts(output) == [50]


def test_rows_that_changed_are_scored_again_if_asked(tmp_path: Path, source: Path) -> None:
    output = tmp_path / "out.jsonl"
    stop(source, output, 4)
    rows = [{"trace": f"Step {n}."} for n in range(50)]
    rows[12] = {"trace": "Changed."}
    write_lines(source, rows)
    with pytest.raises(
        InputFileError, match=r"in\.jsonl line 11 and the rows after it are not what an unfin"
    ):
        score([source], output, rows=BATCHES_OF_FIVE)
    score([source], output, rows=BATCHES_OF_FIVE, overwrite=True)
    assert attempts(output) == [25, 0, 40]
    score([source], tmp_path / "whole.jsonl", rows=BATCHES_OF_FIVE)
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_shard_that_vanishes(tmp_path: Path, source: Path) -> None:
    second = write_lines(tmp_path / "more.jsonl", [{"trace": f"More {n}."} for n in range(20)])
    score([source, second], tmp_path / "whole.jsonl", rows=BATCHES_OF_FIVE)

    class Removing(FakeRowScorer):
        def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
            second.unlink(missing_ok=True)
            return super().score_rows(rows)

    content = second.read_bytes()
    with pytest.raises(InputFileError, match=r"more\.jsonl cannot be read: No such file") as failure:
        score_files(
            [str(source), str(second)],
            str(tmp_path / "out.jsonl"),
            loader(Removing()),
            ScoreOptions(rows=BATCHES_OF_FIVE),
        )
    assert failure.value.__notes__ == ["50 rows are scored; the same command goes on from there"]
    assert not (tmp_path / "out.jsonl").exists()
    second.write_bytes(content)
    score([source, second], tmp_path / "out.jsonl", rows=BATCHES_OF_FIVE)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert attempts(tmp_path / "out.jsonl") == [50, 20]


def test_two_runs_with_one_output(tmp_path: Path, source: Path) -> None:
    output = tmp_path / "out.jsonl"

    class Nested(FakeRowScorer):
        def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
            with pytest.raises(OutputFileError, match=r"out\.jsonl is being written by another run"):
                score_files([str(source)], str(output), refuse_to_load, ScoreOptions(overwrite=True))
            return super().score_rows(rows)

    score_files([str(source)], str(output), loader(Nested()), ScoreOptions())
    assert attempts(output) == [50]
    assert names_in(tmp_path) == {"in.jsonl", "out.jsonl", "out.jsonl.manifest.json"}


def test_filter_waits_for_no_other_run(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    branching = CommandLine(monkeypatch, capfd)
    with FileLock(tmp_path / ".dropped.jsonl.lock"):
        result = branching(
            "filter",
            source,
            "-o",
            tmp_path / "out.jsonl",
            "--keep",
            "0.5",
            "--dropped",
            tmp_path / "dropped.jsonl",
        )
    assert result.code == 2
    assert "dropped.jsonl is being written by another run" in result.stderr
    assert not (tmp_path / "out.jsonl").exists()


def killed_at(call: int) -> None:
    """Have this process kill itself in the middle of its nth step on the disk."""
    steps = iter(range(call + 1))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            if next(steps) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return step

    os.fsync = counted(os.fsync)
    for name in ("replace", "unlink", "open"):
        setattr(Path, name, counted(getattr(Path, name)))


def children(start: Callable[[int], None]) -> Iterator[int]:
    """Run a function in a fork for 0, 1, … and give each until one is not killed."""
    for number in range(1000):
        child = os.fork()
        if not child:
            start(number)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return
        yield number


# Python from 3.12 on warns of forks beside threads: other tests may have left some, and no fork uses them.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_kill_at_every_step_on_the_disk(tmp_path: Path, source: Path, ending: str) -> None:
    output, whole = tmp_path / f"out{ending}", tmp_path / f"whole{ending}"
    options = {"rows": RowOptions(limits=BatchLimits(rows=25))}
    score([source], whole, **options)

    def start(number: int) -> None:
        killed_at(number)
        score([source], output, **options)

    points = 0
    for _ in children(start):
        points += 1
        if not output.exists() or journal_of(output).exists():
            score([source], output, **options)
        assert output.read_bytes() == whole.read_bytes()
        assert sum(attempts(output)) <= 50 + 2 * 25
        assert not [name for name in names_in(tmp_path) if name.endswith(".tmp")]
        for path in tmp_path.glob(f"*out{ending}*"):
            path.unlink()
    assert points > 10


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_kill_between_the_first_and_the_last_of_several_outputs(tmp_path: Path, source: Path) -> None:
    output, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    score([source], whole, rows=BATCHES_OF_FIVE)
    options: dict[str, Any] = {"rows": RowOptions(limits=BatchLimits(rows=25)), "shards": 3}
    shards = [tmp_path / f"out-{number:05}-of-00003.jsonl" for number in (1, 2, 3)]

    def start(number: int) -> None:
        killed_at(number)
        score([source], output, **options)

    only_journals_left = 0
    for _ in children(start):
        left = [journal_of(shard).exists() for shard in shards]
        in_place = all(shard.exists() for shard in shards)
        if any(left) or not in_place:
            only_journals_left += in_place and not all(left)
            summary = score([source], output, **options)
            assert summary.counts.rows == summary.counts.scored == 50
        assert b"".join(shard.read_bytes() for shard in shards) == whole.read_bytes()
        assert not [
            name for name in names_in(tmp_path) if name.startswith(".") and not name.endswith(".lock")
        ]
        for path in tmp_path.glob("*out-*"):
            path.unlink()
    assert only_journals_left >= 2


def test_outputs_in_place_are_not_another_run_s(tmp_path: Path, source: Path) -> None:
    options: dict[str, Any] = {"rows": BATCHES_OF_FIVE, "shards": 2}
    first, second = (tmp_path / f"out-0000{number}-of-00002.jsonl" for number in (1, 2))
    unlink = Path.unlink

    def stopping(path: Path, missing_ok: bool = False) -> None:
        if path == journal_of(first):
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", stopping)
        with pytest.raises(KeyboardInterrupt):
            score([source], tmp_path / "out.jsonl", **options)
    assert journal_of(first).exists()
    assert not journal_of(second).exists()
    journal = journal_of(first).read_bytes()
    others = write_lines(tmp_path / "others.jsonl", [{"trace": f"Other {n}."} for n in range(50)])
    with pytest.raises(OutputFileError, match=r"out-00002-of-00002\.jsonl exists"):
        score([others], tmp_path / "out.jsonl", **options)
    with pytest.raises(OutputFileError, match=r"out-00002-of-00002\.jsonl exists"):
        score_files(
            [str(source)], str(tmp_path / "out.jsonl"), loader(sha256="b" * 64), ScoreOptions(**options)
        )
    assert journal_of(first).read_bytes() == journal
    summary = score([source], tmp_path / "out.jsonl", **options)
    assert (summary.rows_before, summary.counts.rows) == (50, 50)
    assert summary.traces_per_second == 0
    assert not journal_of(first).exists()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_kills_at_random_moments(tmp_path: Path) -> None:
    points = list(kill_points(tmp_path, rows=1_000, kills=10, seed=1))
    assert len(points) == 10
    assert [point for point in points if not point.passed] == []
    assert any(point.rows_kept for point in points)


def test_the_speed_is_that_of_the_traces_this_run_has_scored(tmp_path: Path, source: Path) -> None:
    class Noted(Progress):
        traces = 0

        def advance(self, batch: RowBatch, traces: int = 0) -> None:
            self.traces += traces

    stop(source, tmp_path / "out.jsonl", 9)
    progress, options = Noted(), ScoreOptions(rows=BATCHES_OF_FIVE)
    summary = score_files([str(source)], str(tmp_path / "out.jsonl"), loader(), options, progress=progress)
    assert summary.counts.traces == 50
    assert progress.traces == 5
    assert summary.traces_per_second == summary.to_dict()["traces_per_second"] == 5 / summary.seconds


def test_a_summary_says_what_was_done_before(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    branching = CommandLine(monkeypatch, capfd)
    write_lines(source, [{"trace": f"Step {n}."} for n in range(600)])
    results = []
    for stopped in (True, False):

        def load(options: dict[str, Any], stopped: bool = stopped) -> LoadedScorer:
            return loader(Stopping(2) if stopped else FakeRowScorer())()

        branching.load = load
        results.append(branching("score", source, "-o", tmp_path / "out.jsonl"))
    assert results[0].code == 130
    assert results[0].stderr == (
        "Error: Stopped before the end; no file was left half-written. "
        "512 rows are scored; the same command goes on from there\n"
    )
    assert results[1].code == 0
    assert "Of these, 512 rows were scored before this run was stopped" in results[1].stderr
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert manifest["provenance"]["model"]["sha256"] == "a" * 64
    assert (manifest["rows"], manifest["scored"], manifest["errors"]) == (600, 600, 0)
