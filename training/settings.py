"""Nested settings of `branching sft` and `branching study`: read from JSON, overridden by name, checked."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from classifier.errors import OptionError


class Settings(BaseModel):
    """Base of the settings: immutable, and a name that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SettingsType = TypeVar("SettingsType", bound=Settings)


def load_settings(
    kind: type[SettingsType], path: Path | None = None, overrides: Sequence[str] = ()
) -> SettingsType:
    """Load settings from a file and change some of them.

    Parameters
    ----------
    kind
        The class of the settings.
    path
        A JSON file; settings that it does not have keep their defaults.
    overrides
        `NAME=VALUE`, with dots between the names of nested settings; a value is read as JSON where it is
        JSON, else as text.

    Returns
    -------
    Settings
        Of that class.

    Raises
    ------
    OptionError
        If the file cannot be read, or a setting is unknown, missing or out of range.
    """
    values = {} if path is None else read_object(path)
    for override in overrides:
        name, separator, value = override.partition("=")
        if not separator or not name:
            raise OptionError(f"--set {override}: expected NAME=VALUE, such as trainer.learning_rate=1e-5")
        _put(values, name.split("."), _parsed(value), override)
    return checked_settings(kind, values, "" if path is None else f"{path}: ")


def checked_settings(kind: type[SettingsType], values: dict[str, Any], place: str = "") -> SettingsType:
    """Build settings from plain values.

    Parameters
    ----------
    kind
        The class of the settings.
    values
        Plain values by name.
    place
        What the message of an error begins with.

    Raises
    ------
    OptionError
        If a setting is unknown, missing or out of range; the message lists all that are wrong.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        wrong = [
            f"setting {'.'.join(map(str, one['loc'])) or 'all'}: {one['msg']}"
            + ("" if one["type"] == "missing" else f" (given: {one['input']!r:.60})")
            for one in error.errors(include_url=False)
        ]
        raise OptionError(place + "; ".join(wrong)) from error


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises
    ------
    OptionError
        If the file cannot be read or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise OptionError(f"{path}: expected a JSON object of settings ({error})") from error
    if not isinstance(values, dict):
        raise OptionError(f"{path}: expected a JSON object of settings, but it holds {type(values).__name__}")
    return values


def _put(values: dict[str, Any], names: list[str], value: Any, override: str) -> None:
    for name in names[:-1]:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise OptionError(f"--set {override}: {name} holds no nested settings")
    values[names[-1]] = value


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
