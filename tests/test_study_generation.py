"""Responses in stretches: what ends early leaves its batch, and nothing else changes."""

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("trl", reason="the study needs the extra sft")

from tests.toy_language_model import write_language_model
from training.study import generation
from training.study.config import EvaluationConfig
from training.study.generation import TransformersGenerator

PROBLEMS = ["Add 1 and 2.", "Add 100000 and 2.", "Add 10000000000000000 and 2."]
WORD = 300
"""Token that the countdown writes."""


class Countdown:
    """Writes as many tokens as there are zeros in the prompt, in place of a language model."""

    device = "cpu"

    def __init__(self, zero: int) -> None:
        self.zero = zero
        self.batches: list[int] = []

    def generate(
        self,
        *,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        max_new_tokens: int,
        pad_token_id: int,
        eos_token_id: int,
        **sampling: Any,
    ) -> torch.Tensor:
        """Continue every row."""
        self.batches.append(len(input_ids))
        written = []
        for ids, mask in zip(input_ids.tolist(), attention_mask.tolist(), strict=True):
            assert mask == sorted(mask)
            row = ids[len(mask) - sum(mask) :]
            words = [WORD] * (row.count(self.zero) - row.count(WORD))
            new = [*words, eos_token_id][:max_new_tokens]
            written.append(ids + new + [pad_token_id] * (max_new_tokens - len(new)))
        return torch.tensor(written)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_language_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    ("stretch", "batches"), [(1_000, [6]), (3, [6, 4, 2]), (1, [6, 4, 4, 2])], ids=["one", "three", "many"]
)
def test_what_has_ended_leaves_its_batch(
    model: Path, monkeypatch: pytest.MonkeyPatch, stretch: int, batches: list[int]
) -> None:
    monkeypatch.setattr(generation, "FIRST_STRETCH", stretch)
    generator = TransformersGenerator(model, EvaluationConfig(max_new_tokens=12))
    (zero,) = generator.tokenizer("0")["input_ids"]
    generator.model = Countdown(zero)
    responses = generator.respond(PROBLEMS, samples=2, seed=1)
    assert generator.model.batches == batches
    assert [copies[0] == copies[1] for copies in responses] == [True] * 3
    assert [(copies[0].tokens, copies[0].finished) for copies in responses] == [
        (0, True),
        (5, True),
        (12, False),
    ]


def test_samples_depend_on_the_seed_alone(model: Path) -> None:
    generator = TransformersGenerator(model, EvaluationConfig(max_new_tokens=20))
    first, again, other = (generator.respond(PROBLEMS, samples=2, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert [len(copies) for copies in first] == [2, 2, 2]
    assert any(copies[0] != copies[1] for copies in first)
