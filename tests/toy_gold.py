"""Labelled toy documents of our own writing, and a scorer that knows their labels."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.kinds import KIND_CODES, KINDS
from training.evaluate import StepScorer, score_documents, step_probabilities
from training.gold import GoldDocument, GoldStep

STEPS_OF_KIND = {
    "C": (
        "The bakery sold {} loaves before noon.",
        "Adding both shelves gives {} jars.",
        "So the tank holds {} litres.",
        "Wait, that is exactly the {} metres we wanted.",
    ),
    "A": ("Another approach would count the {} corners.", "Perhaps the {} coins are stacked instead."),
    "B": ("No, {} cannot be the right total.", "Scrap that, the {} tiles overlap."),
    "R": ("Let me read about the {} wagons once more.", "Recounting the {} beads from the top."),
}
"""Own sentences of each kind; the number makes each step's text its own."""


def toy_document(seed: int, kinds: str | None = None) -> GoldDocument:
    rng = np.random.default_rng(seed)
    # Documents differ in how much they branch, as real ones do.
    branching = (0.05, 0.3, 0.6)[seed % 3]
    letters = kinds or "".join(rng.choice(list("CABR"), 12, p=[1 - branching, *[branching / 3] * 3]))
    pieces, steps, position = [], [], 0
    for letter in letters:
        text = str(rng.choice(STEPS_OF_KIND[letter])).format(rng.integers(2, 500))
        pieces.append(text)
        steps.append(GoldStep(position, position + len(text), letter != "C", letter))
        position += len(text) + 1
    return GoldDocument(
        id=f"toy-{seed}",
        trace=" ".join(pieces),
        steps=tuple(steps),
        model=f"model-{seed % 2}",
        group=f"group-{seed % 2}",
        problem_id="",
        source="",
    )


def without_kinds(document: GoldDocument) -> GoldDocument:
    return replace(document, steps=tuple(replace(step, kind=None) for step in document.steps))


class Oracle:
    """Knows the labels, and blurs them by noise that depends on the step alone."""

    def __init__(self, noise: float = 0.5) -> None:
        self.noise = noise

    def probabilities(self, document: GoldDocument) -> NDArray[np.float32]:
        rows = []
        for step in document.steps:
            truth = np.zeros(len(KINDS))
            truth[KINDS.index(KIND_CODES[step.kind or ("A" if step.branches else "C")])] = 1
            rng = np.random.default_rng([step.start, len(document.trace)])
            rows.append((1 - self.noise) * truth + self.noise * rng.dirichlet(np.ones(len(KINDS))))
        return np.array(rows, np.float32).reshape(-1, len(KINDS))


DOCUMENTS = [toy_document(seed) for seed in range(20)]


def write_gold(path: Path, documents: Sequence[GoldDocument]) -> Path:
    rows = [
        {
            "id": document.id,
            "model": document.model,
            "trace": document.trace,
            "steps": [
                {"start": step.start, "end": step.end, "label": int(step.branches), "kind": step.kind}
                for step in document.steps
            ],
        }
        for document in documents
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def labels_and_scores(
    documents: Sequence[GoldDocument], scorer: StepScorer
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    labels = np.array([step.branches for document in documents for step in document.steps])
    return labels, step_probabilities(np.concatenate(score_documents(scorer, documents)))
