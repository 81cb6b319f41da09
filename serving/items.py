"""The items of a request to results: each a text or a row in, its score or its error out."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from classifier.errors import RowError, TraceLengthError
from classifier.kinds import BRANCH_KINDS
from classifier.scorer import BranchScorer, TraceScore
from classifier.traces import Trace, read_traces
from serving.errors import InvalidRequestError

_AS_IT_IS: Final = ((0, 0),)


@dataclass(frozen=True, slots=True)
class ItemOptions:
    """How items are read and shown.

    Parameters
    ----------
    schema, column
        Where rows have their traces; found by itself by default.
    as_is
        Whether a text is the reasoning itself, in which no marks such as `<think>` are looked for.
    steps
        Whether results list the steps.
    max_characters
        The longest trace.
    max_traces
        The most traces of one item.
    """

    schema: str | None = None
    column: str | None = None
    as_is: bool = False
    steps: bool = False
    max_characters: int | None = None
    max_traces: int | None = None


@dataclass(frozen=True, slots=True)
class ItemScore:
    """The score of one item: of its trace, or of all of its alternative traces.

    Parameters
    ----------
    scores
        One a trace.
    several
        Whether the item's schema holds alternative traces, even if this item has only one.
    blocks
        Where the reasoning lies in the text that was given: pairs of a place in the reasoning and the place
        in the text that it comes from, each up to the next pair; ascending, the first one at the start.
    texts
        The traces.
    """

    scores: tuple[TraceScore, ...]
    several: bool
    blocks: Sequence[tuple[int, int]]
    texts: tuple[str, ...]

    @property
    def branch_rate(self) -> float:
        """Return the branch rate; the mean of those of alternative traces."""
        return sum(score.branch_rate for score in self.scores) / len(self.scores)

    def to_dict(self, *, steps: bool, texts: bool = False) -> dict[str, Any]:
        """Return the result as the service answers it."""
        result: dict[str, Any] = {
            "branch_rate": self.branch_rate,
            "branch_count": sum(score.branch_count for score in self.scores),
            "step_count": sum(score.step_count for score in self.scores),
            "kinds": {kind: sum(score.kinds[kind] for score in self.scores) for kind in BRANCH_KINDS},
        }
        if self.several:
            result["branch_rates"] = [score.branch_rate for score in self.scores]
        if texts:
            result["texts"] = list(self.texts)
        if steps:
            result["steps"] = [
                {
                    "start": self._place(step.start),
                    "end": self._place(step.end - 1) + 1,
                    "probability": step.probability,
                    "kind": step.kind,
                    "kind_probabilities": step.kind_probabilities,
                }
                for score in self.scores
                for step in score.steps
            ]
        return result

    def _place(self, offset: int) -> int:
        """Return where a character of the reasoning stands in the text that was given."""
        start, place = self.blocks[bisect_right(self.blocks, offset, key=lambda block: block[0]) - 1]
        return place + offset - start


def score_items(
    scorer: BranchScorer, items: Sequence[object], options: ItemOptions, most: int | None = None
) -> list[ItemScore | RowError]:
    """Score items; one that cannot be scored gives its error and leaves the others alone.

    Parameters
    ----------
    scorer
        Scores the traces.
    items
        Texts, rows of any known schema, or whatever stands in their place; a `RowError` stands for an item
        that could not be parsed.
    options
        How to read them.
    most
        The most traces of all items together.

    Returns
    -------
    list of ItemScore or RowError
        One an item, in order.

    Raises
    ------
    InvalidRequestError
        If the items have more traces than that.
    """
    texts: list[str] = []
    plans: list[RowError | tuple[slice, bool, Sequence[tuple[int, int]]]] = []
    for item in items:
        try:
            traces, several = _read(item, options)
        except RowError as error:
            plans.append(error)
            continue
        place = slice(len(texts), len(texts) + len(traces))
        # The texts of a row are not what was given: there offsets are those of the trace.
        plans.append((place, several, traces[0].origins if isinstance(item, str) else _AS_IT_IS))
        texts.extend(trace.text for trace in traces)
    check_count(len(texts), most)
    scores = scorer.score_batch_or_errors(texts)
    return [plan if isinstance(plan, RowError) else _item_score(scores, texts, *plan) for plan in plans]


def check_count(count: int, most: int | None) -> None:
    """Check that a request has no more traces than it may.

    Raises
    ------
    InvalidRequestError
        If it has more.
    """
    if most is not None and count > most:
        raise InvalidRequestError(
            f"the request has {count:,} traces, and this service takes at most {most:,} at a time; send "
            "several requests, or stream them as application/x-ndjson",
            {"max_items": most},
        )


def result_of(outcome: ItemScore | RowError, *, steps: bool, texts: bool = False) -> dict[str, Any]:
    """Return an item's result or error as the service answers it."""
    if isinstance(outcome, RowError):
        return {"error": str(outcome), "error_type": outcome.error_type}
    return outcome.to_dict(steps=steps, texts=texts)


def _read(item: object, options: ItemOptions) -> tuple[tuple[Trace, ...], bool]:
    if isinstance(item, RowError):
        raise item
    if isinstance(item, str):
        # Before anything reads it: of a text this long no part is wanted.
        _check_length(item, options)
    if isinstance(item, str) and options.as_is:
        return (Trace(item, "trace"),), False
    found = read_traces(item, schema=options.schema, column=options.column)
    count, most = len(found.traces), options.max_traces
    if most is not None and count > most:
        raise TraceLengthError(
            f"the row has {count:,} traces, and this service takes at most {most:,} of a row; make "
            "several rows of it, or raise the limit (--max-items)"
        )
    for trace in found.traces:
        _check_length(trace.text, options)
    return found.traces, found.several


def _check_length(text: str, options: ItemOptions) -> None:
    if options.max_characters is not None and len(text) > options.max_characters:
        raise TraceLengthError(
            f"the trace has {len(text):,} characters, and this service takes at most "
            f"{options.max_characters:,}; leave it out, or raise the limit (--max-trace-characters)"
        )


def _item_score(
    scores: Sequence[TraceScore | RowError],
    texts: Sequence[str],
    place: slice,
    several: bool,
    blocks: Sequence[tuple[int, int]],
) -> ItemScore | RowError:
    good: list[TraceScore] = []
    for index, score in enumerate(scores[place]):
        if isinstance(score, RowError):
            total = place.stop - place.start
            return type(score)(f"trace {index} of {total}: {score}") if several else score
        good.append(score)
    return ItemScore(tuple(good), several, blocks, tuple(texts[place]))
