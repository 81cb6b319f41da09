"""The steps that a model gets most wrong."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classifier.kinds import KIND_CODES, KINDS
from tests.toy_gold import DOCUMENTS, write_gold
from training.gold import GoldDocument
from training.kept_out import is_kept_out
from training.label_archive import write_archive
from training.worst_steps import worst_steps


def right(document: GoldDocument) -> np.ndarray:
    rows = np.full((len(document.steps), 4), 0.02)
    for row, step in zip(rows, document.steps, strict=True):
        row[KINDS.index(KIND_CODES[step.kind or "C"])] = 0.94
    return rows


def test_worst_come_first() -> None:
    document = next(one for one in DOCUMENTS if any(step.branches for step in one.steps))
    probabilities = right(document)
    branching = next(index for index, step in enumerate(document.steps) if step.branches)
    converging = next(index for index, step in enumerate(document.steps) if not step.branches)
    probabilities[branching] = [0.97, 0.01, 0.01, 0.01]
    probabilities[converging] = [0.05, 0.05, 0.05, 0.85]
    misses, false_alarms = worst_steps([document], [probabilities], 1)
    assert (misses[0].index, round(misses[0].probability, 2)) == (branching, 0.03)
    assert (false_alarms[0].index, false_alarms[0].kind) == (converging, "R")


def run_command(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "training.worst_steps", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def write_logits(path: Path, documents: Sequence[GoldDocument]) -> Path:
    np.savez(path, **{document.id: np.log(right(document)) for document in documents})
    return path


def test_command_reads_the_logits_of_folds(tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "gold.jsonl", DOCUMENTS[:3])
    logits = write_logits(tmp_path / "out_of_fold.npz", DOCUMENTS[1:2])
    shown = run_command(gold, "--logits", logits, "--count", "2")
    assert shown.count("P(branch)") == 4
    assert DOCUMENTS[1].id in shown
    assert f"{DOCUMENTS[0].id} (" not in shown


def test_command_shows_only_the_kept_out_part_of_training_files(tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "dev.jsonl", DOCUMENTS[:1])
    train = write_gold(tmp_path / "train.jsonl", DOCUMENTS[1:10])
    traces = write_gold(tmp_path / "traces.jsonl", DOCUMENTS[10:])
    archive = tmp_path / "added.parquet"
    write_archive(DOCUMENTS[10:], archive)
    logits = write_logits(tmp_path / "all.npz", DOCUMENTS)
    training_files: list[str | Path] = ["--kept-out", train, "--kept-out", archive, "--traces", traces]
    shown = run_command(gold, *training_files, "--logits", logits, "--count", "1000")
    named = {line.split()[0] for line in shown.splitlines() if "P(branch)" in line}
    assert named == {"toy-0", "toy-7", "toy-15"}
    assert [is_kept_out(document) for document in DOCUMENTS].count(True) == 2
