"""Divide the rows of some inputs into shards of consecutive rows, each with an output of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from classifier.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.files.inputs import InputFile

_LARGEST_COUNT: Final = 99_999


class Slice(NamedTuple):
    """Consecutive rows of an input: those after the first `skip`, `take` of them, all if None."""

    source: InputFile
    skip: int = 0
    take: int | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of the rows.

    Parameters
    ----------
    number
        Which one, counted from 1.
    count
        How many there are.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= _LARGEST_COUNT:
            raise OptionError(
                f"There is no shard {self.number} of {self.count}: shards are counted from 1, and there can "
                f"be {_LARGEST_COUNT:,}"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read a shard from a text such as 2/8.

        Raises
        ------
        OptionError
            If the text is no such thing.
        """
        found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text)
        if found is None:
            raise OptionError(f"The shard {text!r} is not of the form 2/8, which is the second of eight")
        return cls(int(found[1]), int(found[2]))

    def output(self, name: str) -> str:
        """Return the name of this shard's output, such as out-00002-of-00008.jsonl.gz for out.jsonl.gz."""
        stem, ending = _split(name)
        return f"{stem}-{self.number:05}-of-{self.count:05}{ending}"

    def rows(self, total: int) -> range:
        """Return which of all rows it holds, counted from 0."""
        return range((self.number - 1) * total // self.count, self.number * total // self.count)


def all_shards(count: int) -> list[Shard]:
    """Return the shards of so many."""
    return [Shard(number, count) for number in range(1, count + 1)]


def find_shards(name: str) -> list[tuple[Shard, Path]]:
    """Find the outputs of shards that belong to a name without a number, in order."""
    stem, ending = _split(name)
    pattern = re.compile(rf"{re.escape(Path(stem).name)}-(\d{{5}})-of-(\d{{5}}){re.escape(ending)}")
    folder = Path(name).parent
    found = ((pattern.fullmatch(path.name), path) for path in (folder.iterdir() if folder.is_dir() else ()))
    return sorted(
        ((Shard(int(match[1]), int(match[2])), path) for match, path in found if match),
        key=lambda pair: (pair[0].count, pair[0].number),
    )


def divide(sources: Sequence[InputFile], counts: Sequence[int], rows: range) -> list[Slice]:
    """Find where some of the rows of all inputs are.

    Parameters
    ----------
    sources
        The inputs.
    counts
        How many rows each has.
    rows
        The wanted rows, counted from 0 through all inputs.

    Returns
    -------
    list of Slice
        Where they are; inputs that hold none are left out.
    """
    slices = []
    start = 0
    for source, count in zip(sources, counts, strict=True):
        first, last = max(rows.start - start, 0), min(rows.stop - start, count)
        if first < last:
            slices.append(Slice(source, first, last - first))
        start += count
    return slices


def _split(name: str) -> tuple[str, str]:
    """Divide a name before its ending, which may be of two parts."""
    found = re.search(r"(\.\w+)?(\.gz|\.zst)$|\.\w+$", name, re.IGNORECASE)
    return (name, "") if found is None else (name[: found.start()], name[found.start() :])
