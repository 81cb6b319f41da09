"""Loss by step kind: the same however the rows are cut into batches and their tokens into slices."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from classifier.scorer import TraceScore
from classifier.steps import split_steps
from tests.toy_language_model import sft_rows, write_language_model

pytest.importorskip("trl", reason="fine-tuning needs the extra sft")

from transformers import AutoModelForCausalLM, AutoTokenizer

from training.sft_rows import SftRow, sft_row
from training.study import step_losses as module
from training.study.step_losses import KINDS, step_losses


class Watched:
    """A model that notes the shapes of its inputs."""

    def __init__(self, model: Any) -> None:
        self.device = model.device
        self.shapes: list[tuple[int, ...]] = []
        self._model = model

    def __call__(self, **inputs: torch.Tensor) -> Any:
        self.shapes.append(tuple(inputs["input_ids"].shape))
        return self._model(**inputs)


def score(row: SftRow) -> TraceScore:
    spans = split_steps(row.trace)
    branching = [row.trace[start:end].startswith("Maybe") for start, end in spans]
    probabilities = np.array([[1 - one, one, 0, 0] for one in branching], dtype=np.float32)
    return TraceScore(spans, probabilities, 0.5)


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder: Path = write_language_model(tmp_path_factory.mktemp("model"))
    return SimpleNamespace(
        model=AutoModelForCausalLM.from_pretrained(folder).eval(),
        tokenizer=AutoTokenizer.from_pretrained(folder),
    )


def test_losses_do_not_depend_on_batches_and_slices(
    language_model: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [sft_row(row, "here", "{trace}\nAnswer: {answer}") for row in sft_rows(20)]
    scores = [score(row) for row in rows]

    def measure() -> tuple[dict[str, Any], list[tuple[int, ...]]]:
        watched = Watched(language_model.model)
        found = step_losses(watched, language_model.tokenizer, rows, scores, threshold=0.5, max_length=200)
        return found, watched.shapes

    whole, shapes = measure()
    assert [count for count, _ in shapes] == [16, 4]
    assert all(whole[kind]["tokens"] > 0 for kind in KINDS)
    most = 2 * min(longest for _, longest in shapes)
    monkeypatch.setattr(module, "BATCH_TOKENS", most)
    monkeypatch.setattr(module, "SLICE_TOKENS", 7)
    cut, shapes = measure()
    assert sum(count for count, _ in shapes) == 20
    assert max(count for count, _ in shapes) > 1
    assert all(count == 1 or count * longest <= most for count, longest in shapes)
    for kind, figures in whole.items():
        assert cut[kind]["tokens"] == figures["tokens"]
        assert cut[kind]["mean"] == pytest.approx(figures["mean"], rel=1e-5)


def test_token_losses_are_those_of_the_model(
    language_model: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE_TOKENS", 4)
    sequences = [[5, 9, 12, 7, 30, 41, 8], [3, 11, 2], [6]]
    found = module._token_losses(language_model.model, sequences, 0)
    for sequence, losses in zip(sequences, found, strict=True):
        with torch.inference_mode():
            logits = language_model.model(input_ids=torch.tensor([sequence])).logits[0, :-1]
        log_probabilities = logits.log_softmax(-1)
        expected = [-log_probabilities[at, token].item() for at, token in enumerate(sequence[1:])]
        assert losses == pytest.approx(expected, rel=1e-4)
