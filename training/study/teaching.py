"""What both teachers share: a step with its kind, a taught trace, and the line that carries a total on."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaughtStep:
    """One sentence of a trace.

    Parameters
    ----------
    text
        The sentence.
    kind
        `A`, `B`, `R` or `C`: what the teacher meant by it. Only used to check the filter, never to filter.
    """

    text: str
    kind: str = "C"


@dataclass(frozen=True, slots=True)
class TaughtTrace:
    """A trace that a teacher wrote.

    Parameters
    ----------
    steps
        Its sentences.
    """

    steps: tuple[TaughtStep, ...]

    @property
    def text(self) -> str:
        """Return the trace."""
        return " ".join(step.text for step in self.steps)

    @property
    def departures(self) -> int:
        """Return how many of the sentences were meant to branch."""
        return sum(step.kind != "C" for step in self.steps)


def equation(total: int, term: int) -> str:
    """Return one calculation, such as `12 - 5 = 7`."""
    return f"{total} {'-' if term < 0 else '+'} {abs(term)} = {total + term}"


def running_totals(terms: Sequence[int]) -> list[int]:
    """Return the total after each term."""
    totals: list[int] = []
    for term in terms:
        totals.append(term + (totals[-1] if totals else 0))
    return totals


def convergent_trace(terms: Sequence[int], rng: random.Random) -> TaughtTrace:
    """Derive the answer, one calculation after the other.

    Parameters
    ----------
    terms
        The signed terms.
    rng
        Where the words come from.
    """
    return TaughtTrace(tuple(TaughtStep(text) for text in _derivation(terms, rng)))


def _derivation(terms: Sequence[int], rng: random.Random) -> Iterable[str]:
    totals = running_totals(terms)
    yield rng.choice(OPENINGS).format(first=terms[0])
    for total, term in zip(totals, terms[1:], strict=False):
        yield rng.choice(LINES).format(line=equation(total, term))
    yield rng.choice(CLOSINGS).format(answer=totals[-1])


OPENINGS = (
    "Begin with {first}.",
    "The first number is {first}.",
    "We go from left to right, beginning at {first}.",
    "Take {first} to begin with.",
)
LINES = ("{line}.", "Then {line}.", "Next, {line}.", "After that, {line}.", "So {line}.", "Now {line}.")
CLOSINGS = (
    "That makes {answer}.",
    "The total is {answer}.",
    "All terms are used, which leaves {answer}.",
    "The chain ends at {answer}.",
)
