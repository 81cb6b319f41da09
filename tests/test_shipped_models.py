"""What is promised of the scores of the embedded models, seen on the files themselves."""

from pathlib import Path

import numpy as np
import pytest
import torch

from classifier import BranchScorer
from classifier.model_folder import EMBEDDED_MODELS, read_model_folder
from classifier.steps import split_steps
from tests.example_traces import TRACES
from training.config import load_config
from training.corpus import evaluation_batches, gold_traces
from training.exported_weights import load_exported
from training.gold import GoldDocument, GoldStep
from training.precision import export_precision


def document(trace: str) -> GoldDocument:
    steps = tuple(GoldStep(start, end, False, "C") for start, end in split_steps(trace))
    return GoldDocument(str(hash(trace)), trace, steps, "", "", "", "")


@pytest.mark.parametrize("name", EMBEDDED_MODELS)
def test_equal_bits_whatever_the_batch_and_threads(name: str) -> None:
    alone = [score.probabilities for score in map(BranchScorer(name).score, TRACES)]
    for threads, batch_size in ((1, 1), (1, 7), (2, 3), (2, 16)):
        scorer = BranchScorer(name, threads=threads, batch_size=batch_size)
        for expected, found in zip(alone, scorer.score_batch(TRACES), strict=True):
            np.testing.assert_array_equal(found.probabilities, expected)


def test_torch_gives_the_probabilities_of_the_file() -> None:
    folder = EMBEDDED_MODELS["default"]
    config = load_config(None, [f"context_tokens={read_model_folder(folder).layout.context_tokens}"])
    model, tokenizer = load_exported(folder, config)
    model.eval()
    layout = read_model_folder(folder).layout
    traces = gold_traces([document(trace) for trace in TRACES], tokenizer, layout)
    found = [np.zeros((len(trace.targets), 4), np.float32) for trace in traces]
    with torch.inference_mode():
        for batch, windows in evaluation_batches(traces, layout):
            tensors = (torch.from_numpy(each) for each in (batch.tokens, batch.starts, batch.ends))
            kinds = torch.softmax(model(*tensors), dim=-1).numpy()
            for row, (index, window) in enumerate(windows):
                after = window.first_step + window.step_count
                found[index][window.first_step : after] = kinds[row, : window.step_count]
    for score, kinds in zip(BranchScorer().score_batch(TRACES), found, strict=True):
        np.testing.assert_allclose(kinds, score.probabilities, atol=1e-4)


@pytest.mark.parametrize("name", EMBEDDED_MODELS)
def test_float16_follows_closely(name: str, tmp_path: Path) -> None:
    agreement = export_precision(EMBEDDED_MODELS[name], "fp16", tmp_path / "made").agreement
    assert agreement.shortfalls == []
    assert agreement.traces >= 20
