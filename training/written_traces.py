"""Labelled traces written by hand: text files with a kind before each step.

A file holds documents. Each begins with a line of fields and goes on with one step a line:

    === style: terse notes | domain: number theory | problem: How many n divide n + 6?
    C We need n to divide 6.
    A Could n be negative too?

    B The statement says positive, so drop those.

Steps of a paragraph are joined by spaces; a blank line ends a paragraph. A step that begins like the item of
a list, a heading, a table row or a formula, or in lower case, stands on a line of its own, as does one behind
a step without a full stop: only so are they steps in the eyes of `classifier.steps` too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from classifier.errors import InputFileError
from classifier.kinds import KIND_CODES
from training.gold import GoldDocument, GoldStep

ENDING: Final = ".txt"
"""The ending of files of written traces."""

_OWN_LINE: Final = re.compile(r"(?:[a-z]|[-*•#|>]|\d+[.)]|\\\[|\$\$|```)")
_SENTENCE_END: Final = re.compile(r"[.!?…][\"'”’)\]]*$")


def read_written_traces(path: Path) -> list[GoldDocument]:
    """Read a file, or a folder of files, of labelled traces written by hand.

    Parameters
    ----------
    path
        A `.txt` file, or a folder of such.

    Returns
    -------
    list of GoldDocument
        In the order of the files' names; the identifier is the file's name and the document's number in it.

    Raises
    ------
    InputFileError
        If a file cannot be read, or a line is neither a heading nor a step; it names the file and the line.
    """
    files = sorted(path.rglob(f"*{ENDING}")) if path.is_dir() else [path]
    if not files:
        raise InputFileError(f"{path}: a folder without {ENDING} files; expected labelled traces in some")
    return [document for file in files for document in _read_file(file)]


def _read_file(path: Path) -> Iterator[GoldDocument]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"{path}: the file of written traces cannot be read ({error})") from error
    fields: Mapping[str, str] | None = None
    steps: list[tuple[str, str]] = []
    number = 0
    for at, line in enumerate(lines, start=1):
        if line.startswith("==="):
            if fields is not None and steps:
                number += 1
                yield _document(path, number, fields, steps)
            fields, steps = _fields(line), []
        elif not line.strip():
            steps.append(("", ""))
        elif fields is not None and line[0] in KIND_CODES and line[1:2] == " " and line[2:].strip():
            steps.append((line[0], line[2:].strip()))
        else:
            raise InputFileError(
                f"{path}, line {at}: expected `=== field: value | …` or a step such as `C So x = 4.` "
                f"with one of the kinds {', '.join(KIND_CODES)}, got {line[:60]!r}"
            )
    if fields is not None and steps:
        yield _document(path, number + 1, fields, steps)


def _fields(line: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in line.strip("= ").split("|"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _document(
    path: Path, number: int, fields: Mapping[str, str], steps: Sequence[tuple[str, str]]
) -> GoldDocument:
    trace = ""
    placed = []
    gap = ""
    for kind, text in steps:
        if not kind:
            gap = "\n\n"
            continue
        if trace:
            ended = _SENTENCE_END.search(trace) is not None
            trace += gap or ("\n" if _OWN_LINE.match(text) or not ended else " ")
        gap = ""
        placed.append(GoldStep(len(trace), len(trace) + len(text), branches=kind != "C", kind=kind))
        trace += text
    return GoldDocument(
        id=f"{path.parent.name}/{path.stem}-{number}",
        trace=trace,
        steps=tuple(placed),
        model=fields.get("style", ""),
        group="written",
        problem_id=fields.get("problem", ""),
        source="written for this project",
        licence="Apache-2.0",
    )
