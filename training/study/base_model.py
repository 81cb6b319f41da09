"""The small base model: its own tokenizer, and its pre-training on text that the project generates."""

import random
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from training.json_files import read_json, write_json
from training.settings import Settings
from training.sft import LossLog
from training.study.divergent_teacher import divergent_trace
from training.study.teaching import convergent_trace, equation, expression, reductions

PAD: Final = "<|pad|>"
END: Final = "<|end|>"
USER: Final = "<|user|>"
ASSISTANT: Final = "<|assistant|>"

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


class BaseModelConfig(Settings):
    """The small base model and its pre-training.

    Parameters
    ----------
    vocabulary_size
        Most tokens of its tokenizer.
    layers, hidden_size, heads, intermediate_size
        Its shape, a Llama with tied embeddings.
    documents
        How many documents to generate and pre-train on.
    block_tokens
        Length of the blocks that the documents are cut into.
    batch_size, epochs, learning_rate
        The optimisation: AdamW, linear warm-up, cosine decay.
    bf16
        Whether matrices are multiplied in bfloat16, the weights staying in float32: faster where the
        processor can do so, a CPU too.
    seed
        Seed of the text, the weights and the order.
    """

    vocabulary_size: int = 1_024
    layers: int = 5
    hidden_size: int = 128
    heads: int = 4
    intermediate_size: int = 344
    documents: int = 60_000
    block_tokens: int = 128
    batch_size: int = 32
    epochs: int = 1
    learning_rate: float = 2e-3
    bf16: bool = False
    seed: int = 1


def train_tokenizer(texts: Sequence[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer that gives every digit a token of its own.

    Parameters
    ----------
    texts
        What to train on.
    vocabulary_size
        Most tokens.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\d| ?[A-Za-z']+| ?[^\sA-Za-z\d]|\s+"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[PAD, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, padding_side="left"
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def pretraining_documents(count: int, seed: int, avoided: Collection[tuple[int, ...]] = ()) -> Iterator[str]:
    """Generate what the base model reads before the study.

    Calculations, chains read out twice, chains that get shorter, as many traces of the one teacher as of the
    other, counting, and plain sentences. There is no question and no answer to one among it.

    Parameters
    ----------
    count
        How many documents.
    seed
        Seed of the draw.
    avoided
        Chains that no document is about: those that models are to be tested on.
    """
    rng = random.Random(seed)

    def chain(most: int) -> list[int]:
        terms = _terms(rng, most)
        while tuple(terms) in avoided:
            terms = _terms(rng, most)
        return terms

    for _ in range(count):
        kind = rng.random()
        if kind < 0.2:
            yield " ".join(f"{equation(*_operands(rng))}." for _ in range(rng.randint(4, 10)))
        elif kind < 0.35:
            read = expression(chain(9))
            yield f"{read}: {read}."
        elif kind < 0.6:
            yield f"{' = '.join(reductions(chain(9)))}."
        elif kind < 0.78:
            yield convergent_trace(chain(6), rng).text
        elif kind < 0.96:
            yield divergent_trace(chain(6), rng).text
        elif kind < 0.98:
            yield _count(rng)
        else:
            yield " ".join(_sentence(rng) for _ in range(rng.randint(2, 5)))


def pretrain(
    config: BaseModelConfig,
    texts: Sequence[str],
    context: int,
    folder: Path,
    *,
    threads: int,
    avoided: Collection[tuple[int, ...]] = (),
) -> dict[str, Any]:
    """Pre-train the base model, or go on where pre-training was stopped.

    Parameters
    ----------
    config
        The settings.
    texts
        Further texts for the tokenizer to know the words of; the model does not read them.
    context
        Most tokens that the model will have to read.
    folder
        The model folder to write; its checkpoints go into `checkpoints` beside it.
    threads
        Threads to train with.
    avoided
        See `pretraining_documents`.

    Returns
    -------
    dict
        The record of the run, also in `pretraining.json`: parameters, tokens, loss.
    """
    record_path = folder / "pretraining.json"
    if record_path.is_file():
        record: dict[str, Any] = read_json(record_path)
        return record
    torch.set_num_threads(threads)
    set_seed(config.seed)
    documents = list(pretraining_documents(config.documents, config.seed, avoided))
    tokenizer = train_tokenizer([*documents[:5_000], *texts], config.vocabulary_size)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    blocks = _blocks(documents, tokenizer, config.block_tokens)
    checkpoints = folder.with_name(f"{folder.name}-checkpoints")
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=config.batch_size,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        weight_decay=0.01,
        adam_beta2=0.95,
        logging_steps=50,
        save_steps=500,
        save_total_limit=1,
        bf16=config.bf16,
        use_cpu=not torch.cuda.is_available(),
        report_to="none",
        disable_tqdm=True,
        seed=config.seed,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(model, arguments, train_dataset=blocks, callbacks=[LossLog()])
    trainer.remove_callback(PrinterCallback)
    cpu_started = time.process_time()
    unfinished = any(checkpoints.glob("checkpoint-*"))
    outcome = trainer.train(resume_from_checkpoint=unfinished or None)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    record = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "vocabulary": len(tokenizer),
        "documents": len(documents),
        "tokens": len(blocks) * config.block_tokens * config.epochs,
        "loss": [
            {"step": entry["step"], "loss": entry["loss"]}
            for entry in trainer.state.log_history
            if "loss" in entry
        ],
        "seconds": outcome.metrics["train_runtime"],
        "cpu_seconds": time.process_time() - cpu_started,
    }
    write_json(record_path, record)
    return record


def _blocks(documents: Sequence[str], tokenizer: PreTrainedTokenizerFast, length: int) -> Dataset:
    stream: list[int] = []
    for ids in tokenizer(list(documents))["input_ids"]:
        stream.extend([*ids, tokenizer.eos_token_id])
    cut = [stream[start : start + length] for start in range(0, len(stream) - length + 1, length)]
    return Dataset.from_dict({"input_ids": cut, "labels": cut})


def _operands(rng: random.Random) -> tuple[int, int]:
    """Return a total and a term; the totals that chains of such terms reach are the frequent ones."""
    return round(rng.gauss(8, 20)), _term(rng)


def _term(rng: random.Random) -> int:
    return rng.randint(0, 9) * rng.choice((1, -1))


def _terms(rng: random.Random, most: int) -> list[int]:
    return [rng.randint(0, 9), *(_term(rng) for _ in range(rng.randint(2, most - 1)))]


def _count(rng: random.Random) -> str:
    first = rng.randint(-20, 300)
    pace = rng.choice((1, 1, 2, 5, 10))
    return ", ".join(str(first + pace * index) for index in range(rng.randint(5, 15))) + "."


def _sentence(rng: random.Random) -> str:
    subject, verb, thing, place = (rng.choice(words) for words in (SUBJECTS, VERBS, THINGS, PLACES))
    return f"{subject} {verb} {rng.randint(2, 99)} {thing} {place}."


SUBJECTS: Final = ("The baker", "A neighbour", "My aunt", "The school", "The old gardener", "A driver", "She")
VERBS: Final = ("counts", "sells", "carries", "finds", "paints", "lost", "will bring", "has", "kept")
THINGS: Final = ("loaves", "apples", "books", "boxes", "letters", "tickets", "stones", "chairs", "lamps")
PLACES: Final = ("in the morning", "by the river", "at the market", "before lunch", "on the long table")
