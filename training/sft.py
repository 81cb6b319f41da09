"""Fine-tune a causal language model on selected traces.

`branching sft data.jsonl --model path/to/model -o run --set selection.keep=0.9`
"""

import hashlib
import inspect
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import datasets
import torch
from datasets import Dataset
from torch.utils.data import Sampler, WeightedRandomSampler
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils.logging import disable_progress_bar
from trl import SFTConfig, SFTTrainer

from classifier.errors import DependencyError, OptionError
from classifier.files import find_inputs
from classifier.model_folder import file_sha256
from classifier.version import __version__
from training.json_files import read_json, write_json, write_rows
from training.sft_config import SftConfig
from training.sft_rows import SftRow, read_sft_rows
from training.sft_scores import Scorer, open_scorer, scored_by, scored_columns
from training.sft_selection import Selected, select_rows

logger = logging.getLogger(__name__)

SAMPLING: Final = {"shuffled": "random", "length_grouped": "group_by_length"}
"""The trainer's name of each order that it makes itself; any other is the order of the rows given to it."""


def run_sft(config: SftConfig, folder: Path, scorer: Scorer | None = None) -> dict[str, Any]:
    """Score, select and fine-tune, or go on where the same run was stopped.

    Parameters
    ----------
    config
        The settings.
    folder
        The run folder: gets `config.json`, `manifest.json`, `dropped.jsonl`, `scores.jsonl`, checkpoints,
        `loss.jsonl`, `model` and, when all is done, `run.json`.
    scorer
        What scores the traces, if it is open already; the settings say by default.

    Returns
    -------
    dict
        What `run.json` holds: the settings, the manifest, the hashes of the rows and of the model that scored
        them, steps, tokens, seconds and the loss curve.

    Raises
    ------
    OptionError
        If the folder holds another run or another model's scores, the model has no chat template, no row is
        left, or a setting of the trainer is not known. All are found before training begins.
    InputFileError
        If a row cannot be used.
    EndpointError
        If a service stays away; the scores so far are kept.
    """
    _claim(folder, config)
    finished = folder / "run.json"
    if finished.is_file():
        logger.info("%s is finished", folder)
        record: dict[str, Any] = read_json(finished)
        return record
    disable_progress_bar()
    tokenizer = load_tokenizer(config)
    arguments = trainer_arguments(config, folder)
    rows = read_sft_rows(config.data, config.completion)
    count_tokens(rows, tokenizer)
    scores = None
    if config.needs_scores:
        opened = scorer or open_scorer(config.endpoint, config.scorer_threads)
        scores = scored_columns([row.trace for row in rows], opened, folder / "scores.jsonl")
    selected = select_rows(rows, scores, config)
    write_json(folder / "manifest.json", selected.manifest)
    write_rows(folder / "dropped.jsonl", selected.dropped)
    logger.info("Training on %s of %s rows", f"{len(selected.rows):,}", f"{len(rows):,}")

    trainer = build_trainer(config, arguments, tokenizer, selected)
    trained = trainer.train_dataset
    if len(trained) != len(selected.rows):
        raise OptionError(
            f"the trainer left out {len(selected.rows) - len(trained)} of {len(selected.rows)} rows, whose "
            f"prompt alone fills max_length={config.max_length} tokens; raise max_length or drop them"
        )
    checkpoint = get_last_checkpoint(str(folder / "checkpoints"))
    started, cpu_started = time.perf_counter(), time.process_time()
    _train(trainer, checkpoint)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    trainer.save_model(str(folder / "model"))
    losses = [entry for entry in trainer.state.log_history if "loss" in entry]
    write_rows(folder / "loss.jsonl", losses)
    labels = [label for row in trained["labels"] for label in row]
    record = {
        "config": config.model_dump(mode="json"),
        "package_version": __version__,
        "resumed_from": None if checkpoint is None else Path(checkpoint).name,
        "manifest": selected.manifest,
        "data_sha256": data_sha256(selected.rows),
        "scorer_sha256": None if scores is None else scored_by(folder / "scores.jsonl"),
        "steps": trainer.state.global_step,
        "rows_trained": len(trained),
        "tokens_an_epoch": len(labels),
        "completion_tokens_an_epoch": sum(label != -100 for label in labels),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "mean_loss": sum(float(entry["loss"]) for entry in losses) / len(losses) if losses else None,
        "loss": [{"step": entry["step"], "loss": float(entry["loss"])} for entry in losses],
    }
    write_json(finished, record)
    return record


def _train(trainer: SFTTrainer, checkpoint: str | None) -> None:
    """Train; where all steps were done and only the end is missing, load what they made."""
    if checkpoint is not None:
        state = TrainerState.load_from_json(str(Path(checkpoint) / "trainer_state.json"))
        if state.global_step >= state.max_steps:
            # Resumed there, the Trainer would take one step more.
            trainer._load_from_checkpoint(checkpoint)
            trainer.state = state
            return
    trainer.train(resume_from_checkpoint=checkpoint)


def load_tokenizer(config: SftConfig) -> PreTrainedTokenizerBase:
    """Load the model's tokenizer.

    Raises
    ------
    OptionError
        If there is no such model, or it has no chat template and the settings give none.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(config.model)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"model {config.model!r} has no tokenizer that can be loaded ({str(error).splitlines()[0]}); "
            "give the folder or the hub's name of a causal language model"
        ) from error
    template = config.trainer.get("chat_template_path")
    if tokenizer.chat_template is None and template is None:
        raise OptionError(
            f"model {config.model!r} has no chat template, so prompts cannot be written the way it will be "
            "asked; give an instruction-tuned model, or a template's file with "
            "--set trainer.chat_template_path=FILE"
        )
    if template is not None and Path(template).is_file():
        tokenizer.chat_template = Path(template).read_text(encoding="utf-8")
    return tokenizer


def trainer_arguments(config: SftConfig, folder: Path) -> SFTConfig:
    """Build the trainer's settings: ours, then those of the config.

    Raises
    ------
    OptionError
        If a setting is not known or cannot be used.
    """
    ours = {
        "output_dir": str(folder / "checkpoints"),
        "max_length": config.max_length,
        "completion_only_loss": True,
        # SFTConfig asks for bfloat16 unless told otherwise, and stops where there is no GPU.
        "bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        "report_to": "none",
        "disable_tqdm": True,
        "save_total_limit": 1,
        "logging_steps": 10,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "train_sampling_strategy": SAMPLING.get(config.order, "sequential"),
    }
    given = {name: value for name, value in config.trainer.items() if name != "chat_template_path"}
    reserved = {"output_dir", "max_length", "completion_only_loss", "train_sampling_strategy", "packing"}
    for name in given:
        if name in reserved:
            raise OptionError(f"trainer.{name} follows from other settings and cannot be set")
        if name not in inspect.signature(SFTConfig).parameters:
            raise OptionError(f"trainer.{name} is no setting of trl.SFTConfig")
    try:
        with future_warnings_of_trl():
            return SFTConfig(**{**ours, **given})
    except (TypeError, ValueError) as error:
        raise OptionError(f"trainer: {error}") from error


def count_tokens(rows: list[SftRow], tokenizer: PreTrainedTokenizerBase) -> None:
    """Count the tokens of each row's whole conversation, as the trainer will see it."""
    for row in rows:
        text = str(tokenizer.apply_chat_template([*row.prompt, *row.completion], tokenize=False))
        row.tokens = len(tokenizer(text, add_special_tokens=False)["input_ids"])


def build_trainer(
    config: SftConfig, arguments: SFTConfig, tokenizer: PreTrainedTokenizerBase, selected: Selected
) -> SFTTrainer:
    """Build the trainer on the selected rows.

    Raises
    ------
    OptionError
        If the model cannot be loaded or a setting of LoRA is not known.
    DependencyError
        If LoRA is asked for and `peft` is not installed.
    """
    datasets.disable_progress_bars()
    dataset = Dataset.from_list(
        [{"prompt": row.prompt, "completion": row.completion} for row in selected.rows]
    )
    try:
        model = AutoModelForCausalLM.from_pretrained(config.model)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"model {config.model!r} cannot be loaded ({str(error).splitlines()[0]})"
        ) from error
    with future_warnings_of_trl():
        trainer = WeighedTrainer(
            model=model,
            args=arguments,
            train_dataset=dataset,
            processing_class=tokenizer,
            peft_config=_lora(config),
            callbacks=[LossLog()],
            weights=None if selected.weights is None else selected.weights.tolist(),
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


@contextmanager
def future_warnings_of_trl() -> Iterator[None]:
    """Leave out what transformers 5.23 says about settings that TRL 1.16 passes on, not the caller."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


class LossLog(TrainerCallback):
    """Logs the training loss."""

    def on_log(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        """Log one entry."""
        if logs and "loss" in logs:
            logger.info("Step %d of %d: loss %.4f", state.global_step, state.max_steps, float(logs["loss"]))


class WeighedSampler(WeightedRandomSampler):
    """Draws rows by weight, as many as there are, in each epoch others.

    What an epoch draws follows from the seed and its number alone: a run that was stopped replays no earlier
    epoch, and must draw the same rows nevertheless.

    Parameters
    ----------
    weights
        One a row.
    seed
        Where all chance comes from.
    """

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        super().__init__(weights, len(weights), generator=torch.Generator())
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is drawn next, from 0; the trainer's data loader does."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Draw the rows of the epoch."""
        self.generator.manual_seed(self._seed + self._epoch)
        return super().__iter__()


class WeighedTrainer(SFTTrainer):
    """A trainer that can draw rows by weight.

    Parameters
    ----------
    weights
        One a row; None draws as `SFTTrainer` does.
    arguments
        Those of `SFTTrainer`.
    """

    def __init__(self, *, weights: list[float] | None, **arguments: Any) -> None:
        self._weights = weights
        super().__init__(**arguments)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int] | None:
        if self._weights is None:
            sampler: Sampler[int] | None = super()._get_train_sampler(train_dataset)
            return sampler
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return WeighedSampler(self._weights, seed)


def data_sha256(rows: list[SftRow]) -> str:
    """Return the hash of the conversations, in their order."""
    digest = hashlib.sha256()
    for row in rows:
        for message in (*row.prompt, *row.completion):
            digest.update(f"{message['role']}\0{message['content']}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _lora(config: SftConfig) -> Any:
    if config.lora is None:
        return None
    try:
        from peft import LoraConfig
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"LoRA needs the package {error.name}; install it: pip install 'branching-classifier[sft]'"
        ) from error
    try:
        return LoraConfig(**{"task_type": "CAUSAL_LM", **config.lora})
    except (TypeError, ValueError) as error:
        raise OptionError(f"lora: {error}") from error


def _claim(folder: Path, config: SftConfig) -> None:
    """Write down what the run is, or find that it is the same run."""
    hashes = {}
    for source in find_inputs(list(config.data)):
        if source.path is None or source.is_stream:
            raise OptionError(
                f"{source.name} can be read only once, but a run must find its data again: "
                "write it to a file first"
            )
        hashes[source.name] = file_sha256(source.path)
    identity = {
        "config": config.model_dump(mode="json", exclude={"endpoint", "scorer_threads"}),
        "data": hashes,
    }
    path = folder / "config.json"
    if path.is_file() and read_json(path) != identity:
        raise OptionError(
            f"{folder} holds a run with other settings or data; give another folder, or delete this one"
        )
    write_json(path, identity)
