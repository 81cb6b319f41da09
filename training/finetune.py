"""Fine-tunes the step classifier: seeded, resumable after any epoch, recorded in a run folder."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from classifier.windows import WindowLayout
from training.config import TrainingConfig
from training.corpus import Batch, FloatArray, LabelledTrace, evaluation_batches, training_batches
from training.model import StepClassifier, mask_token
from training.optimisation import (
    decayed_optimizer,
    half_precision,
    model_device,
    take_step,
    warmup_and_decay,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch was: its number from 1, mean training loss, minutes since the run's start."""

    epoch: int
    loss: float
    minutes: float


def finetune(
    model: StepClassifier,
    traces: Sequence[LabelledTrace],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
    *,
    loss: Callable[[StepClassifier, Batch], Tensor] | None = None,
    after_epoch: Callable[[int], dict[str, float]] | None = None,
) -> list[EpochRecord]:
    """Fine-tune a model on labelled traces.

    The run folder gets `checkpoint.pt` after each epoch; a run that finds one goes on from it.

    Parameters
    ----------
    model
        The model; it is trained in place, on the device that it is on.
    traces
        The labelled traces.
    tokenizer, layout, config
        As the model was loaded with.
    run_folder
        Where checkpoints and `epochs.jsonl` go.
    loss
        What to make small on each batch; by default `label_loss` with the config's smoothing.
    after_epoch
        Called with the epoch's number; the figures it returns are logged beside the loss.

    Returns
    -------
    list of EpochRecord
        One an epoch.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    mask_id = mask_token(tokenizer, layout)
    steps_an_epoch = len(
        training_batches(traces, layout, config, mask_id, np.random.default_rng(config.seed))
    )
    optimizer = decayed_optimizer(model, config.learning_rate, config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmup_and_decay(steps_an_epoch * config.epochs, config.warmup_share)
    )
    loss = loss or partial(label_loss, smoothing=config.label_smoothing)
    records = _resume(run_folder, model, optimizer, schedule)
    begun = time.monotonic() - (records[-1].minutes * 60 if records else 0.0)
    for epoch in range(len(records) + 1, config.epochs + 1):
        random = np.random.default_rng([config.seed, epoch])
        torch.manual_seed(config.seed * 1_000 + epoch)
        model.train()
        losses: list[Tensor] = []
        for batch in training_batches(traces, layout, config, mask_id, random):
            value = loss(model, batch)
            take_step(value, model, optimizer, schedule)
            # Read only at the end: to read each would make a GPU wait.
            losses.append(value.detach())
        mean_loss = float(torch.stack(losses).double().mean())
        record = EpochRecord(epoch, mean_loss, (time.monotonic() - begun) / 60)
        records.append(record)
        _save(run_folder, model, optimizer, schedule, records)
        figures = after_epoch(epoch) if after_epoch else {}
        logger.info(
            "epoch %d: loss %.4f, %.1f minutes%s",
            epoch,
            record.loss,
            record.minutes,
            f", {figures}" if figures else "",
        )
        with (run_folder / "epochs.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({**_as_dict(record), **figures}) + "\n")
    model.eval()
    return records


def predict(model: StepClassifier, traces: Sequence[LabelledTrace], layout: WindowLayout) -> list[FloatArray]:
    """Compute each trace's kind logits, packed as the scorer packs them.

    Returns
    -------
    list of array
        float32 [scored steps, 4] a trace.
    """
    logits = [np.zeros((int(trace.scored.sum()), 4), dtype=np.float32) for trace in traces]
    model.eval()
    device = model_device(model)
    with torch.inference_mode():
        for batch, windows in evaluation_batches(traces, layout):
            with half_precision(device):
                out = model(*_tensors(batch, device)).float().cpu().numpy()
            for row, (index, window) in enumerate(windows):
                after = window.first_step + window.step_count
                logits[index][window.first_step : after] = out[row, : window.step_count]
    return logits


def label_loss(model: StepClassifier, batch: Batch, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of a batch's targets, the mean over its steps.

    Parameters
    ----------
    model
        The model.
    batch
        Steps with their targets.
    smoothing
        Share of each target that is spread over the kinds.
    """
    features = batch_features(model, batch)
    targets = torch.from_numpy(batch.targets).to(features.device)
    smoothed = targets * (1 - smoothing) + smoothing / targets.shape[-1]
    losses = -(smoothed * functional.log_softmax(model.kind_head(model.dropout(features)), dim=-1)).sum(-1)
    return mean_over_steps(losses, batch)


def batch_features(model: StepClassifier, batch: Batch) -> Tensor:
    """Return the features of a batch's steps in float32; see `StepClassifier.features`."""
    device = model_device(model)
    with half_precision(device):
        return model.features(*_tensors(batch, device)).float()


def mean_over_steps(values: Tensor, batch: Batch) -> Tensor:
    """Return the mean of values, [windows, steps], over the places of a batch where there is a step."""
    weights = torch.from_numpy(batch.weights).to(values.device)
    return (values * weights).sum() / weights.sum().clamp(min=1.0)


def _tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.from_numpy(batch.tokens).to(device),
        torch.from_numpy(batch.starts).to(device),
        torch.from_numpy(batch.ends).to(device),
    )


def _resume(
    run_folder: Path,
    model: StepClassifier,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> list[EpochRecord]:
    path = run_folder / "checkpoint.pt"
    if not path.exists():
        return []
    state = torch.load(path, map_location=model_device(model), weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return [EpochRecord(**record) for record in state["records"]]


def _save(
    run_folder: Path,
    model: StepClassifier,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    records: Sequence[EpochRecord],
) -> None:
    temporary = run_folder / "checkpoint.pt.tmp"
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "records": [_as_dict(record) for record in records],
    }
    torch.save(state, temporary)
    temporary.replace(run_folder / "checkpoint.pt")


def _as_dict(record: EpochRecord) -> dict[str, float]:
    return {"epoch": record.epoch, "loss": record.loss, "minutes": record.minutes}
