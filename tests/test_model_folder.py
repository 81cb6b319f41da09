"""A model folder is checked before it is used."""

import json
import shutil
from pathlib import Path

import pytest

from classifier import BranchScorer
from classifier.errors import ModelError
from classifier.model_folder import DEFAULT_FOLDER, EMBEDDED_MODELS, model_path, read_model_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "model"
    shutil.copytree(DEFAULT_FOLDER, target)
    return target


def change_card(folder: Path, **fields: object) -> None:
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_embedded_models_are_small_and_described() -> None:
    sizes = {}
    for name, embedded in EMBEDDED_MODELS.items():
        sizes[name] = sum((embedded / file).stat().st_size for file in ("model.onnx", "tokenizer.json"))
        card = read_model_folder(name).card
        for field in ("training_data", "licences", "figures", "sha256", "languages", "limits"):
            assert card[field], (name, field)
    assert sizes["default"] <= 30_000_000
    assert sum(sizes.values()) <= 45_000_000


def test_embedded_model_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BranchScorer().model == BranchScorer("default").model
    fast = BranchScorer("fast")
    assert fast.model.sha256 != BranchScorer().model.sha256
    assert fast.score("Two plus two is four. No, that is wrong. Maybe count again?").branch_count >= 1
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DEFAULT_FOLDER, "fast")
    assert model_path("./fast") == Path("fast")
    assert model_path("fast") == EMBEDDED_MODELS["fast"]


def test_copy_of_the_model_is_used(folder: Path) -> None:
    assert (
        BranchScorer(folder).score("One step.").branch_rate == BranchScorer().score("One step.").branch_rate
    )


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_changed_file_is_refused(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ModelError, match="was changed or damaged"):
        read_model_folder(folder)


def test_missing_file_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="folder is incomplete"):
        read_model_folder(folder)


def test_folder_without_card(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a model folder"):
        read_model_folder(tmp_path / "absent")


def test_card_that_is_not_json(folder: Path) -> None:
    (folder / "card.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        read_model_folder(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 99}, "reads cards of format"),
        ({"kinds": ["other"]}, "kinds"),
        ({"layout": {"lengths": [8]}}, "missing or wrong"),
        ({"threshold": "high"}, "missing or wrong"),
    ],
)
def test_wrong_card_is_refused(folder: Path, fields: dict[str, object], message: str) -> None:
    change_card(folder, **fields)
    with pytest.raises(ModelError, match=message):
        read_model_folder(folder)


def test_unknown_and_absent_precision(folder: Path) -> None:
    with pytest.raises(ModelError, match="is not one of fp32, fp16, int8"):
        read_model_folder(folder, "fp8")
    with pytest.raises(ModelError, match="branching export"):
        read_model_folder(folder, "int8")
