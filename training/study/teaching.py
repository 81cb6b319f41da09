"""What both teachers share: a step with its kind, a taught trace, and the chain that gets shorter."""

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


def expression(terms: Sequence[int]) -> str:
    """Return terms as a chain, such as `12 - 5 + 3`."""
    signed = [f"{'-' if term < 0 else '+'} {abs(term)}" for term in terms[1:]]
    return " ".join([str(terms[0]), *signed])


def reductions(terms: Sequence[int]) -> list[str]:
    """Return a chain as it gets shorter, its first two numbers becoming one each time.

    Such as `12 - 5 + 3`, `7 + 3`, `10`.
    """
    return [expression([total, *terms[index:]]) for index, total in enumerate(running_totals(terms), start=1)]


def running_totals(terms: Sequence[int]) -> list[int]:
    """Return the total after each term."""
    totals: list[int] = []
    for term in terms:
        totals.append(term + (totals[-1] if totals else 0))
    return totals


def convergent_trace(terms: Sequence[int], rng: random.Random) -> TaughtTrace:
    """Derive the answer, the first two numbers of the chain becoming one each time.

    Parameters
    ----------
    terms
        The signed terms.
    rng
        Where the words come from.
    """
    return TaughtTrace(tuple(TaughtStep(text) for text in _derivation(terms, rng)))


def _derivation(terms: Sequence[int], rng: random.Random) -> Iterable[str]:
    chain, *shorter = reductions(terms)
    yield rng.choice(OPENINGS).format(chain=chain)
    for line in shorter:
        yield rng.choice(LINES).format(line=line)
    yield rng.choice(CLOSINGS).format(answer=sum(terms))


OPENINGS = (
    "Begin with {chain}.",
    "The chain is {chain}.",
    "We go from left to right in {chain}.",
    "Take {chain} to begin with.",
)
LINES = (
    "That is {line}.",
    "Then {line}.",
    "Next, {line}.",
    "This leaves {line}.",
    "So {line}.",
    "Now {line}.",
)
CLOSINGS = (
    "That makes {answer}.",
    "The total is {answer}.",
    "All terms are used, which leaves {answer}.",
    "The chain ends at {answer}.",
)
