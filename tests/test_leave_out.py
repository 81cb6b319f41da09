"""Teachers and domains are left out of training one at a time."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from classifier.errors import OptionError
from tests.toy_training import toy_config, toy_document, write_encoder
from training.corpus import LabelledTrace, gold_traces
from training.domains import DOMAINS
from training.gold import GoldDocument, read_gold
from training.kept_out import is_kept_out
from training.leave_out import LEFT_OUT, OUT_OF_FOLD, TEACHERS, leave_out
from training.recipe import TrainingData

SOURCES = list(DOMAINS)[:2]


def write_documents(path: Path, numbers: Sequence[int]) -> Path:
    rows = [
        {
            **toy_document(number),
            "group": (*TEACHERS, "another")[number // 4 % 4],
            "source": SOURCES[number // 4 % 2],
        }
        for number in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path) -> TrainingData:
    return TrainingData(
        traces=(),
        gold=(write_documents(tmp_path / "train.jsonl", range(40)),),
        calibration=(write_documents(tmp_path / "dev.jsonl", range(100, 108)),),
    )


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    config = dataclasses.replace(
        toy_config(write_encoder(tmp_path / "encoder")), epochs=1, folds=2, adapt_characters=0
    )
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_dict()), encoding="utf-8")
    return path


@pytest.mark.parametrize(("by", "parts"), [("model", TEACHERS), ("domain", ("puzzles", "MATH"))])
def test_each_part_is_tested_on_by_a_model_without_it(
    by: str,
    parts: tuple[str, ...],
    data: TrainingData,
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[list[str]] = []

    def recorded(documents: Sequence[GoldDocument], *others: Any) -> list[LabelledTrace]:
        read.append([document.trace for document in documents])
        return gold_traces(documents, *others)

    monkeypatch.setattr("training.leave_out.gold_traces", recorded)
    report = leave_out(data, tmp_path / "run", [], by, resamples=5, config_file=config_file)
    assert tuple(report) == parts
    documents = read_gold([*data.gold, *data.calibration])
    kept = read_gold(data.gold)
    # First those that no fold saw, then for each part those to train on and those to test on.
    for part, trained_on, tested_on in zip(parts, read[1::2], read[2::2], strict=True):
        inside = {
            one.trace for one in documents if part == (one.group if by == "model" else DOMAINS[one.source])
        }
        assert set(tested_on) == inside
        assert report[part]["documents"] == len(tested_on)
        assert trained_on == [one.trace for one in kept if not is_kept_out(one) and one.trace not in inside]
        assert {LEFT_OUT, OUT_OF_FOLD, "wide"} <= set(report[part]["figures"])
        lost = report[part]["differences"][OUT_OF_FOLD]["average_precision"]["value"]
        figures = report[part]["figures"]
        assert lost == pytest.approx(
            figures[LEFT_OUT]["average_precision"]["value"]
            - figures[OUT_OF_FOLD]["average_precision"]["value"]
        )


def test_other_parts_and_no_folds_are_refused(data: TrainingData, config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="expected `model` or `domain`, and some folds"):
        leave_out(data, tmp_path / "run", [], "colour", config_file=config_file)
    with pytest.raises(OptionError, match="with 0 folds"):
        leave_out(data, tmp_path / "run", ["folds=0"], "model", config_file=config_file)
