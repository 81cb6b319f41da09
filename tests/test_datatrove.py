"""The blocks for datatrove: two workers, a killed run that is resumed, the filter and what it drops."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from classifier import BranchFilter, BranchScorer
from classifier.columns import SCORE_COLUMNS
from classifier.debug_encoder import DebugEncoder
from classifier.errors import ModelError
from tests.example_traces import TRACES

pytest.importorskip("datatrove", reason="datatrove is not installed (extra `datatrove`)")

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.writers import JsonlWriter

from classifier.adapters.datatrove import DatatroveBranchFilter, DatatroveBranchScorer

FILES = 6


def read_folder(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    for part in range(FILES):
        lines = [
            json.dumps({"id": f"{part}-{number}", "trace": f"Case {part}. {text}", "source": "ours"})
            for number, text in enumerate(TRACES)
        ]
        (folder / f"{part}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(rows: Path, tmp_path: Path) -> None:
    output, logs = tmp_path / "scored", tmp_path / "logs"
    command = [sys.executable, "-m", "tests.datatrove_run", str(rows), str(output), str(logs)]
    root = Path(__file__).parents[1]
    killed = subprocess.Popen(
        command, cwd=root, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    completions = logs / "completions"
    while killed.poll() is None and not (completions.is_dir() and any(completions.iterdir())):
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    finished = {path.name for path in completions.iterdir()}
    assert 0 < len(finished) < FILES, "the run was killed in the middle"
    times = {path.name: path.stat().st_mtime_ns for path in output.glob("*.jsonl")}

    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(completions.iterdir())) == FILES
    for rank in finished:
        name = f"{rank}.jsonl"
        assert (output / name).stat().st_mtime_ns == times[name], "a finished task was not run again"
    scored = {row["id"]: row for row in read_folder(output)}
    given = read_folder(rows)
    assert len(read_folder(output)) == len(given)
    expected = BranchScorer().columns("trace").score_rows(given)
    for row, columns in zip(given, expected, strict=True):
        found = scored[row["id"]]
        assert {name: found[name] for name in SCORE_COLUMNS} == columns
        assert (found["text"], found["source"]) == (row["trace"], "ours")


def documents() -> list[Document]:
    return [Document(text=text, id=str(number), metadata={"n": number}) for number, text in enumerate(TRACES)]


def test_documents_are_scored_as_they_pass() -> None:
    block = DatatroveBranchScorer(batch_size=4, encoder=DebugEncoder(), steps=True)
    given = [*documents(), Document(text=" ", id="blank")]
    scored = list(block(iter(given)))
    scorer = BranchScorer(encoder=DebugEncoder())
    assert [one.id for one in scored] == [one.id for one in given]
    assert [one.metadata["branch_rate"] for one in scored] == [
        *(scorer.score(text).branch_rate for text in TRACES),
        None,
    ]
    assert len(scored[1].metadata["branch_steps"]) == scored[1].metadata["step_count"]
    assert scored[1].metadata["n"] == 1
    assert scored[-1].metadata["branch_error"].startswith("empty: ")
    assert block.stats["documents"].total == len(given)
    assert block.stats["error_empty"].total == 1


def test_the_trace_may_be_in_the_metadata() -> None:
    messages = [{"role": "assistant", "reasoning_content": TRACES[1], "content": "Two hours."}]
    document = Document(text="Two hours.", id="0", metadata={"messages": messages})
    (scored,) = DatatroveBranchScorer("messages", encoder=DebugEncoder())(iter([document]))
    assert scored.metadata["branch_rate"] == BranchScorer(encoder=DebugEncoder()).score(TRACES[1]).branch_rate


def test_the_filter_scores_what_has_no_score_and_writes_what_it_drops(tmp_path: Path) -> None:
    scorer = BranchScorer(encoder=DebugEncoder())
    rates = [scorer.score(text).branch_rate for text in TRACES]
    keeps = BranchFilter(sorted(rates)[2], on_error="drop")
    scored_before = documents()
    scored_before[0].metadata["branch_rate"] = 1.0
    scored_before.append(Document(text="", id="6"))
    executor = LocalPipelineExecutor(
        pipeline=[
            scored_before,
            DatatroveBranchFilter(
                keeps,
                scorer=DatatroveBranchScorer(encoder=DebugEncoder()),
                exclusion_writer=JsonlWriter(str(tmp_path / "dropped"), compression=None),
                batch_size=4,
            ),
            JsonlWriter(str(tmp_path / "kept"), compression=None),
        ],
        logging_dir=str(tmp_path / "logs"),
    )
    executor.run()
    kept, dropped = read_folder(tmp_path / "kept"), read_folder(tmp_path / "dropped")
    expected = [number for number in range(1, 6) if rates[number] <= keeps.max_rate]
    assert [int(row["id"]) for row in kept] == expected
    assert sorted(int(row["id"]) for row in kept + dropped) == list(range(7))
    reasons = {row["id"]: row["metadata"]["filter_reason"] for row in dropped}
    assert (reasons["0"], reasons["6"]) == ("branches", "no_score")


def test_one_document_at_a_time_is_judged_alike() -> None:
    scorer = DatatroveBranchScorer(encoder=DebugEncoder())
    block = DatatroveBranchFilter(BranchFilter(0.0), scorer=scorer)
    assert block.filter(documents()[0]) == (False, "branches")
    assert DatatroveBranchFilter(BranchFilter(1.0), scorer=scorer).filter(documents()[0]) is True


def test_blocks_pickle_small_and_check_the_model_at_once(tmp_path: Path) -> None:
    assert len(pickle.dumps(DatatroveBranchFilter(BranchFilter(0.1)))) < 5000
    with pytest.raises(ModelError, match="not a model folder"):
        DatatroveBranchScorer(model=tmp_path)
