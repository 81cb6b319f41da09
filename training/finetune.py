"""Fine-tunes the step classifier on labelled traces, and predicts with it."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
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
from training.loop import EpochRecord, EpochSettings, train_epochs
from training.model import StepClassifier, mask_token
from training.optimisation import half_precision, model_device


def finetune(
    model: StepClassifier,
    traces: Sequence[LabelledTrace],
    tokenizer: Tokenizer,
    layout: WindowLayout,
    config: TrainingConfig,
    run_folder: Path,
    *,
    loss: Callable[[StepClassifier, Batch], Tensor] | None = None,
) -> list[EpochRecord]:
    """Fine-tune a model on labelled traces.

    Parameters
    ----------
    model
        The model; it is trained in place, on the device that it is on.
    traces
        The labelled traces.
    tokenizer, layout, config
        As the model was loaded with.
    run_folder
        Where the checkpoint goes; a run that finds one goes on from it. See `train_epochs`.
    loss
        What to make small on each batch; by default `label_loss` with the config's smoothing.

    Returns
    -------
    list of EpochRecord
        One an epoch.
    """
    mask_id = mask_token(tokenizer, layout)
    batch_loss = partial(loss or partial(label_loss, smoothing=config.label_smoothing), model)
    return train_epochs(
        model,
        lambda epoch: training_batches(
            traces, layout, config, mask_id, np.random.default_rng([config.seed, epoch])
        ),
        batch_loss,
        EpochSettings(
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            warmup_share=config.warmup_share,
            weight_decay=config.weight_decay,
            seed=config.seed,
        ),
        run_folder,
    )


def predict(
    model: StepClassifier, traces: Sequence[LabelledTrace], layout: WindowLayout, *, exact: bool = False
) -> list[FloatArray]:
    """Compute each trace's kind logits, packed as the scorer packs them.

    Parameters
    ----------
    model, traces, layout
        The model and what it reads.
    exact
        Compute in float32, as the exported file does, also where half precision is faster.

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
            with nullcontext() if exact else half_precision(device):
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
