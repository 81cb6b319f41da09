"""What an output holds and what scored it: a manifest beside the file, and Parquet's metadata inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from classifier.errors import InputFileError
from classifier.files.names import MANIFEST_ENDING
from classifier.files.outputs import FinishedFile, NewFile, OutputTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from classifier.files.inputs import InputFile
    from classifier.files.writers import RowWriter

METADATA_KEY: Final = b"branching"
"""The key of the provenance in Parquet schema metadata."""

Provenance = dict[str, Any]
"""Model, versions and options: what the scores of a file come from."""

Manifest = dict[str, Any]
"""Rows, bytes and SHA-256 of a file, with the provenance of its scores."""

Described = tuple["RowWriter", "Callable[[FinishedFile], Manifest | None]"]
"""A writer, and what is told what its output holds and returns its manifest; None for no manifest."""


def manifest_path(output: Path) -> Path:
    """Return where the manifest of an output stands."""
    return output.with_name(output.name + MANIFEST_ENDING)


def read_manifest(output: Path) -> Manifest | None:
    """Read the manifest of an output; None where there is none that can be read."""
    try:
        return _parsed(manifest_path(output).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _parsed(text: bytes | None) -> Manifest | None:
    try:
        found = json.loads(text or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def put_in_place(*outputs: Described) -> None:
    """Put complete outputs in their places, and their manifests beside them.

    All are written to their ends before the first appears: what then fails leaves none behind.

    Parameters
    ----------
    *outputs
        Writers that have written all rows, each with what makes its manifest.

    Raises
    ------
    OutputFileError
        If writing fails.
    """
    notes: list[NewFile | None] = []
    try:
        for writer, describe in outputs:
            notes.append(_written_manifest(writer.target, describe(writer.finish())))
        for (writer, _), note in zip(outputs, notes, strict=True):
            if writer.target.path is not None:
                # No manifest is better than one of another file, should the machine stop in between.
                manifest_path(writer.target.path).unlink(missing_ok=True)
            writer.commit()
            if note is not None:
                note.commit()
    except BaseException:
        for note in notes:
            if note is not None:
                note.discard()
        raise


def _written_manifest(target: OutputTarget, manifest: Manifest | None) -> NewFile | None:
    """Write a manifest that is not in its place yet; standard output has none."""
    if target.path is None or manifest is None:
        return None
    note = NewFile(OutputTarget(f"{target.name}{MANIFEST_ENDING}", manifest_path(target.path), "json", None))
    try:
        note.write((json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode())
        note.finish(0)
    except BaseException:
        note.discard()
        raise
    return note


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

    The manifest of JSON lines counts only while their size is the one it states.
    """
    found: Any = None
    if source.is_table:
        from classifier.files.table_inputs import table_schema  # JSON needs no pyarrow

        try:
            found = json.loads((table_schema(source).metadata or {}).get(METADATA_KEY, b"null"))
        except ValueError:
            return None
    else:
        manifest = _parsed(source.read_beside(MANIFEST_ENDING)) or {}
        found = manifest.get("provenance") if manifest.get("bytes") == source.size else None
    return found if isinstance(found, dict) and isinstance(found.get("model"), dict) else None


def common_provenance(
    sources: Sequence[InputFile],
) -> tuple[Provenance | None, dict[str, Provenance | None]]:
    """Read what scored some files, which must be the same for all.

    Returns
    -------
    tuple
        The provenance of the first file that states one, None where none does, and that of each file by its
        name.

    Raises
    ------
    InputFileError
        If two files were scored by different models or precisions.
    """
    first: tuple[InputFile, Provenance] | None = None
    stated: dict[str, Provenance | None] = {}
    for source in sources:
        found = stated[source.name] = read_provenance(source)
        if found is None:
            continue
        if first is None:
            first = (source, found)
        elif _identity(found) != _identity(first[1]):
            raise InputFileError(
                f"{first[0].name} was scored by {_shown(first[1])} and {source.name} by {_shown(found)}: "
                "their rates cannot be compared. Score them with the same model: "
                "branching score --overwrite-columns"
            )
    return None if first is None else first[1], stated


def _identity(provenance: Provenance) -> tuple[Any, Any]:
    return provenance["model"].get("sha256"), provenance["model"].get("precision")


def _shown(provenance: Provenance) -> str:
    model = provenance["model"]
    return (
        f"{model.get('name')} {model.get('version')} ({model.get('precision')}, "
        f"SHA-256 {str(model.get('sha256'))[:12]}…)"
    )
