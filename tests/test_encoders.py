"""`branching train --encoder`: other architectures and tokenizers, and settings that do not fit them."""

import dataclasses
import shutil
from pathlib import Path
from typing import Final

import pytest
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
    set_seed,
)

from classifier import BranchScorer
from tests.cli_runner import CommandLine, Result
from tests.toy_training import toy_config, toy_document, write_encoder, write_gold, write_traces

SMALL: Final = {
    **dataclasses.asdict(toy_config(Path())),
    "epochs": 1,
    "folds": 0,
    "adapt_characters": 4_000,
    "adapt_epochs": 1,
    "self_taught_characters": 3_000,
}


def write_roberta(folder: Path) -> Path:
    """Write a tiny random RoBERTa with a byte-level vocabulary of the toy texts."""
    set_seed(0)
    trained = ByteLevelBPETokenizer()
    texts = [str(toy_document(number)["trace"]) for number in range(80)]
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(texts, vocab_size=400, special_tokens=special)
    folder.mkdir()
    trained.save_model(str(folder))
    tokenizer = RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        pad_token_id=tokenizer.pad_token_id,
    )
    RobertaModel(config).save_pretrained(folder)
    return folder


def write_distilbert(folder: Path) -> Path:
    """Write a tiny random DistilBERT, whose layers are not where BERT has them."""
    bert = write_encoder(folder.with_name("bert-for-its-tokenizer"))
    shutil.copytree(bert, folder, ignore=shutil.ignore_patterns("config.json", "model.safetensors"))
    config = DistilBertConfig(
        vocab_size=400, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=128
    )
    DistilBertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    set_seed(0)
    return {
        "bert": write_encoder(folder / "bert"),
        "roberta": write_roberta(folder / "roberta"),
        "distilbert": write_distilbert(folder / "distilbert"),
    }


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


def train(command_line: CommandLine, encoder: Path, folder: Path, *settings: str) -> Result:
    given = [
        f"{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in SMALL.items()
        if name != "encoder"
    ]
    return command_line(
        "train",
        write_traces(folder / "traces"),
        "--gold",
        write_gold(folder / "train.jsonl"),
        "-o",
        folder / "model",
        "--encoder",
        encoder,
        *(part for setting in (*given, *settings) for part in ("--set", setting)),
    )


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_any_encoder_can_be_fine_tuned(
    name: str, encoders: dict[str, Path], command_line: CommandLine, tmp_path: Path
) -> None:
    result = train(command_line, encoders[name], tmp_path)
    assert (result.code, f"Wrote {tmp_path / 'model'}" in result.stdout) == (0, True), result.stderr
    score = BranchScorer(tmp_path / "model").score("Add the two prices. No, that is wrong.")
    assert score.step_count == 2
    assert 0 < score.branch_rate < 1


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("bert", "layers=3", "layers=3: the encoder has 2 layers"),
        ("bert", "layers=-1", "layers=-1: the encoder has 2 layers"),
        ("distilbert", "layers=1", "are not where BERT has them"),
        ("roberta", "vocabulary_size=300", "set vocabulary_size to 0"),
        ("bert", "context_tokens=200", "set other window_lengths, context_tokens or max_step_tokens"),
        ("bert", "window_lengths=32,256", "reads at most 128 tokens"),
        ("roberta", "window_lengths=32,129", "reads at most 128 tokens"),
        ("nowhere", "epochs=1", "nowhere' cannot be loaded"),
    ],
)
def test_settings_that_do_not_fit_the_encoder(
    name: str,
    setting: str,
    message: str,
    encoders: dict[str, Path],
    command_line: CommandLine,
    tmp_path: Path,
) -> None:
    result = train(command_line, encoders.get(name, tmp_path / name), tmp_path, setting)
    assert result.code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "model.run").exists()
