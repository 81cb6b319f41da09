"""The models and precisions that one run compares, each under a short name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from classifier.errors import OptionError
from classifier.model_folder import PRECISION_FILES, read_model_folder

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Variant:
    """A model and a precision.

    Parameters
    ----------
    name
        What it is called in the tables.
    model
        The model folder or the name of an embedded model; None for the default one.
    precision
        Which of its files.
    """

    name: str
    model: str | None = None
    precision: str = "fp32"

    @property
    def arguments(self) -> list[str]:
        """Return the options that choose it on a command line."""
        model = [] if self.model is None else ["--model", self.model]
        return [*model, "--precision", self.precision]

    def describe(self) -> dict[str, Any]:
        """Return what identifies the model, as JSON can hold it."""
        info = read_model_folder(self.model, self.precision).info
        return {
            "name": info.name,
            "version": info.version,
            "sha256": info.sha256,
            "precision": info.precision,
        }


def parse_variants(texts: Sequence[str]) -> list[Variant]:
    """Read variants as they are given on a command line.

    Parameters
    ----------
    texts
        `NAME`, an embedded model; `NAME=FOLDER`, or `NAME=FOLDER:PRECISION`.

    Raises
    ------
    OptionError
        If two have the same name.
    """
    variants = [_parse(text) for text in texts]
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        raise OptionError(f"each variant needs a name of its own, got {', '.join(names)}")
    return variants


def _parse(text: str) -> Variant:
    name, _, model = text.partition("=")
    if not model:
        return Variant(name, None if name == DEFAULT else name)
    folder, colon, precision = model.rpartition(":")
    return (
        Variant(name, folder, precision) if colon and precision in PRECISION_FILES else Variant(name, model)
    )
