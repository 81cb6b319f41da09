"""The steps that a model gets most wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from classifier.kinds import KIND_CODES, KINDS
from tests.toy_gold import DOCUMENTS, write_gold
from training.gold import GoldDocument
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


def test_command_reads_the_logits_of_folds(tmp_path: Path) -> None:
    gold = write_gold(tmp_path / "gold.jsonl", DOCUMENTS[:3])
    logits = tmp_path / "out_of_fold.npz"
    np.savez(logits, **{DOCUMENTS[1].id: np.log(right(DOCUMENTS[1]))})
    command = [
        sys.executable,
        "-m",
        "training.worst_steps",
        str(gold),
        "--logits",
        str(logits),
        "--count",
        "2",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.count("P(branch)") == 4
    assert DOCUMENTS[1].id in shown
    assert f"{DOCUMENTS[0].id} (" not in shown
