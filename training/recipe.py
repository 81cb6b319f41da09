"""The recipe from traces and labelled steps to a model folder, resumable at every stage."""

import dataclasses
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer

from classifier.errors import OptionError
from classifier.windows import WindowLayout
from training.adapt import adapt_encoder
from training.calibrate import calibrate
from training.card import kept_out_figures, model_card
from training.config import TrainingConfig
from training.corpus import FloatArray, gold_traces, kind_targets
from training.distill import train_student
from training.export import export_model, round_weights
from training.exported_weights import load_exported
from training.finetune import predict
from training.folds import Folds, train_fold, train_folds
from training.gold import GoldDocument, read_gold
from training.kept_out import is_kept_out
from training.label_archive import read_labelled
from training.label_checks import check_documents
from training.loop import EpochRecord
from training.model import StepClassifier, load_encoder, special_layout
from training.optimisation import find_device
from training.run_identity import (
    check_run,
    claim_run,
    folder_files,
    hash_files,
    short_names,
    trace_files,
    write_once,
)
from training.self_teach import self_teach
from training.trace_files import TraceRow, read_raw_traces
from training.vocabulary import count_tokens

logger = logging.getLogger(__name__)

_COUNTS_FILE: Final = "token_counts.json"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a model is trained from.

    Parameters
    ----------
    traces
        Folders or files of unlabelled traces.
    gold
        Labelled documents to train on, in any form that `read_labelled` reads.
    calibration
        Further files of labelled documents, for temperature and threshold only.
    teacher
        A model folder that a student is cut out of and learns from; without one, the model learns from
        labels.
    """

    traces: tuple[Path, ...]
    gold: tuple[Path, ...]
    calibration: tuple[Path, ...] = ()
    teacher: Path | None = None


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """The data of a run, and the model before training.

    Parameters
    ----------
    identity
        Config and hashes of the data.
    files
        The labelled documents of each file.
    trained, kept_out
        The labelled documents to train on, and those for temperature and threshold only.
    calibration
        The documents of the calibration files.
    unlabelled
        The raw traces that are in neither of the last two.
    model, tokenizer, layout
        Where training begins.
    adapted
        The epochs of adapting the encoder, if it was.
    """

    identity: dict[str, Any]
    files: dict[str, list[GoldDocument]]
    trained: list[GoldDocument]
    kept_out: list[GoldDocument]
    calibration: list[GoldDocument]
    unlabelled: list[TraceRow]
    model: StepClassifier
    tokenizer: Tokenizer
    layout: WindowLayout
    adapted: list[EpochRecord]


def train_model(
    data: TrainingData,
    output: Path,
    run_folder: Path,
    config: TrainingConfig,
    *,
    only_fold: int | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Train, calibrate and export a model.

    Stages: the encoder is adapted to unlabelled traces (see `adapt_encoder`); a model for each fold of the
    labelled documents, trained without it, and the mean of their weights (see `train_folds`), which then
    learns from its own labels (see `self_teach`), or a teacher's student (see `train_student`); temperature
    and threshold on documents that no model was trained on; export with a parity check. Each stage leaves its
    state in the run folder; a run with the same config and data goes on where the last one stopped.

    Parameters
    ----------
    data
        The files to train from.
    output
        The model folder to write.
    run_folder
        Where the run keeps its state and its record `run.json`.
    config
        The settings.
    only_fold
        Train this fold only, from 0, and write no model: folds can so be trained side by side, and a run
        without this goes on from them.
    device
        Where to train, as torch names it; by default a GPU where there is one, else the CPU.

    Returns
    -------
    dict
        The record of the run: config, data with hashes, calibration, epochs, parity.

    Raises
    ------
    OptionError
        If the run folder holds a run with another config or other data, the documents are too few or lack
        what training needs, a setting does not fit the encoder, a fold is asked for beside a teacher, or the
        device cannot be used.
    InputFileError
        If a file cannot be read.
    """
    if only_fold is not None and data.teacher is not None:
        raise OptionError(
            "--only-fold with --teacher: a student is trained in one piece; leave one of them out"
        )
    run = prepare_run(data, run_folder, config, device=device)
    model, tokenizer, layout = run.model, run.tokenizer, run.layout
    trained = run.trained
    if only_fold is not None:
        epochs = train_fold(model, only_fold, trained, run.unlabelled, tokenizer, layout, config, run_folder)
        return {**run.identity, "fold": only_fold, "epochs": [dataclasses.asdict(epoch) for epoch in epochs]}
    if data.teacher is None:
        folds = train_folds(model, trained, run.unlabelled, tokenizer, layout, config, run_folder)
        if config.self_taught_characters and run.unlabelled:
            folds.epochs.append(
                self_teach(
                    model, trained, run.unlabelled, tokenizer, layout, config, run_folder / "self-taught"
                )
            )
    else:
        epochs = train_student(model, trained, run.unlabelled, tokenizer, layout, config, run_folder)
        folds = Folds([epochs], [])
    return finish_model(run, folds, output, run_folder, config)


def finish_model(
    run: PreparedRun, folds: Folds, output: Path, run_folder: Path, config: TrainingConfig
) -> dict[str, Any]:
    """Calibrate and export the trained model of a run.

    Parameters
    ----------
    run
        The run; its model is trained.
    folds
        The epochs, and the logits of documents by models that were not trained on them.
    output, run_folder, config
        As in `train_model`.

    Returns
    -------
    dict
        As in `train_model`.
    """
    model, tokenizer, layout = run.model.cpu(), run.tokenizer, run.layout
    trained, kept_out = run.trained, run.kept_out
    calibration_documents = [*kept_out, *run.calibration]
    round_weights(model)
    logits = predict(model, gold_traces(calibration_documents, tokenizer, layout), layout, exact=True)
    calibration = calibrate(logits, [kind_targets(document) for document in calibration_documents])
    groups = {
        "kept out of the training files": kept_out,
        "calibration files": run.calibration,
    }
    group_logits = dict(zip(groups, (logits[: len(kept_out)], logits[len(kept_out) :]), strict=True))
    figures = kept_out_figures(groups, group_logits, calibration)
    if folds.logits:
        found = {document.id: each for document, each in zip(trained, folds.logits, strict=True)}
        np.savez_compressed(run_folder / "out_of_fold.npz", **found)  # type: ignore[arg-type]
        figures |= _forecast(run.files, found)
    record = {
        **run.identity,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "trained_on": _count(trained),
        "calibrated_on": _count(calibration_documents),
        "calibration": dataclasses.asdict(calibration),
        "adapted": [dataclasses.asdict(epoch) for epoch in run.adapted],
        "epochs": [[dataclasses.asdict(epoch) for epoch in fold] for fold in folds.epochs],
        "figures": figures,
    }
    labelled = run.unlabelled if config.heuristic_characters else ()
    card = model_card(record, trained, calibration, labelled, figures)
    record["parity"] = export_model(
        model,
        tokenizer,
        layout,
        output,
        card,
        temperature=calibration.temperature,
        threshold=calibration.threshold,
    )
    (run_folder / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def prepare_run(
    data: TrainingData, run_folder: Path, config: TrainingConfig, *, device: str | None = None
) -> PreparedRun:
    """Read the data, load the encoder of a run and adapt it, and claim the run's folder.

    Parameters
    ----------
    data, run_folder, config, device
        As in `train_model`.

    Returns
    -------
    PreparedRun
        The same every time, weights included.

    Raises
    ------
    OptionError
        If the run folder holds a run with another config or other data, the documents are too few or lack
        what training needs, or a setting does not fit the encoder.
    InputFileError
        If a file cannot be read.
    """
    for setting in ("heads", "feed_forward_units"):
        if data.teacher is None and getattr(config, setting):
            raise OptionError(
                f"{setting}={getattr(config, setting)}: only a teacher's student is cut down; give "
                "--teacher, or set it to 0"
            )
    files = {str(path): read_labelled(path, data.traces) for path in data.gold}
    documents = [document for read in files.values() for document in read]
    kept_out = [document for document in documents if is_kept_out(document)]
    trained = [document for document in documents if not is_kept_out(document)]
    calibration = read_gold(data.calibration)
    check_documents(trained, kept_out, calibration)
    identity = {"config": config.to_dict(), "data": _data_hashes(data)}
    check_run(run_folder, identity)
    unlabelled = read_raw_traces(data.traces)
    counts = _token_counts(unlabelled, config, run_folder) if data.teacher is None else None
    # Seeded only now: to count tokens may draw, and is done in the first of a folder's runs only.
    torch.manual_seed(config.seed)
    if data.teacher is None:
        encoder, tokenizer = load_encoder(config, counts)
        model = StepClassifier(encoder, special_layout(config, tokenizer).pad_id, config.dropout)
    else:
        model, tokenizer = load_exported(data.teacher, config)
    model.to(find_device(device))
    layout = special_layout(config, tokenizer)
    # What cannot be used has been refused by now, so that the folder stays free for settings that can.
    claim_run(run_folder, identity)
    if counts is not None:
        write_once(run_folder / _COUNTS_FILE, json.dumps(counts))
    known = {document.trace for document in kept_out + calibration}
    unlabelled = [trace for trace in unlabelled if trace.trace not in known]
    adapted = []
    if data.teacher is None and config.adapt_characters and unlabelled:
        adapted = adapt_encoder(model.encoder, unlabelled, tokenizer, layout, config, run_folder)
    elif data.teacher is None and config.adapt_characters:
        logger.info("no unlabelled traces: the encoder is not adapted, and the model does not teach itself")
    return PreparedRun(
        identity=identity,
        files=files,
        trained=trained,
        kept_out=kept_out,
        calibration=calibration,
        unlabelled=unlabelled,
        model=model,
        tokenizer=tokenizer,
        layout=layout,
        adapted=adapted,
    )


def _forecast(
    files: Mapping[str, Sequence[GoldDocument]], logits: Mapping[str, FloatArray]
) -> dict[str, Any]:
    """Compute the figures of the folds' models on each file's documents, none of which they were trained on.

    These models' logits get a temperature and a threshold of their own, as those of the mean of the weights
    do not fit them.
    """
    names = short_names([Path(name) for name in files])
    groups = {
        f"out of fold, {name}": [document for document in documents if document.id in logits]
        for name, documents in zip(names, files.values(), strict=True)
    }
    group_logits = {name: [logits[one.id] for one in documents] for name, documents in groups.items()}
    documents = [document for group in groups.values() for document in group]
    calibration = calibrate([logits[one.id] for one in documents], [kind_targets(one) for one in documents])
    return kept_out_figures(groups, group_logits, calibration)


def _count(documents: Sequence[GoldDocument]) -> dict[str, int]:
    return {"documents": len(documents), "steps": sum(len(document.steps) for document in documents)}


def _data_hashes(data: TrainingData) -> dict[str, dict[str, str]]:
    return {
        "traces": hash_files(trace_files(data.traces)),
        "gold": hash_files(folder_files(data.gold)),
        "calibration": hash_files(folder_files(data.calibration)),
        "teacher": hash_files(folder_files(() if data.teacher is None else (data.teacher,))),
    }


def _token_counts(
    unlabelled: Sequence[TraceRow], config: TrainingConfig, run_folder: Path
) -> Counter[str] | None:
    if not config.vocabulary_size:
        return None
    path = run_folder / _COUNTS_FILE
    if path.exists():
        return Counter(json.loads(path.read_text(encoding="utf-8")))
    _, whole = load_encoder(dataclasses.replace(config, vocabulary_size=0), None)
    counts = count_tokens(whole, (trace.trace for trace in unlabelled))
    digest = hashlib.sha256(repr(sorted(counts.items())).encode()).hexdigest()
    logger.info("counted %d tokens of the vocabulary in the traces (%s)", len(counts), digest[:12])
    return counts
