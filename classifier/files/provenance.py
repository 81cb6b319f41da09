"""What scored a file: kept in Parquet's metadata, and for JSON lines in a small file beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from classifier.errors import InputFileError
from classifier.files.inputs import PROVENANCE_ENDING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from classifier.files.inputs import InputFile

METADATA_KEY: Final = b"branching"
"""The key of the provenance in Parquet schema metadata."""

Provenance = dict[str, Any]


def provenance_path(path: Path) -> Path:
    """Return where the provenance of a file of JSON lines stands."""
    return path.with_name(path.name + PROVENANCE_ENDING)


def with_provenance(
    metadata: Mapping[bytes, bytes] | None, provenance: Provenance | None
) -> dict[bytes | str, bytes | str] | None:
    """Return schema metadata with the provenance in place of an earlier one."""
    merged: dict[bytes | str, bytes | str] = {
        key: value for key, value in (metadata or {}).items() if key != METADATA_KEY
    }
    if provenance is not None:
        merged[METADATA_KEY] = json.dumps(provenance, ensure_ascii=False).encode()
    return merged or None


def read_provenance(source: InputFile) -> Provenance | None:
    """Read what scored a file; None where nothing says so.

    A file beside JSON lines counts only while their size is the one it states.
    """
    try:
        if source.format == "parquet":
            from classifier.files.parquet import parquet_schema  # JSON needs no pyarrow

            text = (parquet_schema(source).metadata or {}).get(METADATA_KEY)
        elif source.path is None:
            return None
        else:
            text = provenance_path(source.path).read_bytes()
        found = None if text is None else json.loads(text)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("model"), dict):
        return None
    return found if found.get("bytes", source.size) == source.size else None


def common_provenance(sources: Sequence[InputFile]) -> tuple[Provenance | None, list[str]]:
    """Read what scored some files, which must be the same for all.

    Returns
    -------
    tuple
        The provenance, None where no file states one, and the names of the files that state none.

    Raises
    ------
    InputFileError
        If two files were scored by different models or precisions.
    """
    first: tuple[InputFile, Provenance] | None = None
    unknown: list[str] = []
    for source in sources:
        found = read_provenance(source)
        if found is None:
            unknown.append(source.name)
        elif first is None:
            first = (source, found)
        elif _identity(found) != _identity(first[1]):
            raise InputFileError(
                f"{first[0].name} was scored by {_shown(first[1])} and {source.name} by {_shown(found)}: "
                "their rates cannot be compared. Score them with the same model: "
                "branching score --overwrite-columns"
            )
    if first is None:
        return None, unknown
    return {key: value for key, value in first[1].items() if key not in ("rows", "bytes")}, unknown


def _identity(provenance: Provenance) -> tuple[Any, Any]:
    return provenance["model"].get("sha256"), provenance["model"].get("precision")


def _shown(provenance: Provenance) -> str:
    model = provenance["model"]
    return (
        f"{model.get('name')} {model.get('version')} ({model.get('precision')}, "
        f"SHA-256 {str(model.get('sha256'))[:12]}…)"
    )
