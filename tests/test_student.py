"""A student is cut out of an exported teacher: what is kept, what it costs, and what cannot be cut."""

import copy
import dataclasses
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from classifier import BranchScorer
from classifier.errors import OptionError
from classifier.windows import WindowLayout
from tests.toy_training import toy_config, write_encoder, write_gold
from training.config import TrainingConfig
from training.corpus import Batch, gold_traces, training_batches
from training.distill import TeacherLoss, train_student
from training.export import export_model
from training.exported_weights import load_exported
from training.finetune import predict
from training.gold import GoldDocument, read_gold
from training.model import StepClassifier, load_encoder, special_layout
from training.prune import bert_layers, measure_importance, prune
from training.recipe import TrainingData, train_model


@dataclasses.dataclass
class Toy:
    """A model that was not trained, and what it reads."""

    config: TrainingConfig
    model: StepClassifier
    tokenizer: Tokenizer
    layout: WindowLayout
    documents: list[GoldDocument]

    def batches(self) -> Iterable[Batch]:
        traces = gold_traces(self.documents, self.tokenizer, self.layout)
        return training_batches(traces, self.layout, self.config, 4, np.random.default_rng(1))

    def logits(self, model: StepClassifier) -> np.ndarray:
        traces = gold_traces(self.documents, self.tokenizer, self.layout)
        return np.concatenate(predict(model, traces, self.layout))


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    torch.manual_seed(0)
    config = dataclasses.replace(
        toy_config(write_encoder(tmp_path / "encoder")), batch_tokens=256, dropout=0.0
    )
    encoder, tokenizer = load_encoder(config, None)
    layout = special_layout(config, tokenizer)
    model = StepClassifier(encoder, layout.pad_id, config.dropout)
    with torch.no_grad():
        # As after training: the graph holds weights that are equal only once.
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.05)
    return Toy(config, model, tokenizer, layout, read_gold([write_gold(tmp_path / "gold.jsonl", 12)]))


def export(toy: Toy, folder: Path) -> Path:
    export_model(
        toy.model, toy.tokenizer, toy.layout, folder, {"summary": "a toy"}, temperature=0.5, threshold=0.4
    )
    return folder


def test_an_exported_model_comes_back_with_the_probabilities_of_the_file(toy: Toy, tmp_path: Path) -> None:
    folder = export(toy, tmp_path / "model")
    model, tokenizer = load_exported(folder, toy.config)
    scorer = BranchScorer(folder)
    traces = gold_traces(toy.documents, tokenizer, toy.layout)
    for document, logits in zip(toy.documents, predict(model, traces, toy.layout), strict=True):
        found = torch.softmax(torch.from_numpy(logits), dim=-1).numpy()
        # predict computes in bfloat16 where that is fast.
        np.testing.assert_allclose(found, scorer.score_steps_kinds(document.trace, document.spans), atol=0.02)


def test_a_teacher_of_another_encoder_is_refused(toy: Toy, tmp_path: Path) -> None:
    folder = export(toy, tmp_path / "model")
    wide = load_encoder(toy.config, None)[0]
    wide.config.intermediate_size = 96  # type: ignore[union-attr]
    other = tmp_path / "other"
    type(wide)(wide.config).save_pretrained(other)  # type: ignore[operator]
    toy.tokenizer.save(str(other / "tokenizer.json"))
    config = dataclasses.replace(toy.config, encoder=str(other))
    with pytest.raises(OptionError, match=r"do not fit those of the encoder .* set `encoder` to the one"):
        load_exported(folder, config)


def test_what_does_not_matter_is_cut_and_changes_nothing(toy: Toy) -> None:
    size = 16
    for layer in bert_layers(toy.model.encoder):
        with torch.no_grad():
            layer.attention.output.dense.weight[:, :size] = 0.0
            layer.output.dense.weight[:, 10:30] = 0.0
    importance = measure_importance(toy.model, toy.batches())
    for one in importance:
        assert one.heads[0] == 0 < one.heads[1]
        assert one.units[10:30].eq(0).all()
        assert one.units.count_nonzero() == 64 - 20
    before = toy.logits(toy.model)
    prune(toy.model.encoder, importance, heads=1, units=44)
    for layer in bert_layers(toy.model.encoder):
        assert layer.attention.self.query.weight.shape == (size, 32)
        assert layer.intermediate.dense.weight.shape == (44, 32)
    np.testing.assert_allclose(toy.logits(toy.model), before, atol=0.02)


def test_a_student_like_its_teacher_is_at_no_distance_but_the_teachers_own_doubt(toy: Toy) -> None:
    twin = copy.deepcopy(toy.model)
    loss = TeacherLoss(twin)
    batch = next(iter(toy.batches()))
    near = loss(toy.model, batch)
    with torch.no_grad():
        bert_layers(toy.model.encoder)[1].output.dense.weight.mul_(-1)
    assert loss(toy.model, batch) > near
    assert not any(weight.requires_grad for weight in twin.parameters())


def test_a_run_that_goes_on_does_not_measure_again(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(toy.config, heads=1, feed_forward_units=24, epochs=1)
    begun = copy.deepcopy(toy.model)
    train = partial(
        train_student,
        documents=toy.documents,
        unlabelled=[],
        tokenizer=toy.tokenizer,
        layout=toy.layout,
        config=small,
    )

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("training.distill.finetune", stop)
        with pytest.raises(KeyboardInterrupt):
            train(begun, run_folder=tmp_path / "run")
    expected = copy.deepcopy(toy.model)
    train(expected, run_folder=tmp_path / "whole")
    monkeypatch.setattr("training.distill.measure_importance", stop)
    train(toy.model, run_folder=tmp_path / "run")
    np.testing.assert_array_equal(toy.logits(toy.model), toy.logits(expected))


def test_settings_that_cannot_be_met_are_refused(toy: Toy, tmp_path: Path) -> None:
    importance = measure_importance(toy.model, toy.batches())
    with pytest.raises(OptionError, match="heads 3: a layer of the encoder has 2"):
        prune(toy.model.encoder, importance, heads=3, units=0)
    with pytest.raises(OptionError, match="feed_forward_units 65: a layer of the encoder has 64"):
        prune(toy.model.encoder, importance, heads=0, units=65)
    with pytest.raises(OptionError, match="Linear: only encoders of BERT's architecture can be pruned"):
        bert_layers(torch.nn.Linear(1, 1))
    data = TrainingData(traces=(), gold=(write_gold(tmp_path / "more.jsonl", 40),))
    config = dataclasses.replace(toy.config, heads=1)
    with pytest.raises(OptionError, match="heads=1: only a teacher's student is cut down; give --teacher"):
        train_model(data, tmp_path / "out", tmp_path / "run", config)
