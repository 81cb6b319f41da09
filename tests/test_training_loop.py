"""A training run that is stopped anywhere goes on to the same weights."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifier.errors import OptionError
from training import loop
from training.loop import EpochRecord, EpochSettings, train_epochs

SETTINGS = EpochSettings(epochs=3, learning_rate=0.05, warmup_share=0.2, weight_decay=0.01, seed=7)
BATCHES = 5


class Run:
    """A small model with dropout and what trains it; stops before a batch if it is told to."""

    def __init__(self, stop_before: int | None = None) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.stop_before = stop_before
        self.calls = 0

    def batches(self, epoch: int) -> list[Tensor]:
        random = np.random.default_rng(epoch)
        return [torch.from_numpy(random.normal(size=(6, 4)).astype(np.float32)) for _ in range(BATCHES)]

    def loss(self, batch: Tensor) -> Tensor:
        if self.calls == self.stop_before:
            raise KeyboardInterrupt
        self.calls += 1
        found: Tensor = self.model(batch).squeeze(-1)
        return (found - batch.sum(-1)).square().mean()

    def train(self, folder: Path) -> list[EpochRecord]:
        return train_epochs(self.model, self.batches, self.loss, SETTINGS, folder)

    def weights(self) -> np.ndarray:
        return torch.cat([weight.flatten() for weight in self.model.parameters()]).detach().numpy()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[EpochRecord]]:
    run = Run()
    return run, run.train(tmp_path_factory.mktemp("whole"))


def test_the_loss_falls_and_every_epoch_is_recorded(whole: tuple[Run, list[EpochRecord]]) -> None:
    run, records = whole
    assert run.calls == SETTINGS.epochs * BATCHES
    assert [record.epoch for record in records] == [1, 2, 3]
    assert records[2].loss < records[0].loss
    assert not run.model.training


@pytest.mark.parametrize("stop_before", [1, 4, 5, 7, 14])
@pytest.mark.parametrize("seconds", [0.0, 300.0])
def test_stopped_run_goes_on_to_the_same_weights(
    whole: tuple[Run, list[EpochRecord]],
    stop_before: int,
    seconds: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", seconds)
    with pytest.raises(KeyboardInterrupt):
        Run(stop_before).train(tmp_path)
    resumed = Run()
    records = resumed.train(tmp_path)
    kept = stop_before if seconds == 0 else stop_before // BATCHES * BATCHES
    assert resumed.calls == SETTINGS.epochs * BATCHES - kept
    np.testing.assert_array_equal(resumed.weights(), whole[0].weights())
    assert [record.loss for record in records] == pytest.approx([record.loss for record in whole[1]])


def test_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = Run()
    records = first.train(tmp_path)
    again = Run(stop_before=0)
    assert again.train(tmp_path) == records
    np.testing.assert_array_equal(again.weights(), first.weights())


def test_long_epoch_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with caplog.at_level(logging.INFO, logger=loop.__name__):
        Run().train(tmp_path)
    assert "epoch 2 of 3, 40 %: loss" in caplog.messages[7]
    assert caplog.messages[7].endswith("0.0 minutes, about 0 to go")
    assert caplog.messages[5].startswith("epoch 1: loss")


def test_stage_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no text to learn from; give more documents or traces"):
        train_epochs(Run().model, lambda epoch: [], Run().loss, SETTINGS, tmp_path)
