"""What makes a training run the same run, so that it may go on from its folder: its config and its data."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from classifier.errors import OptionError
from classifier.files import find_inputs
from classifier.model_folder import file_sha256


def trace_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that paths and patterns of trace files name.

    Raises
    ------
    OptionError
        If one can be read only once.
    InputFileError
        If one is missing or of an unknown ending.
    """
    files = []
    for source in find_inputs([str(path) for path in paths]) if paths else ():
        if source.path is None or source.is_stream:
            raise OptionError(
                f"{source.name} can be read only once, but a run must find its data again: "
                "write it to a file first"
            )
        files.append(source.path)
    return files


def folder_files(paths: Sequence[Path]) -> list[Path]:
    """Return files, and those of folders, sorted by path."""
    found = [file for path in paths for file in (sorted(path.rglob("*.*")) if path.is_dir() else [path])]
    return [file for file in found if file.is_file()]


def hash_files(files: Sequence[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file by its short name; see `short_names`."""
    return {name: file_sha256(file) for name, file in zip(short_names(files), files, strict=True)}


def short_names(paths: Sequence[Path]) -> list[str]:
    """Name each path by its last part, and by as many more as tell it from the others.

    So the names are the same wherever the data lie and however their folder is spelled.

    Parameters
    ----------
    paths
        Files or folders.

    Returns
    -------
    list of str
        One a path, in order.
    """
    # Not resolved: a link's own name says more than that of the blob which it leads to.
    whole = [Path(os.path.abspath(path)).parts for path in paths]  # noqa: PTH100
    names = dict(_names(set(whole)))
    return [names[parts] for parts in whole]


def check_run(run_folder: Path, identity: dict[str, Any]) -> None:
    """Check that a run folder holds no other run.

    Parameters
    ----------
    run_folder
        Where a run keeps its state; it need not be there.
    identity
        Config and hashes of the data.

    Raises
    ------
    OptionError
        If it holds a run with another config or other data.
    """
    path = run_folder / "identity.json"
    if path.exists() and path.read_text(encoding="utf-8") != _text(identity):
        raise OptionError(
            f"{run_folder} holds a run with another config or other data; give another run folder, "
            "or delete it"
        )


def claim_run(run_folder: Path, identity: dict[str, Any]) -> None:
    """Write into a run folder, made where it is not there, which run it holds; see `check_run`."""
    run_folder.mkdir(parents=True, exist_ok=True)
    check_run(run_folder, identity)
    write_once(run_folder / "identity.json", _text(identity))


def write_once(path: Path, text: str) -> None:
    """Write a file if it is not there; whoever reads it beside this, finds it whole or not at all."""
    if not path.exists():
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def _names(paths: set[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], str]]:
    depth = 1
    while paths:
        count = Counter(parts[-depth:] for parts in paths)
        alone = {parts for parts in paths if count[parts[-depth:]] == 1}
        yield from ((parts, "/".join(parts[-depth:])) for parts in alone)
        paths = paths - alone
        depth += 1


def _text(identity: dict[str, Any]) -> str:
    return json.dumps(identity, indent=2, sort_keys=True)
