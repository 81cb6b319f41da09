"""One evaluation from files: the model and every baseline on the same labelled documents."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.model_folder import file_sha256
from training.baselines import DECISION_THRESHOLD, LabelVote, TfidfBaseline, WordList
from training.bootstrap import FloatArray
from training.cue_words import WORD_LISTS
from training.evaluate import (
    StepScorer,
    evaluate_parts,
    evaluate_probabilities,
    part_names,
    score_documents,
    step_probabilities,
)
from training.evaluation_report import MODEL, EvaluationReport, GoldFile
from training.gold import GoldDocument, read_gold
from training.kept_out import read_evaluated
from training.rate_agreement import rate_agreement
from training.reliability import RULES, plot_reliability, reliability_table

TRAIN_FILE: Final = "train.jsonl.gz"
"""A file of this name beside a gold file is what the TF-IDF baseline learns from, unless others are given."""

SPLITS: Final = ("group", "model", "source", "domain", "position", "file")
"""What figures can be split by."""

Progress = Callable[[Sequence[GoldDocument]], Iterable[GoldDocument]]


def evaluate_model(
    scorer: StepScorer,
    *,
    model: Mapping[str, Any],
    threshold: float,
    gold: Sequence[Path],
    kept_out: Sequence[Path] = (),
    traces: Sequence[Path] = (),
    train_gold: Sequence[Path] = (),
    by: Sequence[str] = (),
    own_steps: bool = False,
    reliability_plot: Path | None = None,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = iter,
) -> EvaluationReport:
    """Evaluate a model beside the baselines.

    Parameters
    ----------
    scorer
        The model.
    model
        What it says of itself, for the report.
    threshold
        The P(branch) from which it says that a step branches.
    gold
        Files of labelled documents; the figures are taken over all of them together.
    kept_out
        Files that the model was trained on; only the documents that were kept out of that are added.
    traces
        Files and folders of traces that a `.parquet` archive of labels among them speaks of.
    train_gold
        Files that the TF-IDF baseline learns from. Without any, a `train.jsonl.gz` beside a gold file; if
        there is none either, that baseline is left out.
    by
        Also give the figures within each of some of `SPLITS`.
    own_steps
        Also compare branch rates by own steps with those by the labelled steps.
    reliability_plot
        A PNG file to draw the model's reliability to; it must not exist.
    resamples, seed
        Of the bootstrap over documents.
    progress
        Wraps the documents while the model scores them.

    Returns
    -------
    EvaluationReport
        All figures, and notes on what a reader must know.

    Raises
    ------
    UsageError
        If a file cannot be read, or an option has a value that cannot be used.
    """
    unknown = [name for name in by if name not in SPLITS]
    if unknown:
        raise OptionError(f"cannot split figures by {unknown[0]!r}; expected one of {', '.join(SPLITS)}")
    if reliability_plot is not None and reliability_plot.exists():
        raise OutputFileError(f"{reliability_plot} exists already; remove it or give another name")
    documents_of_files = read_evaluated(gold, kept_out, traces)
    documents = [document for read in documents_of_files.values() for document in read]
    files = [str(path) for path, read in documents_of_files.items() for _ in read]
    splits = {name: files if name == "file" else part_names(documents, name) for name in by}
    if not any(document.steps for document in documents):
        raise InputFileError(
            f"{', '.join(map(str, documents_of_files))}: no labelled step; give a gold file whose rows have "
            "`steps`"
        )

    notes = _notes(documents)
    if kept_out:
        notes.append(
            "The vote was weighed on labelled documents that may be among those kept out: its figures here "
            "are no forecast."
        )
    tfidf, train_files, train_note = _tfidf([*gold, *kept_out], train_gold, documents)
    baselines: dict[str, StepScorer] = {
        **{name: WordList(name) for name in WORD_LISTS},
        "label_vote": LabelVote(),
        **({} if tfidf is None else {"tfidf": tfidf}),
    }
    probabilities: dict[str, list[FloatArray]] = {MODEL: score_documents(scorer, progress(documents))}
    probabilities |= {name: score_documents(baseline, documents) for name, baseline in baselines.items()}
    thresholds = {MODEL: threshold, **dict.fromkeys(baselines, DECISION_THRESHOLD)}
    branch = step_probabilities(np.concatenate([array for array in probabilities[MODEL] if len(array)]))
    labels = [step.branches for document in documents for step in document.steps]
    report = EvaluationReport(
        model=model,
        gold=tuple(_gold_file(path, read) for path, read in documents_of_files.items()),
        train_gold=train_files,
        thresholds=thresholds,
        overall=evaluate_probabilities(documents, probabilities, thresholds, resamples=resamples, seed=seed),
        parts={
            name: evaluate_parts(documents, probabilities, thresholds, parts, resamples=resamples, seed=seed)
            for name, parts in splits.items()
        },
        own_steps=rate_agreement(documents, scorer, resamples=resamples, seed=seed) if own_steps else None,
        reliability={rule: reliability_table(branch, labels, rule=rule) for rule in RULES},
        notes=(*notes, train_note),
        resamples=resamples,
        seed=seed,
    )
    if reliability_plot is not None:
        plot_reliability(
            branch, labels, reliability_plot, title=", ".join(path.name for path in documents_of_files)
        )
    return report


def find_train_gold(gold: Iterable[Path]) -> list[Path]:
    """Find the training files that lie beside gold files.

    Parameters
    ----------
    gold
        Files of labelled documents.

    Returns
    -------
    list of Path
        Each `train.jsonl.gz` in a folder of one of them, once.
    """
    beside = dict.fromkeys(path.parent / TRAIN_FILE for path in gold)
    return [path for path in beside if path.is_file()]


def _tfidf(
    gold: Sequence[Path], given: Sequence[Path], documents: Sequence[GoldDocument]
) -> tuple[TfidfBaseline | None, tuple[GoldFile, ...], str]:
    """Fit the TF-IDF baseline on documents that are not evaluated on; say what was done."""
    files = list(given) or find_train_gold(gold)
    if not files:
        return (
            None,
            (),
            f"no TF-IDF baseline: give labelled training documents by --train-gold, or put a {TRAIN_FILE} "
            f"beside the gold file.",
        )
    evaluated = {document.trace for document in documents}
    read = {path: read_gold([path]) for path in files}
    kept = {path: [one for one in of if one.trace not in evaluated] for path, of in read.items()}
    training = [document for of in kept.values() for document in of]
    left_out = sum(len(of) for of in read.values()) - len(training)
    names = ", ".join(map(str, files))
    if not training:
        return (
            None,
            (),
            f"no TF-IDF baseline: every document of {names} is evaluated on. A model or a vote fitted on "
            f"this file knows them: their figures here are no forecast.",
        )
    found = "" if given else ", found beside the gold file"
    shared = (
        f" {left_out} of its documents are evaluated on: TF-IDF did not learn from them, but a model or a "
        f"vote fitted on this file did, and their figures here are no forecast."
        if left_out
        else ""
    )
    note = f"TF-IDF learned from {len(training):,} documents of {names}{found}.{shared}"
    return TfidfBaseline().fit(training), tuple(_gold_file(path, of) for path, of in kept.items()), note


def _notes(documents: Sequence[GoldDocument]) -> list[str]:
    notes = []
    empty = sum(not document.steps for document in documents)
    if empty:
        notes.append(f"{empty} documents without a labelled step were left out.")
    kindless = sum(step.kind is None for document in documents for step in document.steps)
    if kindless:
        notes.append(f"{kindless:,} labelled steps have no kind; figures of kinds leave them out.")
    return notes


def _gold_file(path: Path, documents: Sequence[GoldDocument]) -> GoldFile:
    labels = [step.branches for document in documents for step in document.steps]
    return GoldFile(
        file=str(path),
        sha256=_sha256(path),
        documents=len(documents),
        steps=len(labels),
        branching_steps=sum(labels),
    )


def _sha256(path: Path) -> str:
    """Return a file's hash, or for a folder that of its files' names and hashes."""
    if not path.is_dir():
        return file_sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{file_sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()
