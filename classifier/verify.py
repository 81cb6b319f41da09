"""Check that outputs are what their manifests say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.errors import InputFileError
from classifier.files import SCORE_COLUMNS, InputFile, find_inputs, read_batches
from classifier.files.manifest import Manifest, read_manifest, read_provenance
from classifier.files.names import MANIFEST_ENDING, STANDARD_STREAM, is_url
from classifier.files.shards import find_shards

if TYPE_CHECKING:
    from classifier.files.rows import Row


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """What a check found.

    Parameters
    ----------
    outputs
        The files that were checked.
    rows
        How many rows they hold together.
    problems
        What is not as it should be, in words; nothing if all is well.
    """

    outputs: list[str]
    rows: int
    problems: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON can hold it."""
        return {"outputs": self.outputs, "rows": self.rows, "problems": self.problems}


def verify_output(name: str) -> VerifySummary:
    """Check an output, or all its shards, against the manifests.

    Every row is read: bytes and SHA-256, the number of rows, of scores and of errors, and the model that
    scored them must be as the manifest says.

    Parameters
    ----------
    name
        The output, as it was given to `branching score` or `branching filter`.

    Returns
    -------
    VerifySummary
        What was found.

    Raises
    ------
    InputFileError
        If there is no such output, or no manifest beside it.
    """
    if name == STANDARD_STREAM:
        raise InputFileError("Standard output has no manifest: name a file")
    if is_url(name):
        raise InputFileError(f"{name} is a URL: copy it and its manifest here to check them")
    shards = [] if Path(name).exists() else find_shards(name)
    paths = [path for _, path in shards] or [Path(name)]
    problems: list[str] = []
    if shards:
        counts = sorted({shard.count for shard, _ in shards})
        if len(counts) > 1:
            raise InputFileError(
                f"{name} was divided more than once (into {' and into '.join(map(str, counts))} shards): "
                "name a shard to check"
            )
        there = {shard.number for shard, _ in shards}
        missing = [number for number in range(1, counts[0] + 1) if number not in there]
        problems += [f"{name}: shard {number} of {counts[0]} is missing" for number in missing]
    manifests = []
    for path in paths:
        (source,) = find_inputs([str(path)])
        manifest = read_manifest(path)
        if manifest is None:
            raise InputFileError(
                f"{path} has no manifest that can be read ({path.name}{MANIFEST_ENDING}), so there is "
                "nothing to check it against"
            )
        manifests.append(manifest)
        problems += [f"{path}: {problem}" for problem in _problems(source, path, manifest)]
    if any(manifest.get("provenance") != manifests[0].get("provenance") for manifest in manifests):
        problems.append(f"{name}: its shards were not all scored by the same model with the same options")
    rows = sum(int(manifest.get("rows", 0)) for manifest in manifests)
    return VerifySummary([str(path) for path in paths], rows, problems)


def _problems(source: InputFile, path: Path, manifest: Manifest) -> list[str]:
    expected = {key: manifest.get(key) for key in ("bytes", "sha256", "rows", "scored", "errors")}
    with path.open("rb") as file:
        found: dict[str, Any] = {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    found["bytes"] = path.stat().st_size
    try:
        found |= _count(source, scored=expected["scored"] is not None)
    except InputFileError as error:
        return [str(error)]
    problems = [
        f"{key} should be {expected[key]} and is {value}"
        for key, value in found.items()
        if expected[key] != value
    ]
    if source.is_table and read_provenance(source) != manifest.get("provenance"):
        problems.append("the model that its metadata name is not the one of the manifest")
    return problems


def _count(source: InputFile, *, scored: bool) -> dict[str, int]:
    rows = scores = errors = 0
    for batch in read_batches(source):
        rows += len(batch.rows)
        for index, row in enumerate(batch.rows if scored else []):
            score, error = _outcome(row, batch.place(index))
            scores += score
            errors += error
    return {"rows": rows, "scored": scores, "errors": errors} if scored else {"rows": rows}


def _outcome(row: Row, place: str) -> tuple[bool, bool]:
    if not isinstance(row, dict) or not all(name in row for name in SCORE_COLUMNS):
        raise InputFileError(f"{place} has no scores")
    has_score = row["branch_rate"] is not None and row["branch_error"] is None
    return has_score, not has_score
