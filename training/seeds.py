"""What a recipe is worth, whatever its seed: figures pooled over models that differ only by that.

    python -m training.seeds dev.jsonl.gz --recipe fast=fast-1,fast-2,fast-3 --recipe short=short-1,short-2

An interval over documents alone is that of one model. Here it spans the training seed too, so that recipes
can be told apart.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from classifier import BranchScorer
from classifier.errors import OptionError
from training.bootstrap import Estimate, pool_seeds
from training.evaluate import KindScorer, ModelSteps, evaluate_probabilities, score_documents
from training.evaluated_options import ArchiveTraces, GoldFiles, KeptOut
from training.gold import GoldDocument
from training.kept_out import evaluated_documents

SHOWN: Final = (
    "average_precision",
    "average_precision_without_wide_cues",
    "kappa",
    "rate_rank_correlation",
    "top_tenth_overlap",
)
"""The figures that are shown, by their keys in `training.evaluate.FIGURES`."""

Models = Mapping[str, tuple[KindScorer, float]]
"""A model of each seed, and its threshold, by what to call it."""


def seed_figures(
    recipes: Mapping[str, Models], documents: Sequence[GoldDocument], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Pool the figures of each recipe over its seeds, and compare the others with the first.

    Parameters
    ----------
    recipes
        By name; the models of one differ only by the seed of their training.
    documents
        Labelled documents that no model was trained on.
    resamples, seed
        Of the bootstrap over documents and seeds.

    Returns
    -------
    dict
        For each recipe the figures of `SHOWN`: `models`, one value a model, and `pooled`, their mean with a
        95 % interval over documents and seeds (see `pool_seeds`); and `behind`, how much less each pooled
        figure is than the first recipe's.
    """
    pooled: dict[str, dict[str, Estimate]] = {}
    found: dict[str, Any] = {}
    for place, (name, models) in enumerate(recipes.items()):
        evaluation = evaluate_probabilities(
            documents,
            {model: score_documents(ModelSteps(scorer), documents) for model, (scorer, _) in models.items()},
            {model: threshold for model, (_, threshold) in models.items()},
            resamples=resamples,
            seed=seed,
        )
        of_models = evaluation.figures
        # Seeds of two recipes have nothing to do with each other, so each recipe draws its own.
        pooled[name] = {
            figure: pool_seeds([figures[figure] for figures in of_models.values()], seed=seed + place)
            for figure in SHOWN
        }
        found[name] = {
            "documents": evaluation.documents,
            "steps": evaluation.steps,
            "models": {
                model: {figure: figures[figure].value for figure in SHOWN}
                for model, figures in of_models.items()
            },
            "pooled": {figure: estimate.as_dict() for figure, estimate in pooled[name].items()},
        }
    first, *others = pooled
    for name in others:
        found[name]["behind"] = {
            figure: pooled[first][figure].minus(pooled[name][figure]).as_dict() for figure in SHOWN
        }
    return found


def load_recipes(given: Sequence[str]) -> dict[str, Models]:
    """Load the models of recipes.

    Parameters
    ----------
    given
        Each as NAME=MODEL,MODEL…: model folders, or the names of embedded models.

    Raises
    ------
    OptionError
        If one is written otherwise, or a name comes twice.
    ModelError
        If a folder holds no model.
    """
    recipes: dict[str, Models] = {}
    for text in given:
        name, _, folders = text.partition("=")
        if not name or not folders.strip(",") or name in recipes:
            raise OptionError(
                f"--recipe {text!r}: expected NAME=MODEL,MODEL with a name for each recipe and the folders "
                "of its models, such as fast=runs/fast-1,runs/fast-2"
            )
        scorers = {folder: BranchScorer(folder) for folder in folders.split(",") if folder}
        recipes[name] = {folder: (scorer, scorer.threshold) for folder, scorer in scorers.items()}
    return recipes


def _main() -> None:
    def command(
        gold: GoldFiles,
        recipe: Annotated[
            list[str],
            typer.Option(
                "--recipe", help="NAME=MODEL,MODEL: models that differ only by seed; may be repeated."
            ),
        ],
        kept_out: KeptOut = None,
        traces: ArchiveTraces = None,
    ) -> None:
        """Print the figures of recipes over their seeds as JSON."""
        documents = evaluated_documents(gold, kept_out or (), traces or ())
        typer.echo(json.dumps(seed_figures(load_recipes(recipe), documents), indent=2))

    typer.run(command)


if __name__ == "__main__":
    _main()
