"""Shows the labelled steps that a model gets most wrong, with the steps around them, for reading.

    python -m training.worst_steps train.jsonl.gz --logits runs/model/out_of_fold.npz
    python -m training.worst_steps dev.jsonl.gz --kept-out train.jsonl.gz

With the logits of a run's folds each step is judged by a model that was not trained on its document; without
them by the embedded model, which was trained on all but a part of some files: of those given as `--kept-out`
only that part is looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from scipy.special import softmax

from classifier import BranchScorer
from classifier.kinds import KIND_CODES, KINDS
from training.bootstrap import FloatArray
from training.evaluate import ModelSteps, step_probabilities
from training.evaluated_options import ArchiveTraces, GoldFiles, KeptOut
from training.gold import GoldDocument
from training.kept_out import evaluated_documents

AROUND: Final = 2
"""How many steps before and after a wrong one are shown."""

_CODES: Final = {name: code for code, name in KIND_CODES.items()}


@dataclass(frozen=True, slots=True)
class WrongStep:
    """A labelled step that the model judges otherwise.

    Parameters
    ----------
    document, index
        The document, and the step's place among its labelled steps.
    probability
        The model's P(branch).
    kind
        The model's most probable branching kind, as a code.
    """

    document: GoldDocument
    index: int
    probability: float
    kind: str


def worst_steps(
    documents: Sequence[GoldDocument], probabilities: Sequence[FloatArray], count: int
) -> tuple[list[WrongStep], list[WrongStep]]:
    """Find the branching steps of the lowest probability and the others of the highest.

    Parameters
    ----------
    documents
        Labelled documents.
    probabilities
        For each the kinds' probabilities [steps, 4].
    count
        How many of each to return.

    Returns
    -------
    misses, false_alarms
        The worst first.
    """
    misses: list[WrongStep] = []
    false_alarms: list[WrongStep] = []
    for document, kinds in zip(documents, probabilities, strict=True):
        branch = step_probabilities(kinds)
        for index, step in enumerate(document.steps):
            kind = _CODES[KINDS[1 + int(kinds[index, 1:].argmax())]]
            found = WrongStep(document, index, float(branch[index]), kind)
            (misses if step.branches else false_alarms).append(found)
    misses.sort(key=lambda one: one.probability)
    false_alarms.sort(key=lambda one: -one.probability)
    return misses[:count], false_alarms[:count]


def _lines(wrong: WrongStep) -> Iterator[str]:
    document, steps = wrong.document, wrong.document.steps
    yield (
        f"{document.id} ({document.group}), step {wrong.index}: labelled {steps[wrong.index].kind}, "
        f"P(branch) {wrong.probability:.2f}, most probably {wrong.kind}"
    )
    for index in range(max(0, wrong.index - AROUND), min(len(steps), wrong.index + AROUND + 1)):
        text = " ".join(document.trace[steps[index].start : steps[index].end].split())
        yield f"  {'>' if index == wrong.index else ' '} {steps[index].kind} {text}"


def _main() -> None:
    def command(
        gold: GoldFiles,
        kept_out: KeptOut = None,
        traces: ArchiveTraces = None,
        logits: Annotated[
            Path | None, typer.Option("--logits", help="A run's out_of_fold.npz; others are left out.")
        ] = None,
        model: Annotated[str | None, typer.Option("--model", help="A model folder.")] = None,
        count: Annotated[int, typer.Option("--count", min=1, help="How many of each kind of error.")] = 50,
    ) -> None:
        """Print the worst misses and the worst false alarms."""
        documents = evaluated_documents(gold, kept_out or (), traces or ())
        if logits is not None:
            with np.load(logits) as stored:
                documents = [document for document in documents if document.id in stored]
                found = [softmax(stored[document.id].astype(np.float64), axis=1) for document in documents]
        else:
            scorer = ModelSteps(BranchScorer(model))
            found = [scorer.probabilities(document).astype(np.float64) for document in documents]
        misses, false_alarms = worst_steps(documents, found, count)
        for title, wrong in (("Misses", misses), ("False alarms", false_alarms)):
            typer.echo(f"\n{title}\n")
            for one in wrong:
                typer.echo("\n".join(_lines(one)))

    typer.run(command)


if __name__ == "__main__":
    _main()
