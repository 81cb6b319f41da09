"""How much a model loses on teachers or domains that it never saw in training.

    python -m training.leave_out traces/ --gold train.jsonl.gz --calibrate-on dev.jsonl.gz \
        --run runs/leave-out --by domain

For each teacher or domain: train without its documents, and compare on them with the folds' models, which saw
others of its kind but not these. Goes on where it was stopped.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import torch
import typer
from scipy.special import softmax

from classifier.errors import OptionError
from training.baselines import DECISION_THRESHOLD, WordList
from training.calibrate import calibrate
from training.config import TrainingConfig, load_config
from training.corpus import FloatArray, gold_traces, kind_targets
from training.cue_words import WORD_LISTS
from training.domains import DOMAINS
from training.evaluate import evaluate_probabilities, score_documents
from training.finetune import finetune, predict
from training.folds import load_fold, train_folds
from training.gold import GoldDocument
from training.recipe import PreparedRun, TrainingData, prepare_run

LEFT_OUT: Final = "left out"
OUT_OF_FOLD: Final = "out of fold"

SHOWN_FIGURES: Final = ("average_precision", "kappa", "rate_rank_correlation")

TEACHERS: Final = ("R1-0528", "gpt-oss-code", "QwQ")
"""The groups that are left out one at a time by `--by model`."""


def leave_out(
    data: TrainingData,
    run_folder: Path,
    settings: Sequence[str],
    by: str,
    *,
    resamples: int = 1000,
    config_file: Path | None = None,
) -> dict[str, Any]:
    """Train without each teacher or domain and compare with the folds on the same documents.

    Parameters
    ----------
    data
        The files to train from; documents of the calibration files are tested on too.
    run_folder
        Where the folds and the further models keep their state.
    settings, config_file
        As for `branching train`.
    by
        `model` or `domain`.
    resamples
        Bootstrap resamples of the documents.

    Returns
    -------
    dict
        For each part the documents and steps; the figures of the model without it, of the folds and of the
        word lists; and the paired differences of the first to each other, with 95 % intervals.

    Raises
    ------
    OptionError
        If `by` is another word, or the config has no folds.
    """
    config = load_config(config_file, settings)
    if by not in ("model", "domain") or not config.folds:
        raise OptionError(
            f"--by {by} with {config.folds} folds: expected `model` or `domain`, and some folds"
        )
    run = prepare_run(data, run_folder, config)
    start = {name: weight.clone() for name, weight in run.model.state_dict().items()}
    reference = _out_of_fold(run, run_folder, config)
    calibration = calibrate(
        [reference[one.id] for one in run.trained], [kind_targets(one) for one in run.trained]
    )
    part_of: Callable[[GoldDocument], str | None] = (
        (lambda one: one.group) if by == "model" else (lambda one: DOMAINS.get(one.source))
    )
    everything = [*run.trained, *run.kept_out, *run.calibration]
    report: dict[str, Any] = {}
    for part in TEACHERS if by == "model" else dict.fromkeys(DOMAINS.values()):
        tested = [one for one in everything if part_of(one) == part]
        if not tested:
            continue
        run.model.load_state_dict(start)
        others = [one for one in run.trained if part_of(one) != part]
        folder = run_folder / f"without-{part.lower().replace(' ', '-')}"
        finetune(
            run.model,
            gold_traces(others, run.tokenizer, run.layout),
            run.tokenizer,
            run.layout,
            config,
            folder,
        )
        found = predict(run.model, gold_traces(tested, run.tokenizer, run.layout), run.layout)
        report[part] = _compare(
            tested,
            found,
            [reference[one.id] for one in tested],
            calibration.temperature,
            calibration.threshold,
            resamples,
        )
    return report


def _out_of_fold(run: PreparedRun, run_folder: Path, config: TrainingConfig) -> dict[str, FloatArray]:
    """Return each document's logits by a fold's model that was not trained on it, by identifier."""
    found = train_folds(
        run.model, run.trained, run.unlabelled, run.tokenizer, run.layout, config, run_folder
    ).logits
    logits = {one.id: each for one, each in zip(run.trained, found, strict=True)}
    # No fold saw these documents: the first one's model stands for all.
    load_fold(run.model, 0, run_folder)
    unseen = [*run.kept_out, *run.calibration]
    traces = gold_traces(unseen, run.tokenizer, run.layout)
    logits |= {one.id: each for one, each in zip(unseen, predict(run.model, traces, run.layout), strict=True)}
    return logits


def _compare(
    documents: Sequence[GoldDocument],
    without: Sequence[FloatArray],
    reference: Sequence[FloatArray],
    temperature: float,
    threshold: float,
    resamples: int,
) -> dict[str, Any]:
    probabilities: dict[str, list[Any]] = {
        LEFT_OUT: [softmax(one / temperature, axis=1) for one in without],
        OUT_OF_FOLD: [softmax(one / temperature, axis=1) for one in reference],
        **{name: score_documents(WordList(name), documents) for name in WORD_LISTS},
    }
    thresholds = dict.fromkeys(WORD_LISTS, DECISION_THRESHOLD) | dict.fromkeys(
        (LEFT_OUT, OUT_OF_FOLD), threshold
    )
    evaluation = evaluate_probabilities(documents, probabilities, thresholds, resamples=resamples)
    differences = evaluation.differences(LEFT_OUT)
    return {
        "documents": evaluation.documents,
        "steps": evaluation.steps,
        "figures": {
            name: {figure: figures[figure].as_dict() for figure in SHOWN_FIGURES}
            for name, figures in evaluation.figures.items()
        },
        "differences": {
            name: {figure: difference.as_dict() for figure, difference in figures.items()}
            for name, figures in differences.items()
        },
    }


def _main() -> None:
    def command(
        traces: Annotated[list[Path], typer.Argument(help="Folders or files of unlabelled traces.")],
        gold: Annotated[list[Path], typer.Option("--gold", help="As for `branching train`.")],
        run_folder: Annotated[Path, typer.Option("--run", help="Where the models keep their state.")],
        by: Annotated[str, typer.Option("--by", help="`model` or `domain`.")],
        calibration: Annotated[list[Path] | None, typer.Option("--calibrate-on")] = None,
        settings: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE")] = None,
        config: Annotated[Path | None, typer.Option("--config")] = None,
        threads: Annotated[int | None, typer.Option("--threads", min=1)] = None,
    ) -> None:
        """Compare models trained without a teacher or a domain with the folds' models."""
        if threads:
            torch.set_num_threads(threads)
        data = TrainingData(tuple(traces), tuple(gold), tuple(calibration or ()))
        report = leave_out(data, run_folder, settings or [], by, config_file=config)
        typer.echo(json.dumps(report, indent=2))

    typer.run(command)


if __name__ == "__main__":
    _main()
