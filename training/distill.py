"""A small student that is cut out of its teacher and learns to read steps as the teacher does.

The student starts from the teacher's own layers (see `training.prune`) and reads the same windows, hidden
tokens included. It is to give the teacher's probabilities (Hinton et al. 2015, "Distilling the Knowledge in a
Neural Network", section 2, at temperature 1, as the probabilities are calibrated) and the teacher's features
of each step (Romero et al. 2015, "FitNets", section 2.2; both have the same width).
"""

import copy
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from classifier.windows import WindowLayout
from training.config import TrainingConfig
from training.corpus import Batch, gold_traces, training_batches
from training.finetune import batch_features, finetune, mean_over_steps
from training.gold import GoldDocument
from training.heuristic_corpus import unlabelled_traces
from training.loop import EpochRecord
from training.model import StepClassifier, keep_layers, mask_token
from training.prune import load_importance, measure_importance, prune, save_importance
from training.trace_files import TraceRow

logger = logging.getLogger(__name__)

_FEATURE_WEIGHT: Final = 5.0
"""Of the squared difference of the features, beside the cross-entropy."""

_IMPORTANCE: Final = "importance.pt"
_IMPORTANCE_BATCHES: Final = 300
_IMPORTANCE_TOKENS: Final = 512
"""Importance is a sum of absolute values over batches: many small ones say more than a few large ones."""


class TeacherLoss:
    """How far a student is from its teacher on a batch.

    Parameters
    ----------
    teacher
        The teacher, on the student's device.
    """

    def __init__(self, teacher: StepClassifier) -> None:
        self._teacher = teacher.eval().requires_grad_(requires_grad=False)

    def __call__(self, student: StepClassifier, batch: Batch) -> Tensor:
        """Return the cross-entropy of the teacher's probabilities plus the weighted feature difference."""
        with torch.no_grad():
            expected = batch_features(self._teacher, batch)
            targets = torch.softmax(self._teacher.kind_head(expected), dim=-1)
        features = batch_features(student, batch)
        logits = student.kind_head(student.dropout(features))
        entropy = -(targets * functional.log_softmax(logits, dim=-1)).sum(-1)
        difference = (features - expected).square().mean(-1)
        return mean_over_steps(entropy + _FEATURE_WEIGHT * difference, batch)


def train_student(
    model: StepClassifier,
    documents: Sequence[GoldDocument],
    unlabelled: Sequence[TraceRow],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
) -> list[EpochRecord]:
    """Cut a teacher down to a student in place, and let it learn from the teacher that it was.

    Parameters
    ----------
    model
        The teacher, which becomes its student.
    documents
        Annotated documents: their labels say which heads and units matter; their text is read with the rest.
    unlabelled
        Traces of which `config.taught_characters` are read.
    tokenizer, layout, config
        The model's; `config` says how much of it is kept.
    run_folder
        Where the run keeps its state.

    Returns
    -------
    list of EpochRecord
        One an epoch.

    Raises
    ------
    OptionError
        If the encoder cannot be cut down as the config says.
    """
    teacher = copy.deepcopy(model)
    annotated = gold_traces(documents, tokenizer, layout)
    if config.heads or config.feed_forward_units:
        path = run_folder / _IMPORTANCE
        if not path.exists():
            small = dataclasses.replace(config, batch_tokens=_IMPORTANCE_TOKENS)
            batches = training_batches(
                annotated, layout, small, mask_token(tokenizer, layout), np.random.default_rng(config.seed)
            )
            logger.info("measuring which heads and feed-forward units matter")
            save_importance(measure_importance(model, batches[:_IMPORTANCE_BATCHES]), path)
        importance = load_importance(path)
        prune(model.encoder, importance, heads=config.heads, units=config.feed_forward_units)
    if config.layers:
        keep_layers(model.encoder, config.layers)
    unknown = unlabelled_traces(unlabelled, config.taught_characters, config.seed, tokenizer, layout)
    return finetune(
        model,
        [*annotated, *unknown],
        tokenizer,
        layout,
        config,
        run_folder / "student",
        loss=TeacherLoss(teacher),
    )
