"""What a labelling function sees of a step: its normalised text and what the steps before it did."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_TRANSLATION: Final = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "‑": "-", "*": None, "`": None})
_ITEM: Final = re.compile(r"(?:[-•+|]|\d{1,2}[.)](?!\d)|\(\d{1,2}\)|#{1,6})\s*")
_OPENERS: Final = re.compile(
    r"(?:(?:but|and|so|wait|hm+|ah+|aha|oh|ok|okay|alright|well|yes|yeah|hold on|however|actually|now|then"
    r"|also"
    r"|still|yet|though|no(?=\s*(?:[,.;:!?—–]|$))|nope|on the other hand|oops|ugh|right(?=\s*[,.!?]))"
    r"(?![\w'-])[\s,.:;!?…—–-]*)+"
)
_OPENER_WORD: Final = re.compile(r"[a-z]+(?: on(?: the other hand)?)?")
_WORD: Final = re.compile(r"[^\W\d_][\w'-]*")
_CONTENT_WORD: Final = re.compile(r"[a-z0-9]{3,}")

_PROPOSAL: Final = re.compile(
    r"\b(?:maybe|perhaps|possibly|alternatively|another|what if|what about|how about|unless|suppose|instead"
    r"|(?:could|might|may) (?:it |that |this |there |they )?(?:also )?(?:be|mean|refer|use|have|try))\b"
)
_NEGATION: Final = re.compile(
    r"n't\b|\b(?:no|not|never|none|nothing|cannot|without|neither|nor|wrong|impossible|incorrect"
    r"|contradict\w*"
    r"|inconsistent|unlikely|too|fails?|invalid|irrelevant|useless)\b"
)
_CHECK: Final = re.compile(
    r"\b(?:(?:re|double|cross|sanity|triple)?-?check(?:s|ed|ing)?|verif(?:y|ies|ied|ying|ication)"
    r"|confirm(?:s|ed|ing)?|make sure|making sure|validat\w+|test this)\b"
)
_CONCLUSION: Final = re.compile(
    r"\b(?:therefore|thus|hence|in conclusion|conclude[sd]?|answer (?:is|should be|would be|must be|could be)"
    r"|answer:|final answer|the solution is|so (?:the|my) answer)\b"
)
_CONFUSION: Final = re.compile(
    r"\bconfus\w+|\bstuck\b|\bmistakes?\b|\bmis(?:read|understood|understand|interpret|count|calculat"
    r"|remember)\w*"
    r"|\bcontradict\w*|\bmissing something\b|\bnot sure\b|\b(?:doesn't|don't|not) (?:seem right|make sense"
    r"|add up)"
    r"|\bover(?:complicat|think)\w*|\bcan't be right\b|\bimpossible\b|\btricky\b|\bstrange\b|\bweird\b"
)
_FENCE: Final = "```"
_RESTLESS_TEMPO: Final = 0.25


@dataclass(frozen=True, slots=True)
class Past:
    """Counts over all steps before a step, and how many steps ago each last happened (0: never)."""

    proposals: int = 0
    rejections: int = 0
    checks: int = 0
    conclusions: int = 0
    hedged_lately: int = 0
    since_proposal: int = 0
    since_rejection: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class StepView:
    """One step as the labelling functions see it.

    Attributes
    ----------
    text
        The step as it stands in the trace.
    plain
        Lower case, straight quotes, single spaces, without Markdown emphasis and list marker.
    openers
        The interjections and connectives that the step opens with ("but", "wait", "so", ...).
    lead
        `plain` without these openers.
    word_count
        Number of words in `plain`.
    index
        Number of steps before this one in the trace.
    previous
        The step before, if any.
    past
        What the earlier steps did.
    """

    text: str
    plain: str
    openers: frozenset[str]
    lead: str
    word_count: int
    index: int
    is_item: bool
    is_question: bool
    proposes: bool
    negates: bool
    rejects: bool
    checks: bool
    concludes: bool
    confused: bool
    in_code: bool
    in_quote: bool
    repeats: bool
    previous: "StepView | None" = field(repr=False)
    past: Past

    @property
    def previous_lead(self) -> str:
        """Return the lead of the step before, or an empty text."""
        return self.previous.lead if self.previous is not None else ""

    @property
    def tempo(self) -> float:
        """Return the share of earlier steps that guessed or rejected, shrunk towards 0 while they are few."""
        return (self.past.proposals + self.past.rejections) / (self.index + 10)

    @property
    def restless(self) -> bool:
        """Tell whether at least a quarter of the trace so far guessed or rejected."""
        return self.tempo >= _RESTLESS_TEMPO

    @property
    def adversative(self) -> bool:
        """Tell whether the step opens against what was said: with "but", "however", "wait" or "no"."""
        return not self.openers.isdisjoint(("but", "however", "wait", "no", "nope"))

    def opens_with(self, *words: str) -> bool:
        """Tell whether one of these words is among the openers."""
        return not self.openers.isdisjoint(words)


def view_steps(texts: Sequence[str]) -> list[StepView]:
    """Read the steps of one trace, in order, each with what came before it.

    Parameters
    ----------
    texts
        The texts of the steps, from the start of the trace.

    Returns
    -------
    list of StepView
        One view a step. A view depends on its own text and the texts before it, never on later ones.
    """
    reader = _Reader()
    return [reader.read(text) for text in texts]


class _Reader:
    """Reads step after step and remembers what happened so far."""

    _LATELY = 8
    _LONGEST_QUOTE = 6
    _FEWEST_REPEATED_WORDS = 5

    def __init__(self) -> None:
        self._index = 0
        self._previous: StepView | None = None
        self._proposals = self._rejections = self._checks = self._conclusions = 0
        self._last_proposal = self._last_rejection = -1
        self._hedges = [False] * self._LATELY
        self._in_code = False
        self._quote_since: int | None = None
        self._seen: set[tuple[str, ...]] = set()

    def read(self, text: str) -> StepView:
        view = self._view(text)
        self._remember(view)
        return view

    def _view(self, text: str) -> StepView:
        plain, is_item = _plain(text)
        opened = _OPENERS.match(plain)
        lead = plain[opened.end() :] if opened else plain
        openers = frozenset(_OPENER_WORD.findall(opened.group())) if opened else frozenset()
        words = len(_WORD.findall(plain))
        negates = bool(_NEGATION.search(plain))
        proposes = bool(_PROPOSAL.search(plain))
        return StepView(
            text=text,
            plain=plain,
            openers=openers,
            lead=lead,
            word_count=words,
            index=self._index,
            is_item=is_item,
            is_question=plain.rstrip("\"') ").endswith("?"),
            proposes=proposes,
            negates=negates,
            rejects=not openers.isdisjoint(("no", "nope"))
            or (
                negates
                and not proposes
                and (words <= 6 or not openers.isdisjoint(("but", "wait", "however")))
            ),
            checks=bool(_CHECK.search(plain)),
            concludes=bool(_CONCLUSION.search(plain)),
            confused=bool(_CONFUSION.search(plain)),
            in_code=self._in_code or text.lstrip().startswith(_FENCE),
            in_quote=self._quote_since is not None,
            repeats=self._was_seen(plain),
            previous=self._previous,
            past=Past(
                proposals=self._proposals,
                rejections=self._rejections,
                checks=self._checks,
                conclusions=self._conclusions,
                hedged_lately=sum(self._hedges),
                since_proposal=self._index - self._last_proposal if self._last_proposal >= 0 else 0,
                since_rejection=self._index - self._last_rejection if self._last_rejection >= 0 else 0,
            ),
        )

    def _remember(self, view: StepView) -> None:
        if view.proposes:
            self._proposals += 1
            self._last_proposal = view.index
        if view.rejects:
            self._rejections += 1
            self._last_rejection = view.index
        self._checks += view.checks
        self._conclusions += view.concludes
        self._hedges[view.index % self._LATELY] = view.proposes or view.rejects
        if view.text.count(_FENCE) % 2:
            self._in_code = not self._in_code
        if view.plain.count('"') % 2:
            self._quote_since = view.index if self._quote_since is None else None
        elif self._quote_since is not None and view.index - self._quote_since >= self._LONGEST_QUOTE:
            self._quote_since = None
        self._seen.update(_keys(view.plain, self._FEWEST_REPEATED_WORDS))
        self._previous = view
        self._index += 1

    def _was_seen(self, plain: str) -> bool:
        return any(key in self._seen for key in _keys(plain, self._FEWEST_REPEATED_WORDS))


def _plain(text: str) -> tuple[str, bool]:
    plain = " ".join(text.lower().translate(_TRANSLATION).split())
    marker = _ITEM.match(plain)
    return (plain[marker.end() :], True) if marker else (plain, False)


def _keys(plain: str, fewest: int) -> list[tuple[str, ...]]:
    """Return the step's words and those of its quotations, each if long enough to know again."""
    passages = [plain, *plain.split('"')[1::2]] if '"' in plain else [plain]
    keys = (tuple(_CONTENT_WORD.findall(passage)) for passage in passages)
    return [key for key in keys if len(key) >= fewest]
