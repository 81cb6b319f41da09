"""A small student that learns from a teacher's probabilities on unlabelled traces and from annotated steps.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2, at temperature 1: the teacher's
probabilities are calibrated, so they say how sure it is.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from classifier import BranchScorer
from classifier.windows import WindowLayout
from training.config import TrainingConfig
from training.corpus import FloatArray, gold_traces, labelled_trace
from training.finetune import EpochRecord, finetune
from training.gold import GoldDocument
from training.heuristic_corpus import sample_excerpts
from training.model import StepClassifier
from training.trace_files import TraceRow

logger = logging.getLogger(__name__)


def train_student(
    model: StepClassifier,
    documents: Sequence[GoldDocument],
    unlabelled: Sequence[TraceRow],
    teacher: Path,
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
) -> list[EpochRecord]:
    """Train a student in place on what a teacher says of unlabelled traces and of the annotated ones.

    Parameters
    ----------
    model
        The student.
    documents
        Annotated documents, whose labels are taken as they are: the teacher learned from them, so it has
        nothing to add.
    unlabelled
        Traces of which `config.taught_characters` are labelled by the teacher.
    teacher
        A model folder.
    tokenizer, layout, config
        The student's.
    run_folder
        Where the run keeps the teacher's probabilities and its own state.

    Returns
    -------
    list of EpochRecord
        One an epoch.
    """
    excerpts = sample_excerpts(unlabelled, config.taught_characters, config.seed)
    taught = _teacher_probabilities(excerpts, teacher, run_folder / "teacher.npz")
    traces = [
        labelled_trace(trace, spans, targets, tokenizer, layout)
        for (trace, spans), targets in zip(excerpts, taught, strict=True)
    ]
    traces += gold_traces(documents, tokenizer, layout)
    return finetune(model, traces, tokenizer, layout, config, run_folder / "student")


def _teacher_probabilities(
    texts: Sequence[tuple[str, list[tuple[int, int]]]], teacher: Path, path: Path
) -> list[FloatArray]:
    if path.exists():
        with np.load(path) as stored:
            return np.split(stored["probabilities"], stored["borders"])
    logger.info("the teacher reads %d texts", len(texts))
    scorer = BranchScorer(teacher)
    found = [scorer.score_steps_kinds(trace, spans) for trace, spans in texts]
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary, probabilities=np.concatenate(found), borders=np.cumsum([len(one) for one in found])[:-1]
    )
    temporary.replace(path)
    return found
