"""The traces that every benchmark runs on: a fixed sample of real ones, or self-made ones."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.trace_files import read_raw_traces

ROOT = Path(__file__).parents[1]
REAL_TRACES = ROOT.parent / "shared" / "data" / "traces"
_EXAMPLES = ROOT / "examples" / "demo" / "traces.jsonl"
_CHARACTERS = (500, 30_000)


@dataclass(frozen=True, slots=True)
class Sample:
    """Traces, and what they are.

    Parameters
    ----------
    source
        What they are, in words.
    traces
        The texts.
    """

    source: str
    traces: list[str]

    @property
    def characters(self) -> int:
        """Return the length of all traces together."""
        return sum(map(len, self.traces))


def load_sample(count: int, folder: Path = REAL_TRACES) -> Sample:
    """Return so many traces, the same ones on every call.

    Parameters
    ----------
    count
        How many.
    folder
        Where real traces lie; self-made ones are taken where it is absent.
    """
    if not folder.is_dir():
        return Sample("self-made traces: sentences of the example traces, shuffled", make_traces(count))
    low, high = _CHARACTERS
    texts = {row.trace for row in read_raw_traces([folder]) if low <= len(row.trace) <= high}
    ordered = sorted(texts, key=lambda text: hashlib.sha256(text.encode("utf-8", "replace")).digest())
    source = f"real traces of {low:,} to {high:,} characters, chosen by a hash of their text"
    return Sample(source, ordered[:count])


def make_traces(count: int, characters: tuple[int, int] = (2_000, 20_000), seed: int = 0) -> list[str]:
    """Return self-made traces.

    Parameters
    ----------
    count
        How many.
    characters
        The least and the greatest length; all lengths between are equally likely.
    seed
        Seed of the order of sentences and of the lengths.
    """
    source = random.Random(seed)
    rows = [json.loads(line) for line in _EXAMPLES.read_text(encoding="utf-8").splitlines()]
    sentences = [sentence for row in rows for sentence in row["trace"].replace("\n", " ").split(". ")]
    return [_make_trace(source, sentences, source.randint(*characters)) for _ in range(count)]


def _make_trace(source: random.Random, sentences: Sequence[str], characters: int) -> str:
    chosen: list[str] = []
    length = 0
    while length < characters:
        chosen.append(source.choice(sentences).rstrip(".") + ".")
        length += len(chosen[-1]) + 1
    return " ".join(chosen)[:characters].rstrip()
