"""How well each contender tells branching steps from others: average precision on labelled steps."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks.contender import THREE_WORDS
from benchmarks.peers import PEERS
from benchmarks.processes import run_process
from benchmarks.sample import ROOT
from benchmarks.variants import Variant
from classifier import BranchScorer
from training.cue_words import step_texts
from training.gold import read_gold

GOLD = ROOT.parent / "shared" / "data" / "gold" / "dev.jsonl.gz"


def measure_quality(
    variants: Sequence[Variant], peer_python: Path | None, gold: Path = GOLD
) -> dict[str, Any] | None:
    """Return each contender's average precision; None where there are no labelled steps.

    Parameters
    ----------
    variants
        The models.
    peer_python
        The interpreter that has the rule packages; without it they are left out.
    gold
        Labelled documents.
    """
    if not gold.is_file():
        return None
    documents = read_gold([gold])
    branches = np.array([step.branches for document in documents for step in document.steps])
    steps = [text for document in documents for text in step_texts(document)]
    scores: dict[str, Any] = {"three_words": [bool(THREE_WORDS.search(step)) for step in steps]}
    for variant in variants:
        scorer = BranchScorer(variant.model, precision=variant.precision)
        scores[f"library_{variant.name}"] = np.concatenate(
            [scorer.score_steps(document.trace, document.spans) for document in documents]
        )
    if peer_python is not None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "steps.jsonl"
            file.write_text("".join(json.dumps(step) + "\n" for step in steps), encoding="utf-8")
            for name in PEERS:
                command: list[str | Path] = [peer_python, "-m", "benchmarks.peers", name, file, "--quality"]
                scores[name] = run_process(command).lines[0]["scores"]
    return {
        "gold": f"gold/{gold.name}",
        "documents": len(documents),
        "steps": len(steps),
        "branching_share": float(branches.mean()),
        "average_precision": {
            name: float(average_precision_score(branches, values)) for name, values in scores.items()
        },
    }
