"""A labelling function: a named, documented rule that votes for one kind of step, or abstains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from classifier.kinds import KINDS
from training.heuristics.step_view import StepView

ABSTAIN: Final = -1
"""The vote of a function that has nothing to say about a step."""


@dataclass(frozen=True, slots=True)
class LabellingFunction:
    """A rule that votes for one kind where its predicate holds.

    Attributes
    ----------
    name
        The predicate's name: what the rule sees in the step.
    kind
        The kind it votes for.
    vote
        The position of that kind in `classifier.kinds.KINDS`.
    description
        What it catches and what it leaves.
    holds
        The predicate.
    """

    name: str
    kind: str
    vote: int
    description: str
    holds: Callable[[StepView], bool]

    def __call__(self, step: StepView) -> int:
        """Return the vote for a step: a position in `KINDS`, or `ABSTAIN`."""
        return self.vote if self.holds(step) else ABSTAIN


class FunctionFamily:
    """Collects, as a decorator, the labelling functions that vote for one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._functions: list[LabellingFunction] = []

    def __call__(self, predicate: Callable[[StepView], bool]) -> LabellingFunction:
        """Turn a predicate into a labelling function of this kind and keep it."""
        function = LabellingFunction(
            name=predicate.__name__,
            kind=self.kind,
            vote=KINDS.index(self.kind),
            description=" ".join((predicate.__doc__ or "").split()),
            holds=predicate,
        )
        self._functions.append(function)
        return function

    @property
    def functions(self) -> tuple[LabellingFunction, ...]:
        """Return the functions collected so far, in the order of their definition."""
        return tuple(self._functions)
