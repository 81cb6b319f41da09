"""Lets a trained model learn from its own labels of unlabelled traces, and once more from the annotated ones.

Self-training with noise: the model labels clean text, and learns from it with hidden tokens and other window
borders (Xie et al. 2020, "Self-training with Noisy Student improves ImageNet classification", section 2).
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import softmax
from tokenizers import Tokenizer

from classifier.windows import WindowLayout
from training.config import TrainingConfig
from training.corpus import FloatArray, LabelledTrace, gold_traces
from training.finetune import finetune, predict
from training.gold import GoldDocument
from training.heuristic_corpus import unlabelled_traces
from training.loop import EpochRecord
from training.model import StepClassifier
from training.trace_files import TraceRow

logger = logging.getLogger(__name__)


def self_teach(
    model: StepClassifier,
    documents: Sequence[GoldDocument],
    unlabelled: Sequence[TraceRow],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
) -> list[EpochRecord]:
    """Train a model in place for one epoch on its own labels, then for one on the annotated steps.

    Parameters
    ----------
    model
        A trained model.
    documents
        The annotated documents.
    unlabelled
        Traces of which `config.self_taught_characters` are labelled by the model.
    tokenizer, layout, config
        As the model was loaded with.
    run_folder
        Where the stages keep their state.

    Returns
    -------
    list of EpochRecord
        One an epoch; none where the unlabelled traces hold no step.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    traces = unlabelled_traces(unlabelled, config.self_taught_characters, config.seed, tokenizer, layout)
    if not traces:
        logger.info("no part of an unlabelled trace holds a whole step: the model does not teach itself")
        return []
    taught = _own_labels(model, traces, layout, run_folder / "own_labels.npz")
    # Soft labels say how sure the model was, so that nothing is left to smooth; and there are many, so that
    # larger steps are safe.
    first = dataclasses.replace(
        config,
        epochs=1,
        batch_tokens=2 * config.batch_tokens,
        learning_rate=2 * config.learning_rate,
        label_smoothing=0.0,
    )
    epochs = finetune(model, taught, tokenizer, layout, first, run_folder / "taught")
    last = dataclasses.replace(config, epochs=1)
    annotated = gold_traces(documents, tokenizer, layout)
    return epochs + finetune(model, annotated, tokenizer, layout, last, run_folder / "annotated")


def _own_labels(
    model: StepClassifier, traces: Sequence[LabelledTrace], layout: WindowLayout, path: Path
) -> list[LabelledTrace]:
    if not path.exists():
        logger.info("the model labels %d texts", len(traces))
        probabilities = [softmax(logits, axis=1) for logits in predict(model, traces, layout)]
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, probabilities=np.concatenate(probabilities))
        temporary.replace(path)
    with np.load(path) as stored:
        flat: FloatArray = stored["probabilities"]
    borders = np.cumsum([len(trace.targets) for trace in traces])[:-1]
    return [
        dataclasses.replace(trace, targets=targets)
        for trace, targets in zip(traces, np.split(flat, borders), strict=True)
    ]
