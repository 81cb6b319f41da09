"""Problems of the small world: sums and differences of several numbers, drawn by reasoning-gym."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from classifier.errors import DependencyError, OptionError
from training.settings import Settings

TASK = "chain_sum"
"""The reasoning-gym task that the problems are of."""


class ProblemSet(Settings):
    """A set of problems to draw.

    Parameters
    ----------
    size
        How many problems.
    seed
        Seed of the draw; sets whose seeds lie further apart than their sizes share no draw.
    min_terms, max_terms
        How many numbers a problem has.
    min_digits, max_digits
        How many digits its numbers have.
    """

    size: int
    seed: int
    min_terms: int
    max_terms: int
    min_digits: int
    max_digits: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Parameters
    ----------
    question
        The text that the model is given.
    answer
        The right answer.
    terms
        Its numbers, those that are subtracted negative.
    metadata
        What reasoning-gym's verifier needs.
    """

    question: str
    answer: str
    terms: tuple[int, ...]
    metadata: dict[str, Any]


def load_reasoning_gym() -> Any:
    """Import reasoning-gym.

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    try:
        import reasoning_gym
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"the small world's problems need the package {error.name}; "
            "install it: pip install 'branching-classifier[study]' (a C compiler must be there)"
        ) from error
    return reasoning_gym


def draw_problems(chosen: ProblemSet, known: Iterable[Problem] = ()) -> list[Problem]:
    """Draw problems, each once.

    Parameters
    ----------
    chosen
        Which problems.
    known
        Problems of other sets, that this one must not repeat.

    Returns
    -------
    list of Problem
        As many as asked for.

    Raises
    ------
    DependencyError
        If reasoning-gym is not installed.
    OptionError
        If there are not enough different problems of the kind.
    """
    draws = chosen.size * 4
    dataset = load_reasoning_gym().create_dataset(
        TASK,
        size=draws,
        seed=chosen.seed,
        min_terms=chosen.min_terms,
        max_terms=chosen.max_terms,
        min_digits=chosen.min_digits,
        max_digits=chosen.max_digits,
        allow_negation=False,
    )
    seen = {problem.terms for problem in known}
    problems: list[Problem] = []
    for entry in dataset:
        terms = expression_terms(entry["metadata"]["expression"])
        if terms in seen:
            continue
        seen.add(terms)
        problems.append(Problem(entry["question"], entry["answer"], terms, entry["metadata"]))
        if len(problems) == chosen.size:
            return problems
    raise OptionError(
        f"only {len(problems)} different problems in {draws} draws of {chosen.min_terms} to "
        f"{chosen.max_terms} terms of {chosen.min_digits} to {chosen.max_digits} digits; {chosen.size} were "
        "asked for: ask for fewer, or for longer ones"
    )


def expression_terms(expression: str) -> tuple[int, ...]:
    """Return the signed terms of a chain of sums and differences, such as `12 - 5 + 3`."""
    return tuple(int(re.sub(r"\s", "", term)) for term in re.findall(r"[+-]?\s*\d+", expression))
