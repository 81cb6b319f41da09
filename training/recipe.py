"""The recipe from traces and labelled steps to a model folder, resumable at every stage."""

import dataclasses
import hashlib
import json
import logging
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from classifier.errors import OptionError
from classifier.model_folder import file_sha256
from training.calibrate import calibrate
from training.card import kept_out_figures, model_card
from training.config import TrainingConfig
from training.corpus import gold_traces, kind_targets
from training.export import export_model, round_weights
from training.finetune import finetune, predict
from training.gold import GoldDocument, read_gold
from training.heuristic_corpus import heuristic_traces, sample_excerpts
from training.model import StepClassifier, load_encoder, special_layout
from training.soft_labels import fit_on_gold
from training.trace_files import TraceRow, read_raw_traces
from training.vocabulary import count_tokens

logger = logging.getLogger(__name__)

CALIBRATION_PART = 12
"""One labelled document in so many is kept out of training, for temperature and threshold."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a model is trained from.

    Parameters
    ----------
    traces
        Folders or files of unlabelled traces.
    gold
        Files of labelled documents to train on.
    calibration
        Further files of labelled documents, for temperature and threshold only.
    """

    traces: tuple[Path, ...]
    gold: tuple[Path, ...]
    calibration: tuple[Path, ...] = ()


def train_model(data: TrainingData, output: Path, run_folder: Path, config: TrainingConfig) -> dict[str, Any]:
    """Train, calibrate and export a model.

    Stages: annotated labels; if the config asks for heuristic labels, once more from the start with these
    first and the annotated ones after, and the mean of both runs' weights (Wortsman et al. 2022, "Model
    soups", section 2); temperature and threshold on documents kept out; export with a parity check. Each
    stage leaves its state in the run folder; a run with the same config and data goes on where the last one
    stopped.

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

    Returns
    -------
    dict
        The record of the run: config, data with hashes, calibration, epochs, parity.

    Raises
    ------
    OptionError
        If the run folder holds a run with another config or other data, or too few documents are given.
    InputFileError
        If a file cannot be read.
    """
    documents = read_gold(data.gold)
    kept_out = [document for document in documents if is_kept_out(document)]
    trained = [document for document in documents if not is_kept_out(document)]
    calibration_documents = [*kept_out, *read_gold(data.calibration)]
    if not trained or not calibration_documents:
        raise OptionError(
            f"{len(documents)} labelled documents give {len(trained)} to train on and "
            f"{len(calibration_documents)} to calibrate on; give more documents, or a file for calibration"
        )
    identity = {"config": config.to_dict(), "data": _data_hashes(data)}
    _claim(run_folder, identity)
    torch.manual_seed(config.seed)

    unlabelled = read_raw_traces(data.traces)
    counts = _token_counts(unlabelled, config, run_folder)
    encoder, tokenizer = load_encoder(config, counts)
    layout = special_layout(config, tokenizer)
    model = StepClassifier(encoder, layout.pad_id, config.dropout)
    start = {name: weight.clone() for name, weight in model.state_dict().items()}

    annotated = gold_traces(trained, tokenizer, layout)
    epochs = finetune(model, annotated, tokenizer, layout, config, run_folder / "annotated")
    if config.heuristic_characters:
        without = {name: weight.clone() for name, weight in model.state_dict().items()}
        model.load_state_dict(start)
        known = {document.trace for document in calibration_documents}
        rest = (trace for trace in unlabelled if trace.trace not in known)
        excerpts = sample_excerpts(rest, config.heuristic_characters, config.seed)
        first = heuristic_traces(excerpts, tokenizer, layout, fit_on_gold(trained))
        first_config = dataclasses.replace(config, epochs=1, label_smoothing=0.0)
        epochs += finetune(model, first, tokenizer, layout, first_config, run_folder / "heuristic")
        epochs += finetune(model, annotated, tokenizer, layout, config, run_folder / "after_heuristic")
        model.load_state_dict(
            {name: (weight + without[name]) / 2 for name, weight in model.state_dict().items()}
        )

    round_weights(model)
    logits = predict(model, gold_traces(calibration_documents, tokenizer, layout), layout)
    calibration = calibrate(logits, [kind_targets(document) for document in calibration_documents])
    groups = {
        "kept out of the training files": kept_out,
        "calibration files": calibration_documents[len(kept_out) :],
    }
    group_logits = dict(zip(groups, (logits[: len(kept_out)], logits[len(kept_out) :]), strict=True))
    figures = kept_out_figures(groups, group_logits, calibration)
    record = {
        **identity,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "trained_on": _count(trained),
        "calibrated_on": _count(calibration_documents),
        "calibration": dataclasses.asdict(calibration),
        "epochs": [dataclasses.asdict(epoch) for epoch in epochs],
        "figures": figures,
    }
    labelled = unlabelled if config.heuristic_characters else ()
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


def is_kept_out(document: GoldDocument) -> bool:
    """Return whether a labelled document is kept out of training, by a hash of its identifier."""
    return zlib.crc32(document.id.encode()) % CALIBRATION_PART == 0


def _count(documents: Sequence[GoldDocument]) -> dict[str, int]:
    return {"documents": len(documents), "steps": sum(len(document.steps) for document in documents)}


def _data_hashes(data: TrainingData) -> dict[str, dict[str, str]]:
    def files(paths: Sequence[Path]) -> list[Path]:
        return [
            file for path in paths for file in (sorted(path.glob("*.jsonl*")) if path.is_dir() else [path])
        ]

    groups = {"traces": data.traces, "gold": data.gold, "calibration": data.calibration}
    return {
        name: {file.name: file_sha256(file) for file in files(paths) if file.is_file()}
        for name, paths in groups.items()
    }


def _claim(run_folder: Path, identity: dict[str, Any]) -> None:
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / "identity.json"
    text = json.dumps(identity, indent=2, sort_keys=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise OptionError(
            f"{run_folder} holds a run with another config or other data; give another run folder, "
            "or delete it"
        )
    path.write_text(text, encoding="utf-8")


def _token_counts(
    unlabelled: Sequence[TraceRow], config: TrainingConfig, run_folder: Path
) -> Counter[str] | None:
    if not config.vocabulary_size:
        return None
    path = run_folder / "token_counts.json"
    if not path.exists():
        _, whole = load_encoder(dataclasses.replace(config, vocabulary_size=0), None)
        counts = count_tokens(whole, (trace.trace for trace in unlabelled))
        digest = hashlib.sha256(repr(sorted(counts.items())).encode()).hexdigest()
        logger.info("counted %d tokens of the vocabulary in the traces (%s)", len(counts), digest[:12])
        path.write_text(json.dumps(counts), encoding="utf-8")
    return Counter(json.loads(path.read_text(encoding="utf-8")))
