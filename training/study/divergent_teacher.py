"""The divergent teacher: derives the answer, and wanders while it does."""

import random
from collections.abc import Iterator, Sequence

from training.study.departure_phrases import (
    ABANDONMENTS,
    ALTERNATIVES,
    CORRECTIONS,
    LOOKING_AHEAD,
    RESTARTS,
)
from training.study.teaching import (
    CLOSINGS,
    LINES,
    OPENINGS,
    TaughtStep,
    TaughtTrace,
    equation,
    expression,
    reductions,
    running_totals,
)


def divergent_trace(terms: Sequence[int], rng: random.Random, most: float = 0.7) -> TaughtTrace:
    """Derive the answer, with lines that are opened and abandoned, slips taken back, and stretches redone.

    How restless a trace is, is drawn for each anew: the chance that a calculation is preceded by a departure
    lies anywhere between 0 and `most`. The trace always ends at the right answer.

    Parameters
    ----------
    terms
        The signed terms.
    rng
        Where the words and the departures come from.
    most
        The highest chance of a departure before a calculation.
    """
    restless = rng.uniform(0, most)
    chain, *lines = reductions(terms)
    totals = running_totals(terms)
    steps: list[TaughtStep] = []
    if rng.random() < 0.5:
        steps.append(TaughtStep(rng.choice(LOOKING_AHEAD)))
    steps.append(TaughtStep(rng.choice(OPENINGS).format(chain=chain)))
    for index, line in enumerate(lines, start=1):
        if rng.random() < restless:
            steps.extend(_departure(terms, totals, index, rng))
        steps.append(_line(line, rng))
    if rng.random() < restless:
        steps.extend(_rerun(terms, totals, len(terms), rng))
    steps.append(TaughtStep(rng.choice(CLOSINGS).format(answer=totals[-1])))
    return TaughtTrace(tuple(steps))


def _departure(
    terms: Sequence[int], totals: Sequence[int], index: int, rng: random.Random
) -> Iterator[TaughtStep]:
    """Yield a departure before the calculation with the term of that number."""
    kind = rng.choices(("alternative", "slip", "rerun"), weights=(4, 3, 1 if index > 1 else 0))[0]
    total = totals[index - 1]
    if kind == "alternative":
        first, second = rng.sample(range(len(terms)), 2)
        line = equation(terms[first], terms[second])
        yield TaughtStep(rng.choice(ALTERNATIVES).format(line=line, last=abs(terms[-1])), "A")
        if rng.random() < 0.5:
            yield TaughtStep(f"Then {equation(terms[first] + terms[second], rng.choice(terms))}.")
        yield TaughtStep(rng.choice(ABANDONMENTS).format(total=total), "B")
    elif kind == "slip":
        wrong = totals[index] + rng.choice((-10, -2, -1, 1, 2, 10))
        yield _line(expression([wrong, *terms[index + 1 :]]), rng)
        yield TaughtStep(rng.choice(CORRECTIONS).format(total=total), "B")
    else:
        yield from _rerun(terms, totals, index, rng)


def _rerun(
    terms: Sequence[int], totals: Sequence[int], until: int, rng: random.Random
) -> Iterator[TaughtStep]:
    """Yield a second run over the terms before one."""
    yield TaughtStep(rng.choice(RESTARTS).format(first=terms[0], total=totals[until - 1]), "R")
    for line in reductions(terms)[1:until]:
        yield _line(line, rng)


def _line(line: str, rng: random.Random) -> TaughtStep:
    return TaughtStep(rng.choice(LINES).format(line=line))
