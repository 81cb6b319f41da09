"""The loop that every stage of training runs: seeded, resumable within an epoch, recorded."""

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from classifier.errors import OptionError
from training.optimisation import decayed_optimizer, model_device, take_step, warmup_and_decay

logger = logging.getLogger(__name__)

_Batch = TypeVar("_Batch")

CHECKPOINT: Final = "checkpoint.pt"

CHECKPOINT_SECONDS: Final = 300.0
"""How often a checkpoint is written within an epoch: what a stopped run does again at most."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch was: its number from 1, mean training loss, minutes since the run's start."""

    epoch: int
    loss: float
    minutes: float


@dataclass(frozen=True, slots=True)
class EpochSettings:
    """How a stage is optimised.

    Parameters
    ----------
    epochs
        How many.
    learning_rate, warmup_share, weight_decay
        AdamW's, with linear warm-up and decay.
    seed
        Of what torch draws, such as dropout.
    """

    epochs: int
    learning_rate: float
    warmup_share: float
    weight_decay: float
    seed: int


@dataclass(slots=True)
class _State:
    """Where a run is: the epochs behind it, and the losses of the batches of the epoch that it is in."""

    records: list[EpochRecord] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    minutes: float = 0.0


def train_epochs(
    model: nn.Module,
    batches: Callable[[int], Sequence[_Batch]],
    loss: Callable[[_Batch], Tensor],
    settings: EpochSettings,
    run_folder: Path,
) -> list[EpochRecord]:
    """Make a loss small, for some epochs, in place.

    The run folder gets `checkpoint.pt` every few minutes and after each epoch. A run that finds one goes on
    from it, to the same weights as if it had not been stopped.

    Parameters
    ----------
    model
        What is trained, on the device that it is on.
    batches
        Returns an epoch's batches, by its number from 1; the same at every call.
    loss
        The loss of one batch.
    settings
        How to optimise.
    run_folder
        Where the checkpoint goes.

    Returns
    -------
    list of EpochRecord
        One an epoch.

    Raises
    ------
    OptionError
        If there are no batches.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / CHECKPOINT
    device = model_device(model)
    epoch_batches = batches(1)
    if not epoch_batches:
        raise OptionError(
            f"{run_folder}: this stage of training has no text to learn from; give more documents or traces"
        )
    steps = len(epoch_batches) * settings.epochs
    optimizer = decayed_optimizer(model, settings.learning_rate, settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_and_decay(steps, settings.warmup_share))
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    state = _load(path, parts, device) if path.exists() else _State()
    begun = time.monotonic() - 60 * state.minutes
    clock = _Clock()
    model.train()
    for epoch in range(len(state.records) + 1, settings.epochs + 1):
        if epoch > 1:
            epoch_batches = batches(epoch)
        if not state.losses:
            torch.manual_seed(settings.seed * 1_000 + epoch)
        for batch in epoch_batches[len(state.losses) :]:
            value = loss(batch)
            take_step(value, model, optimizer, schedule)
            # Read only now and then: to read each would make a GPU wait.
            state.losses.append(value.detach())
            if clock.count_batch():
                state.minutes = (time.monotonic() - begun) / 60
                _save(path, parts, state, device)
                behind = len(state.records) * len(epoch_batches) + len(state.losses)
                logger.info(
                    "epoch %d of %d, %.0f %%: loss %.4f so far, %.1f minutes, about %.0f to go",
                    epoch,
                    settings.epochs,
                    100 * len(state.losses) / len(epoch_batches),
                    _mean(state.losses),
                    state.minutes,
                    clock.minutes_for(max(0, steps - behind)),
                )
        state.minutes = (time.monotonic() - begun) / 60
        record = EpochRecord(epoch, _mean(state.losses), state.minutes)
        state.records.append(record)
        state.losses = []
        _save(path, parts, state, device)
        logger.info("epoch %d: loss %.4f, %.1f minutes", epoch, record.loss, record.minutes)
    model.eval()
    return state.records


class _Clock:
    """Says when the next checkpoint is due, and how long the rest will take."""

    def __init__(self) -> None:
        self._batches = 0
        self._begun = self._last = time.monotonic()

    def count_batch(self) -> bool:
        """Count a batch, and return whether a checkpoint is due."""
        self._batches += 1
        now = time.monotonic()
        due = now - self._last >= CHECKPOINT_SECONDS
        if due:
            self._last = now
        return due

    def minutes_for(self, batches: int) -> float:
        """Return how long so many batches take at the speed so far."""
        return (time.monotonic() - self._begun) / self._batches * batches / 60


def _mean(losses: Sequence[Tensor]) -> float:
    return float(torch.stack(list(losses)).double().mean())


def save_state(state: object, path: Path) -> None:
    """Save what torch can, so that a run that is stopped meanwhile leaves no half of it."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def _save(path: Path, parts: dict[str, Any], state: _State, device: torch.device) -> None:
    stored = {name: part.state_dict() for name, part in parts.items()}
    stored["records"] = [dataclasses.asdict(record) for record in state.records]
    stored["losses"] = [float(loss) for loss in state.losses]
    stored["minutes"] = state.minutes
    stored["random"] = torch.get_rng_state()
    if device.type == "cuda":
        stored["device_random"] = torch.cuda.get_rng_state(device)
    save_state(stored, path)


def _load(path: Path, parts: dict[str, Any], device: torch.device) -> _State:
    stored = torch.load(path, map_location=device, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(stored[name])
    torch.set_rng_state(stored["random"].cpu())
    if "device_random" in stored and device.type == "cuda":
        torch.cuda.set_rng_state(stored["device_random"].cpu(), device)
    return _State(
        records=[EpochRecord(**record) for record in stored["records"]],
        losses=[torch.tensor(loss, device=device) for loss in stored["losses"]],
        minutes=stored["minutes"],
    )
