"""JSON rows as text: read them without losing a byte, and change single members of them."""

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Final, NamedTuple

from classifier.errors import InputFileError, RowFormatError
from classifier.files.inputs import READ_ERRORS, InputFile
from classifier.files.rows import RAW_COLUMN, BatchLimits, Row, RowBatch

_LONGEST_LINE: Final = 1 << 28
_LARGEST_DOCUMENT: Final = 1 << 29
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DECODER: Final = json.JSONDecoder()
_WHITESPACE: Final = " \t\n\r"


class Member(NamedTuple):
    """One member of a JSON object in its text: the key, and where the member and its value stand."""

    key: str
    start: int
    value_start: int
    end: int


def read_json_batches(source: InputFile, limits: BatchLimits, skip: int = 0) -> Iterator[RowBatch]:
    """Read the rows of a JSON lines file, or of a JSON array, in batches.

    Parameters
    ----------
    source
        The file.
    limits
        When a batch is full.
    skip
        Rows to pass over first.

    Yields
    ------
    RowBatch
        Rows with their text. Blank lines are no rows; a line that cannot be read is a `RowFormatError`.

    Raises
    ------
    InputFileError
        If the file cannot be read to its end.
    """
    rows: list[Row] = []
    lines: list[str] = []
    numbers: list[int] = []
    characters = blank = after = 0

    def batch() -> RowBatch:
        return RowBatch(
            source,
            rows,
            numbers,
            lines=lines,
            blank_lines=blank,
            blank_after=after,
            share_read=source.share_read(),
        )

    for number, raw in _numbered_lines(source):
        if skip:
            skip -= not _is_blank(raw)
            continue
        row, text = _parse(raw, number, source)
        if row is None:
            blank += 1
            after += 1
            continue
        after = 0
        rows.append(row)
        lines.append(text)
        numbers.append(number)
        characters += len(text)
        if len(rows) >= limits.rows or characters >= limits.characters:
            yield batch()
            rows, lines, numbers = [], [], []
            characters = blank = 0
    if rows or blank:
        yield batch()


def count_json_rows(source: InputFile) -> int:
    """Count the rows of a JSON lines file, or of a JSON array, without parsing each.

    Raises
    ------
    InputFileError
        If the file cannot be read to its end.
    """
    return sum(not _is_blank(raw) for _, raw in _numbered_lines(source))


def members(text: str) -> list[Member]:
    """Find the members of a JSON object in its text, in order."""
    found: list[Member] = []
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        start = at
        key, at = _DECODER.raw_decode(text, at)
        value_start = _skip(text, _skip(text, at) + 1)
        end = _DECODER.raw_decode(text, value_start)[1]
        found.append(Member(key, start, value_start, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def elements(text: str) -> list[str]:
    """Return the texts of a JSON array's elements, in order."""
    found: list[str] = []
    at = _skip(text, text.index("[") + 1)
    while text[at] != "]":
        end = _DECODER.raw_decode(text, at)[1]
        found.append(text[at:end])
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def without_members(text: str, names: Iterable[str]) -> str:
    """Remove some members from a JSON object's text, leaving every other byte of a member as it is."""
    unwanted = frozenset(names)
    found = members(text)
    kept = [text[member.start : member.end] for member in found if member.key not in unwanted]
    return text if len(kept) == len(found) else "{" + ", ".join(kept) + "}"


def with_values(text: str, change: Mapping[str, Callable[[str], str]]) -> str:
    """Replace the texts of some members' values in a JSON object's text."""
    parts: list[str] = []
    at = 0
    for member in members(text):
        if member.key in change:
            parts += [
                text[at : member.value_start],
                change[member.key](text[member.value_start : member.end]),
            ]
            at = member.end
    return "".join(parts) + text[at:]


def with_members(text: str, added: Mapping[str, object]) -> str:
    """Append members to a JSON object's text, leaving all that is there as it is."""
    if not added:
        return text
    inner = text.strip()[:-1].rstrip()
    separator = "" if inner == "{" else ", "
    return f"{inner}{separator}{dump(added)[1:]}"


def dump(value: object) -> str:
    """Write a value as JSON on one line, non-ASCII letters as they are."""
    return json.dumps(value, ensure_ascii=False)


def _skip(text: str, at: int) -> int:
    while text[at] in _WHITESPACE:
        at += 1
    return at


def _numbered_lines(source: InputFile) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with source.open() as stream:
            lines = _document(source, stream) if source.format == "json" else _lines(stream)
            for number, line in enumerate(lines, 1):
                if len(line) >= _LONGEST_LINE:
                    raise InputFileError(
                        f"{source.name} line {number} is longer than {_LONGEST_LINE >> 20} MB: "
                        "are these JSON lines, one row a line?"
                    )
                yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
    except READ_ERRORS as error:
        raise source.unreadable(error, f"after line {number}" if number else "") from error


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(_LONGEST_LINE):
        yield line


def _document(source: InputFile, stream: BinaryIO) -> Iterator[bytes]:
    """Give the rows of a .json file a line each: it may hold JSON lines, an array, or a single object."""
    head = stream.readline(_LARGEST_DOCUMENT)
    if _is_object(head):
        yield head
        yield from _lines(stream)
        return
    whole = head + stream.read(_LARGEST_DOCUMENT)
    if len(whole) > _LARGEST_DOCUMENT:
        raise InputFileError(
            f"{source.name} is one JSON document of more than {_LARGEST_DOCUMENT >> 20} MB. "
            "Turn it into JSON lines first: jq -c '.[]' OLD.json > NEW.jsonl"
        )
    start = whole.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
    if start == b"[":
        try:
            text = whole.decode("utf-8-sig")
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputFileError(f"{source.name} is not a JSON array that can be read: {error}") from error
        # Raw line breaks stand only between tokens, so a blank in their place changes no value.
        yield from (re.sub(r"[\r\n]", " ", element).encode() for element in elements(text))
    elif start == b"{" and _is_object(whole):
        yield re.sub(rb"[\r\n]", b" ", whole)
    else:
        yield from io.BytesIO(whole)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_blank(raw: bytes) -> bool:
    if raw[:1] in (b"{", b'"', b"["):
        return False
    try:
        return not raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return False


def _parse(raw: bytes, number: int, source: InputFile) -> tuple[Row | None, str]:
    """Parse one line: the row is None for a blank line, and a bare string is a row with a `text` column."""
    place = f"{'row' if source.format == 'json' else 'line'} {number}"
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        return RowFormatError(
            f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start + 1} of {place}; such bytes "
            f"stand as \\x.. in {RAW_COLUMN}. Convert the file to UTF-8"
        ), raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
    if not text.strip():
        return None, text
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        return RowFormatError(f"not JSON: {error.msg} at column {error.colno} of {place}"), text
    except (ValueError, RecursionError) as error:
        return RowFormatError(f"JSON that cannot be read in {place}: {error}"), text
    if isinstance(row, str):
        return {"text": row}, f'{{"text": {text.strip()}}}'
    if not isinstance(row, dict):
        return RowFormatError(f"{_kind(row)} where a JSON object was expected in {place}"), text
    return row, text


def _kind(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return "an array" if isinstance(value, list) else "a number"
