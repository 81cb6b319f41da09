"""What a training run refuses before any training, so that nothing is found only after hours."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertModel

from classifier.errors import OptionError
from tests.toy_training import toy_config, toy_document, write_data, write_encoder, write_gold
from training.config import TrainingConfig
from training.recipe import TrainingData, prepare_run, train_model
from training.run_identity import short_names


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def config(encoder: Path) -> TrainingConfig:
    return dataclasses.replace(
        toy_config(encoder), adapt_characters=0, self_taught_characters=0, epochs=1, folds=2
    )


@pytest.fixture
def data(tmp_path: Path) -> TrainingData:
    return write_data(tmp_path)


def write_changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write toy documents whose steps are changed."""
    documents: list[dict[str, Any]] = [toy_document(number) for number in range(200, 212)]
    for document in documents:
        for step in document["steps"]:
            change(step)
    path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    return path


def with_files(data: TrainingData, role: str, path: Path) -> TrainingData:
    files = {"gold": data.gold, "calibration": data.calibration, role: (path,)}
    return TrainingData(data.traces, files["gold"], files["calibration"])


def drop_kind(step: dict[str, Any]) -> None:
    del step["kind"]


def never_branch(step: dict[str, Any]) -> None:
    step.update(label=0, kind="C")


@pytest.mark.parametrize("role", ["gold", "calibration"])
def test_labels_without_kinds(role: str, data: TrainingData, config: TrainingConfig, tmp_path: Path) -> None:
    bare = with_files(data, role, write_changed(tmp_path / "bare.jsonl", drop_kind))
    with pytest.raises(OptionError, match=r"document toy-2..: step 0\.\.\d+ has no `kind`"):
        train_model(bare, tmp_path / "model", tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("role", "purpose"), [("gold", "train on"), ("calibration", "calibrate on")])
def test_labels_that_never_branch(
    role: str, purpose: str, data: TrainingData, config: TrainingConfig, tmp_path: Path
) -> None:
    plain = write_changed(tmp_path / "plain.jsonl", never_branch)
    # Of these documents none is kept out, so that the calibration file alone counts.
    few = write_gold(tmp_path / "few.jsonl", 5)
    given = with_files(dataclasses.replace(data, gold=(few,)), role, plain)
    with pytest.raises(OptionError, match=f"steps to {purpose}, 0 branch; give labelled documents"):
        train_model(given, tmp_path / "model", tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_fold_of_a_student(data: TrainingData, config: TrainingConfig, tmp_path: Path) -> None:
    taught = dataclasses.replace(data, teacher=tmp_path / "teacher")
    with pytest.raises(OptionError, match="--only-fold with --teacher"):
        train_model(taught, tmp_path / "model", tmp_path / "run", config, only_fold=0)


def test_prepared_run_is_the_same_every_time(
    data: TrainingData, config: TrainingConfig, tmp_path: Path
) -> None:
    # Without a pooler in the checkpoint, to load the encoder draws one.
    bare = tmp_path / "bare"
    shutil.copytree(config.encoder, bare)
    BertModel.from_pretrained(config.encoder, add_pooling_layer=False).save_pretrained(bare)
    cut = dataclasses.replace(config, encoder=str(bare), vocabulary_size=200)
    first, again = (prepare_run(data, tmp_path / "run", cut).model.state_dict() for _ in range(2))
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())


def write_trace(path: Path, trace: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"trace": trace}) + "\n", encoding="utf-8")
    return path


def test_change_of_any_trace_file_makes_another_run(
    data: TrainingData, config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_trace(tmp_path / "a" / "part-0.jsonl", "Add one.")
    second = write_trace(tmp_path / "b" / "part-0.jsonl", "Add two.")
    write_trace(tmp_path / "b" / "part-1.jsonl", "Add three.")
    given = dataclasses.replace(data, traces=(first, tmp_path / "b/*.jsonl"))
    hashes = prepare_run(given, tmp_path / "run", config).identity["data"]
    assert set(hashes["traces"]) == {"a/part-0.jsonl", "b/part-0.jsonl", "part-1.jsonl"}
    assert set(hashes["gold"]) == {"train.jsonl"}
    monkeypatch.chdir(tmp_path)
    spelled = dataclasses.replace(data, traces=(Path("a/part-0.jsonl"), Path("../") / tmp_path.name / "b"))
    assert prepare_run(spelled, tmp_path / "run", config).identity["data"] == hashes
    for path in (first, second):
        before = path.read_bytes()
        write_trace(path, "Add four.")
        with pytest.raises(OptionError, match="holds a run with another config or other data"):
            prepare_run(given, tmp_path / "run", config)
        path.write_bytes(before)
    with pytest.raises(OptionError, match="standard input can be read only once"):
        prepare_run(dataclasses.replace(data, traces=(Path("-"),)), tmp_path / "other", config)


def test_files_of_one_name_are_told_apart() -> None:
    paths = ["x/a/train.jsonl", "x/b/train.jsonl", "/y/b/train.jsonl", "x/dev.jsonl", "written/."]
    names = ["a/train.jsonl", "x/b/train.jsonl", "y/b/train.jsonl", "dev.jsonl", "written"]
    assert short_names([Path(path) for path in paths]) == names


def test_forecast_has_a_row_for_each_file(config: TrainingConfig, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    gold = (
        write_gold(tmp_path / "a" / "train.jsonl", 20),
        write_gold(tmp_path / "b" / "train.jsonl", 20, first=30),
    )
    record = train_model(TrainingData((), gold), tmp_path / "model", tmp_path / "run", config)
    assert {"out of fold, a/train.jsonl", "out of fold, b/train.jsonl"} <= set(record["figures"])


def test_traces_that_fill_no_window_are_not_adapted_to(
    data: TrainingData, config: TrainingConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short = dataclasses.replace(data, traces=(write_trace(tmp_path / "short" / "a.jsonl", "Add one."),))
    with caplog.at_level("INFO"):
        prepare_run(short, tmp_path / "run", dataclasses.replace(config, adapt_characters=6_000))
    assert "the encoder is not adapted" in caplog.text
    assert not (tmp_path / "run" / "adapted.pt").exists()
