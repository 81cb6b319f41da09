"""Whether a model reads what came before: its figures with and without left context.

    python -m training.context dev.jsonl.gz

Each labelled step is scored in its trace, behind the one step before it, and on its own. A re-check is told
from a first check, and another idea from a first idea, only by what came before: a model that reads context
must lose there when it is taken away.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import typer

from classifier import BranchScorer
from classifier.spans import with_context
from training.evaluate import KindScorer, ModelSteps, StepScorer, evaluate_probabilities, score_documents
from training.evaluated_options import ArchiveTraces, GoldFiles, KeptOut
from training.gold import GoldDocument
from training.kept_out import evaluated_documents

COMPARED: Final = (
    "average_precision",
    "average_precision_alternative",
    "average_precision_backtrack",
    "average_precision_restart",
    "kappa",
)
"""The figures that are compared, by their keys in `training.evaluate.FIGURES`."""


class ShortContext:
    """Scores each labelled step behind a few steps, and nothing else of its trace.

    Parameters
    ----------
    scorer
        A `BranchScorer`, or anything with its `score_steps_kinds`.
    steps
        How many steps before it are seen.
    """

    def __init__(self, scorer: KindScorer, steps: int) -> None:
        self._scorer = scorer
        self._steps = steps

    def probabilities(self, document: GoldDocument) -> npt.NDArray[np.floating]:
        """Score the labelled steps of a document.

        Parameters
        ----------
        document
            A labelled document; its labels are not looked at.

        Returns
        -------
        array [steps, 4]
            Probabilities of the kinds.
        """
        pieces, scored = with_context(document.trace, document.spans)
        rows = []
        for index in map(int, np.flatnonzero(scored)):
            first = pieces[max(0, index - self._steps)][0]
            start, end = pieces[index]
            text = document.trace[first:end]
            rows.append(self._scorer.score_steps_kinds(text, [(start - first, end - first)]))
        return np.concatenate(rows) if rows else np.zeros((0, 4), np.float32)


def context_figures(
    scorer: KindScorer,
    documents: Sequence[GoldDocument],
    threshold: float,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare a model's figures with and without left context.

    Parameters
    ----------
    scorer
        The model.
    documents
        Labelled documents.
    threshold
        The model's threshold.
    resamples, seed
        Of the bootstrap over documents.

    Returns
    -------
    dict
        `figures`: for `whole`, `one step` and `none` each of `COMPARED`; `lost`: for the last two how much
        less each is than with the whole context, paired on the same resamples. All with 95 % intervals.
    """
    scorers: dict[str, StepScorer] = {
        "whole": ModelSteps(scorer),
        "one step": ShortContext(scorer, 1),
        "none": ShortContext(scorer, 0),
    }
    evaluation = evaluate_probabilities(
        documents,
        {name: score_documents(one, documents) for name, one in scorers.items()},
        dict.fromkeys(scorers, threshold),
        resamples=resamples,
        seed=seed,
    )
    whole = evaluation.figures["whole"]
    return {
        "documents": evaluation.documents,
        "steps": evaluation.steps,
        "figures": {
            name: {figure: figures[figure].as_dict() for figure in COMPARED}
            for name, figures in evaluation.figures.items()
        },
        "lost": {
            name: {figure: whole[figure].minus(figures[figure]).as_dict() for figure in COMPARED}
            for name, figures in evaluation.figures.items()
            if name != "whole"
        },
    }


def _main() -> None:
    def command(
        gold: GoldFiles,
        kept_out: KeptOut = None,
        traces: ArchiveTraces = None,
        model: Annotated[str | None, typer.Option("--model", help="A model folder.")] = None,
    ) -> None:
        """Print the figures with and without left context as JSON."""
        scorer = BranchScorer(model)
        documents = evaluated_documents(gold, kept_out or (), traces or ())
        typer.echo(json.dumps(context_figures(scorer, documents, scorer.threshold), indent=2))

    typer.run(command)


if __name__ == "__main__":
    _main()
