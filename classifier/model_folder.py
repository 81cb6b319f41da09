"""A model on disk: `model.onnx`, `tokenizer.json` and the `card.json` that describes and seals them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.errors import ModelError
from classifier.kinds import KINDS
from classifier.windows import WindowLayout

DEFAULT_FOLDER = Path(__file__).parent / "default"
EMBEDDED_MODELS = {"default": DEFAULT_FOLDER, "fast": Path(__file__).parent / "fast"}
"""The models that come with the package, by name: `fast` is a small student of `default`."""
CARD_FORMAT = 1
PRECISION_FILES = {"fp32": "model.onnx", "fp16": "model-fp16.onnx", "int8": "model-int8.onnx"}
"""The file of each precision: a model folder must have the first, `branching export` makes the others."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What identifies a loaded model.

    Parameters
    ----------
    name, version
        As the card has them.
    sha256
        Of the ONNX file that is loaded, in hexadecimal.
    precision
        `fp32`, `fp16` or `int8`.
    """

    name: str
    version: str
    sha256: str
    precision: str


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder whose files were checked against its card.

    Parameters
    ----------
    info
        What identifies the model.
    model_file, tokenizer_file
        The checked files.
    layout
        How windows are laid out.
    threshold
        A step branches when its probability is at least this.
    unknown_token_limit
        A trace with a larger share of unknown tokens is in a language that the model does not know.
    card
        The whole card.
    """

    info: ModelInfo
    model_file: Path
    tokenizer_file: Path
    layout: WindowLayout
    threshold: float
    unknown_token_limit: float
    card: dict[str, Any]

    @property
    def identity(self) -> str:
        """Return a SHA-256 that differs where scores may: it covers the card, and with it every file."""
        card = json.dumps(self.card, sort_keys=True)
        return hashlib.sha256(f"{self.info.sha256} {card}".encode()).hexdigest()


def read_model_folder(folder: Path | str | None = None, precision: str = "fp32") -> ModelFolder:
    """Read and check a model folder.

    Parameters
    ----------
    folder
        The folder, or the name of an embedded model; `default` by default.
    precision
        Which of the folder's files to load.

    Raises
    ------
    ModelError
        If the folder or a file is missing, a file's SHA-256 is not the card's, or the card is of another
        format.
    """
    path = model_path(folder)
    if precision not in PRECISION_FILES:
        raise ModelError(f"precision {precision!r} is not one of {', '.join(PRECISION_FILES)}")
    card = _read_card(path)
    model_name = PRECISION_FILES[precision]
    model_file, tokenizer_file = path / model_name, path / "tokenizer.json"
    if precision != "fp32" and not model_file.is_file():
        raise ModelError(
            f"the model in {path} has no {precision} file; make it with: "
            f"branching export --model {path} --precision {precision} -o FOLDER, then use --model FOLDER"
        )
    sha256 = _check(model_file, card)
    _check(tokenizer_file, card)
    try:
        layout = WindowLayout(**{**card["layout"], "lengths": tuple(card["layout"]["lengths"])})
        if tuple(card["kinds"]) != KINDS:
            raise ModelError(f"{path / 'card.json'}: kinds {card['kinds']} are not {list(KINDS)}")
        return ModelFolder(
            info=ModelInfo(str(card["name"]), str(card["version"]), sha256, precision),
            model_file=model_file,
            tokenizer_file=tokenizer_file,
            layout=layout,
            threshold=float(card["threshold"]),
            unknown_token_limit=float(card["unknown_token_limit"]),
            card=card,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path / 'card.json'}: a field is missing or wrong ({error!r}); export the model again"
        ) from error


def model_path(model: Path | str | None = None) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    model
        A folder, or a name of `EMBEDDED_MODELS`; `default` by default. A folder of such a name is `./fast`.
    """
    if model is None:
        return DEFAULT_FOLDER
    return EMBEDDED_MODELS.get(str(model)) or Path(model)


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} is not a model folder: it has no card.json. Give a folder that `branching train` or "
            "`branching export` wrote"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} cannot be read ({error}); export the model again") from error
    if not isinstance(card, dict) or card.get("format") != CARD_FORMAT:
        raise ModelError(
            f"{path}: this version reads cards of format {CARD_FORMAT}; export the model again with it"
        )
    return card


def _check(path: Path, card: dict[str, Any]) -> str:
    expected = card.get("sha256", {}).get(path.name)
    try:
        actual = file_sha256(path)
    except OSError as error:
        raise ModelError(
            f"the model file {path} cannot be read ({error}); the folder is incomplete"
        ) from error
    if actual != expected:
        raise ModelError(
            f"{path} has SHA-256 {actual}, but its card says {expected}: the file was changed or damaged. "
            "Install the package again, or export the model again"
        )
    return actual
