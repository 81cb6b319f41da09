"""A tiny causal language model with a chat template, so that fine-tuning can be tested in seconds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM, set_seed

from classifier.errors import EmptyTraceError, EndpointError, RowError
from classifier.model_folder import ModelInfo
from classifier.scorer import TraceScore
from training.study.base_model import train_tokenizer

TEMPLATE = "Add {a} and {b}."


def write_language_model(folder: Path, *, chat_template: bool = True) -> Path:
    """Write a random Llama with a byte-level tokenizer."""
    set_seed(1)
    tokenizer = train_tokenizer([row["trace"] for row in sft_rows(40)], 400)
    if not chat_template:
        tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def sft_rows(count: int) -> list[dict[str, str]]:
    """Return rows with a problem, a trace and an answer; the more `maybe` a trace holds, the later it is."""
    rows = []
    for number in range(count):
        steps = [f"Begin with {number}.", *["Maybe not."] * (number % 5), f"{number} + 2 = {number + 2}."]
        rows.append(
            {
                "problem": TEMPLATE.format(a=number, b=2),
                "trace": " ".join(steps),
                "answer": str(number + 2),
                "kind": "even" if number % 2 == 0 else "odd",
            }
        )
    return rows


def write_sft_rows(path: Path, count: int = 20) -> Path:
    """Write rows to fine-tune on."""
    path.write_text("".join(json.dumps(row) + "\n" for row in sft_rows(count)), encoding="utf-8")
    return path


class CountingScorer:
    """Scores a trace by how often it says `Maybe`; goes away after some batches."""

    def __init__(self, batches: int | None = None, sha256: str = "5" * 64) -> None:
        self.model = ModelInfo("counting", "1", sha256, "fp32")
        self.batches = batches
        self.scored: list[str] = []

    def score_batch_or_errors(self, traces: Sequence[str]) -> list[Any]:
        """Return scores."""
        if self.batches is not None:
            if self.batches == 0:
                raise EndpointError("http://127.0.0.1:9 cannot be reached")
            self.batches -= 1
        self.scored.extend(traces)
        return [self._score(trace) for trace in traces]

    def _score(self, trace: str) -> "TraceScore | RowError":
        if "unreadable" in trace:
            return EmptyTraceError("nothing to read")
        count = trace.count("Maybe")
        return FakeScore(count / 10, count, 10)  # type: ignore[return-value]


class FakeScore:
    """What scoring needs of a score."""

    def __init__(self, branch_rate: float, branch_count: int, step_count: int) -> None:
        self.branch_rate = branch_rate
        self.branch_count = branch_count
        self.step_count = step_count
