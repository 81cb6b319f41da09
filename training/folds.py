"""Trains one model a fold, joins their weights, and predicts every document by a model that never saw it."""

import dataclasses
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from classifier.windows import WindowLayout
from training.config import TrainingConfig
from training.corpus import FloatArray, gold_traces
from training.finetune import finetune, predict
from training.gold import GoldDocument
from training.heuristic_corpus import heuristic_traces, sample_excerpts
from training.loop import CHECKPOINT, EpochRecord
from training.model import StepClassifier
from training.soft_labels import fit_on_gold
from training.trace_files import TraceRow

logger = logging.getLogger(__name__)

_ANNOTATED: Final = "annotated"


@dataclass(frozen=True, slots=True)
class Folds:
    """What training by folds gave.

    Parameters
    ----------
    epochs
        The record of each fold's epochs.
    logits
        For each document the kind logits of the model that was not trained on it, float32 [steps, 4];
        empty where there are no folds.
    """

    epochs: list[list[EpochRecord]]
    logits: list[FloatArray]


def fold_of(document: GoldDocument, folds: int) -> int:
    """Return the fold that a labelled document belongs to, by a hash of its identifier."""
    return zlib.crc32(f"fold {document.id}".encode()) % max(1, folds)


def train_folds(
    model: StepClassifier,
    documents: Sequence[GoldDocument],
    unlabelled: Sequence[TraceRow],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
) -> Folds:
    """Train once for each fold without its documents, and leave the mean of all weights in the model.

    The mean of the weights of models that began at the same point is about as good as the mean of their
    probabilities, at the cost of one (Wortsman et al. 2022, "Model soups", section 2). Where the config has
    no folds, the model is trained once on everything.

    Parameters
    ----------
    model
        Where all begin; it ends with the mean of the weights.
    documents
        The labelled documents.
    unlabelled
        Traces for a first stage on heuristic labels, where the config asks for one.
    tokenizer, layout, config
        As the model was loaded with.
    run_folder
        Each fold keeps its state in a folder of its own here, and a finished one is not trained again.

    Returns
    -------
    Folds
        The record, and the forecast for documents that were not trained on.
    """
    start = {name: weight.clone() for name, weight in model.state_dict().items()}
    total: dict[str, Tensor] = {}
    epochs = []
    logits: list[FloatArray] = [np.zeros((0, 4), dtype=np.float32) for _ in documents]
    count = max(1, config.folds)
    for fold in range(count):
        model.load_state_dict(start)
        epochs.append(train_fold(model, fold, documents, unlabelled, tokenizer, layout, config, run_folder))
        for name, weight in model.state_dict().items():
            total[name] = total[name] + weight / count if name in total else weight / count
        held = [index for index, one in enumerate(documents) if config.folds and fold_of(one, count) == fold]
        held_traces = gold_traces([documents[index] for index in held], tokenizer, layout)
        for index, found in zip(held, predict(model, held_traces, layout), strict=True):
            logits[index] = found
    model.load_state_dict(total)
    return Folds(epochs, logits if config.folds else [])


def train_fold(
    model: StepClassifier,
    fold: int,
    documents: Sequence[GoldDocument],
    unlabelled: Sequence[TraceRow],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
) -> list[EpochRecord]:
    """Train a model in place on the documents outside a fold.

    Parameters
    ----------
    model
        Where training begins.
    fold
        The fold to leave out, from 0.
    documents, unlabelled, tokenizer, layout, config, run_folder
        As in `train_folds`.

    Returns
    -------
    list of EpochRecord
        One an epoch.
    """
    folder = _fold_folder(run_folder, fold)
    own = dataclasses.replace(config, seed=config.seed + fold)
    trained = [one for one in documents if not config.folds or fold_of(one, config.folds) != fold]
    logger.info("fold %d: %d documents", fold + 1, len(trained))
    epochs: list[EpochRecord] = []
    if config.heuristic_characters:
        excerpts = sample_excerpts(unlabelled, config.heuristic_characters, own.seed)
        first = heuristic_traces(excerpts, tokenizer, layout, fit_on_gold(trained))
        first_config = dataclasses.replace(own, epochs=1, label_smoothing=0.0)
        epochs += finetune(model, first, tokenizer, layout, first_config, folder / "heuristic")
    annotated = gold_traces(trained, tokenizer, layout)
    return epochs + finetune(model, annotated, tokenizer, layout, own, folder / _ANNOTATED)


def load_fold(model: StepClassifier, fold: int, run_folder: Path) -> None:
    """Put the weights of a trained fold into a model.

    Parameters
    ----------
    model
        Of the shape that the fold was trained with.
    fold
        The fold, from 0.
    run_folder
        As it was given to `train_folds`.
    """
    state = torch.load(_fold_folder(run_folder, fold) / _ANNOTATED / CHECKPOINT, weights_only=True)
    model.load_state_dict(state["model"])


def _fold_folder(run_folder: Path, fold: int) -> Path:
    return run_folder / f"fold-{fold + 1}"
