"""A tiny encoder and toy documents, so that training can be tested in seconds."""

import json
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertModel, BertTokenizer

from training.config import TrainingConfig
from training.recipe import TrainingData

CONVERGENT = (
    "Add the two prices.",
    "The sum is {n}.",
    "Divide by two.",
    "That gives {n} each.",
    "So each pays {n} coins.",
    "The box holds {n} pens.",
    "Next we count the pens.",
    "First, read the question.",
)
DEPARTURES = {
    "A": ("Maybe a table would be simpler.", "Another way is to draw it.", "Or it could be {n} pens."),
    "B": ("No, that is wrong.", "I forgot the tax.", "That contradicts the total."),
    "R": ("Let me read it again.", "I will check the sum once more.", "Start over from the prices."),
}


def toy_document(number: int) -> dict[str, object]:
    """Return one labelled document; the number decides its text and kinds."""
    steps: list[dict[str, object]] = []
    trace = ""
    for index in range(8 + number % 5):
        code = "C"
        template = CONVERGENT[(number * 3 + index) % len(CONVERGENT)]
        if (number + index * 2) % 5 == 0 and number % 4:
            code = "ABR"[(number + index) % 3]
            template = DEPARTURES[code][(number + index) % 3]
        text = template.format(n=(number * 7 + index) % 50 + 2)
        steps.append(
            {"start": len(trace), "end": len(trace) + len(text), "label": int(code != "C"), "kind": code}
        )
        trace += text + " "
    return {
        "id": f"toy-{number}",
        "source": "toy",
        "licence": "Apache-2.0",
        "model": f"teacher-{number % 3}",
        "group": f"teacher-{number % 3}",
        "problem_id": str(number % 7),
        "trace": trace.strip(),
        "steps": steps,
    }


def write_gold(path: Path, count: int = 60, first: int = 0) -> Path:
    """Write labelled toy documents."""
    rows = [json.dumps(toy_document(number)) for number in range(first, first + count)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_traces(folder: Path, count: int = 30) -> Path:
    """Write a folder of unlabelled toy traces."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        document = toy_document(1_000 + number)
        rows.append(
            {"trace": document["trace"], "kind": "raw_cot", "model": document["model"], "source": "toy"}
        )
    text = "\n".join(map(json.dumps, rows)) + "\n"
    (folder / "toy.jsonl").write_text(text, encoding="utf-8")
    return folder


def write_data(folder: Path) -> TrainingData:
    """Write toy traces and documents to train from and to calibrate on."""
    return TrainingData(
        traces=(write_traces(folder / "traces"),),
        gold=(write_gold(folder / "train.jsonl"),),
        calibration=(write_gold(folder / "calibration.jsonl", 12, first=200),),
    )


def write_encoder(folder: Path) -> Path:
    """Write a tiny random BERT with a WordPiece vocabulary of the toy texts."""
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    texts = [str(toy_document(number)["trace"]) for number in range(80)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, WordPieceTrainer(vocab_size=400, special_tokens=special))
    BertTokenizer(tokenizer_object=tokenizer).save_pretrained(folder)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def toy_config(encoder: Path) -> TrainingConfig:
    """Return settings with windows that suit the toy texts."""
    return TrainingConfig(
        encoder=str(encoder),
        vocabulary_size=0,
        window_lengths=(32, 64),
        context_tokens=12,
        training_context=(6, 18),
        max_steps=10,
        max_step_tokens=24,
    )
