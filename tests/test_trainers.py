"""The examples for trainers, run on tiny data: as a user runs them."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from classifier import BranchScorer
from tests.example_traces import BRANCHING, CONVERGING, TRACES

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def weighted_loader() -> Any:
    """Return the example as a module."""
    path = ROOT / "examples" / "trainers" / "weighted_loader.py"
    spec = importlib.util.spec_from_file_location("weighted_loader", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(script: str, *arguments: Path | str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "examples" / "trainers" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    rows = [{"problem": f"Problem {number}.", "trace": text} for number, text in enumerate(TRACES)]
    path = tmp_path / "traces.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class TestWeightedLoader:
    """Weights instead of a cut."""

    def test_the_script(self, traces: Path) -> None:
        done = run("weighted_loader.py", traces, "--strength", "0.5")
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        weights = [float(line.split()[0]) for line in lines[: len(TRACES)]]
        assert weights == sorted(weights)
        assert sum(weights) == pytest.approx(len(TRACES), abs=0.05)
        assert BRANCHING[:30] in lines[0]
        assert [line.split()[0] for line in lines[len(TRACES) :]] == ["loss", "loss"]

    def test_a_batch_is_padded_and_its_loss_is_weighted(self, weighted_loader: Any) -> None:
        rows = weighted_loader.with_weights([{"trace": CONVERGING}, {"trace": BRANCHING}], "trace")
        assert rows[0]["weight"] > 1 > rows[1]["weight"]
        batch = weighted_loader.collate(
            rows, "trace", lambda text: list(text.encode())[:5] if text == CONVERGING else [1, 2, 3]
        )
        assert batch["input_ids"].shape == (2, 5)
        assert batch["labels"][1].tolist() == [1, 2, 3, -100, -100]
        logits = torch.randn(2, 5, 256)
        each = [
            torch.nn.functional.cross_entropy(logits[row, : size - 1], batch["labels"][row, 1:size])
            for row, size in enumerate((5, 3))
        ]
        expected = (batch["weight"] * torch.stack(each)).mean()
        assert weighted_loader.weighted_loss(logits, batch).item() == pytest.approx(expected.item(), rel=1e-5)

    def test_what_weighs_nothing_is_never_drawn(self, weighted_loader: Any) -> None:
        rows = [{"trace": "a", "weight": 1.0}, {"trace": "b", "weight": 0.0}]
        batches = weighted_loader.sampled_batches(rows, "trace", lambda text: [ord(text)], batch_size=1)
        assert {batch["input_ids"].item() for _ in range(5) for batch in batches} == {ord("a")}


class TestPreprocess:
    """Axolotl's and LLaMA-Factory's files."""

    def rows(self, form: str) -> list[dict[str, Any]]:
        answers = [f"<think>{text}</think>\nDone, « {number} »." for number, text in enumerate(TRACES[:4])]
        if form == "alpaca":
            return [{"instruction": "Solve.", "input": "", "output": answer} for answer in answers]
        if form == "sharegpt":
            return [
                {"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": answer}]}
                for answer in answers
            ]
        return [
            {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}], "n": 1}
            for answer in answers
        ]

    @pytest.mark.parametrize("form", ["alpaca", "sharegpt", "messages"])
    @pytest.mark.parametrize("array", [True, False])
    def test_the_most_branching_row_goes_and_the_others_stay_as_they_are(
        self, tmp_path: Path, form: str, array: bool
    ) -> None:
        rows = self.rows(form)
        data, output = tmp_path / "data.json", tmp_path / "kept.json"
        lines = "\n".join(json.dumps(row) for row in rows)
        data.write_text(json.dumps(rows) if array else lines, encoding="utf-8")
        done = run("preprocess.py", data, "-o", output, "--keep", "0.75")
        assert done.returncode == 0, done.stderr
        rates = [BranchScorer().score(text).branch_rate for text in TRACES[:4]]
        text = output.read_text(encoding="utf-8")
        kept = json.loads(text) if array else [json.loads(line) for line in text.splitlines()]
        assert kept == [row for row, rate in zip(rows, rates, strict=True) if rate < max(rates)]
        assert "« 0 »" in text, "text stays readable"
        assert done.stdout.startswith("Kept 3 of 4 rows")

    def test_rows_without_reasoning(self, tmp_path: Path) -> None:
        (tmp_path / "data.json").write_text('[{"instruction": "Add.", "output": "Nine."}]', encoding="utf-8")
        done = run("preprocess.py", tmp_path / "data.json", "-o", tmp_path / "kept.json")
        assert (done.returncode, (tmp_path / "kept.json").exists()) == (2, False)
        assert "no row has a branch rate" in done.stderr


@pytest.mark.slow
def test_trl_trains_on_the_least_branching_traces(traces: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="TRL is not installed (extra `sft`)")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106 - a token of text
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.train_from_iterator(
        TRACES, trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", "<pad>", "</s>"])
    )
    tokens = {"unk_token": "<unk>", "pad_token": "<pad>", "eos_token": "</s>"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)
    config = transformers.LlamaConfig(
        vocab_size=len(fast),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    folder = tmp_path / "tiny"
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    done = run(
        "trl_sft.py", traces, "--model", folder, "-o", tmp_path / "tuned", "--keep", "0.8", "--steps", "2",
        "--max-length", "256",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"Training on 5 of {len(TRACES)} traces" in done.stdout
    assert "'train_loss'" in done.stdout
    tuned = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "tuned")
    before = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert not torch.equal(tuned.lm_head.weight, before.lm_head.weight)
