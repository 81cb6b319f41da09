"""Text to steps: where each sentence or line of a trace starts and ends.

A line break ends a step, except inside displayed mathematics. Inside a line a step ends at `.`, `!`, `?` or
`…`, with the quotes and brackets that close after it, when white space and something that can open a
sentence follow; or at a Chinese or Japanese full stop. Abbreviations, initials, list numbers and what stands
inside mathematics and code do not end a step. One or two characters are no step of their own: they join
what follows or, if they close a bracket, what precedes.

Every expression here reads a stretch of text a fixed number of times (possessive repeats, alternatives that
exclude each other), so the time is linear in the length of any input.
"""

import re
from collections.abc import Iterator
from typing import Final

MAX_STEP: Final = 1000
"""Longest step in characters; what runs on without a break is cut there or a little before.

Of the 736,000 sentences and lines of the traces this was tuned on, 27 are longer than 500 characters and 10
longer than this, nearly all of those lists that repeat themselves without end.
"""

_MIN_STEP: Final = 3

_BREAK = r"\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # the line breaks of str.splitlines
_STOP = ".!?…‼⁇⁈⁉؟۔।॥።"  # full stops that need white space behind them
_WIDE_STOP = "。！？｡"
_CLOSE = "\"'”’)\\]}»›」』）】》〉］"

# Below, repeated groups are atomic, (?>(...)*), not possessive, (...)*+, which means the same: before Python
# 3.11.5 a possessive group matches what it should not (CPython issue 106052).
# The first character is one that can end a step; each alternative looks back at which it was. Where a
# sentence ends, a group holds the white space behind it; where a line ends, none does.
_BOUNDARY: Final = re.compile(
    rf"""
    [{_STOP}{_WIDE_STOP}{_BREAK}]
    (?:
        (?<=[{_STOP}]) (?<![{_STOP}][{_STOP}])      # only the first of a run such as `...`
        [{_STOP}]*+ (?>(?:[{_CLOSE}$]|\\[\])])*)
        ([^\S{_BREAK}]++) (?=[A-Z0-9"'(\[*$\\`-]|[^\x00-\x7f])
      | (?<=[{_WIDE_STOP}]) [{_WIDE_STOP}{_STOP}]*+ [{_CLOSE}]*+ ([^\S{_BREAK}]*+)
      | (?<=[{_BREAK}]) \s*+
    )
    """,
    re.VERBOSE,
)
_OPENERS = frozenset("“‘«‹„¿¡「『（【《〈［—–•")  # beside letters and digits, outside ASCII

# Code and mathematics, whose full stops end no sentence. A fence runs to the next fence; display mathematics
# holds no blank line, as in LaTeX; a dollar sign opens and closes as in Pandoc, so that prices do not.
_LITERAL: Final = re.compile(
    r"""
    ``` [^`]*+ (?> (?: ``?(?!`) [^`]*+ )* ) ```
  | (?<!`) (`{1,2}) (?!`) [^`\n]++ \1 (?!`)
  | \$\$ (?> (?: [^$\n]++ | \n(?![ \t\r]*+\n) )+ ) \$\$
  | (?<![\\$\w]) \$ (?![\s$]) [^$\n]{1,300}+ (?<![\s\\]) \$ (?![\d$])
  | (?<!\\) \\\[ (?> (?: [^\\\n]++ | \\\\ | \\(?![\[\]]) | \n(?![ \t\r]*+\n) )* ) \\\]
  | (?<!\\) \\\( (?> (?: [^\\\n]++ | \\\\ | \\(?![()]) )* ) \\\)
    """,
    re.VERBOSE,
)
_ENVIRONMENT: Final = re.compile(r"(\\begin)\{|(\\end)\{[^{}\n]*+\}|\n[ \t\r]*+\n")

# Never at the end of a sentence; before a number only ("Fig. 2"), since "1.4 approx. Indeed" ends one.
_ABBREVIATIONS: Final = frozenset(
    """e.g E.g i.e I.e cf Cf viz vs Vs w.r.t s.t a.k.a Mr Mrs Ms Mx Dr Prof St Mt
    Capt Col Gen Gov Hon Lt Rep Rev Sen Sgt""".split()  # noqa: SIM905 (a list of words reads best as text)
)
_NUMBERED: Final = frozenset(
    """al approx Approx ca resp Art Ch Chap Cor Def Eq eq Eqs eqs Ex Fig fig Figs figs Lem No Nos pp Prop
    Ref Refs Sec Sect Tab Thm Vol vol Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec""".split()  # noqa: SIM905
)
_TAILS: Final = frozenset(word[-2:] for word in _ABBREVIATIONS | _NUMBERED)
_LEFT_OF_WORD: Final = "\"'([{“‘*_"
_ACRONYM: Final = re.compile(r"(?:[A-Z]\.)+[A-Z]|Ph\.D")
_INITIAL: Final = re.compile(r"[A-Z]\.(?=\s|\Z)")
_LIST_NUMBER: Final = re.compile(r"[\W_]{0,6}+\d{1,4}\.")
_LONGEST_LIST_NUMBER: Final = 11

_FIRST_WIDE: Final = "\u2e80"  # from here on two characters can be a sentence: Chinese, Japanese, Korean

_VISIBLE: Final = re.compile(r"\S")
_LAST_SPACE: Final = re.compile(r"(?s:.*)\s")
_LAST_COMMA: Final = re.compile(r"(?s:.*)[,;:，、；：]")


def split_steps(text: str) -> list[tuple[int, int]]:
    """Split a trace into steps.

    Parameters
    ----------
    text
        Any string, lone surrogates included.

    Returns
    -------
    list of (int, int)
        Offsets in code points, start inclusive and end exclusive, in order. The steps do not overlap, begin
        and end with a visible character, and leave out nothing but white space; each is at most `MAX_STEP`
        characters long. Empty if the text holds only white space.
    """
    spans: list[tuple[int, int]] = []
    stop = len(text.rstrip())
    start = len(text) - len(text.lstrip()) if stop else 0
    literals = _literals(text) if "$" in text or "\\" in text or "`" in text else iter(())
    opens, closes, keeps_lines = next(literals, (stop, stop, False))
    line_start = True  # whether the step being read is the first of its line
    for match in _BOUNDARY.finditer(text, start, stop):
        at, following = match.span()
        group = match.lastindex
        end = match.start(group) if group else at
        while closes < end:
            opens, closes, keeps_lines = next(literals, (stop, stop, False))
        if opens < at and end < closes and (group or keeps_lines):
            continue
        if group is None:
            if text[at - 1].isspace():
                end = start + len(text[start:at].rstrip())
            if end - start < _MIN_STEP and text[start] < _FIRST_WIDE:
                if end == start or _closes_previous(text, start, end, spans):
                    start, line_start = following, True
                continue
        elif group == 1:
            opener = text[following]
            if opener > "\x7f" and not (opener in _OPENERS or (opener.isalnum() and not opener.islower())):
                continue
            tail = text[at - 2 : at]
            if (tail in _TAILS or not tail.islower()) and _is_abbreviation(text, start, at, following):
                continue
            if end - start <= _LONGEST_LIST_NUMBER and (
                end - start < _MIN_STEP or (line_start and _LIST_NUMBER.fullmatch(text, start, end))
            ):
                continue
        _append(spans, text, start, end)
        start, line_start = following, group is None
    if start < stop:
        short = stop - start < _MIN_STEP and text[start] < _FIRST_WIDE
        if not (short and _joins_previous(start, stop, spans)):
            _append(spans, text, start, stop)
    return spans


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    """Append a step, cut into pieces of at most `MAX_STEP` characters."""
    while end - start > MAX_STEP:
        limit = start + MAX_STEP
        middle = start + MAX_STEP // 2
        last = _LAST_SPACE.match(text, middle, limit + 1) or _LAST_COMMA.match(text, middle, limit)
        cut = last.end() if last else limit
        spans.append((start, start + len(text[start:cut].rstrip())))
        start = next(_VISIBLE.finditer(text, cut, end)).start()
    spans.append((start, end))


def _closes_previous(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    """Join a short line that only closes a bracket to the step before it, if there is one."""
    return (text[start] in ")]}" or text.startswith(("\\]", "\\)"), start)) and _joins_previous(
        start, end, spans
    )


def _joins_previous(start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    """Join a short line to the step before it, unless there is none or the two make too long a step."""
    if not spans or end - spans[-1][0] > MAX_STEP:
        return False
    spans[-1] = (spans[-1][0], end)
    return True


def _is_abbreviation(text: str, start: int, at: int, following: int) -> bool:
    """Return whether the character at `at`, if it is a full stop, belongs to the word before it."""
    if text[at] != "." or text[at + 1] in _STOP:
        return False
    words = text[max(start, at - 8) : at].split()
    if not words:
        return False
    word = words[-1].lstrip(_LEFT_OF_WORD)
    if word in _ABBREVIATIONS or _ACRONYM.fullmatch(word):
        return True
    if word in _NUMBERED:  # "No. 5" is a number, but a step "No." is an answer
        return (text[following].isdigit() or text[following] in "([#") and at - start > len(word)
    if len(word) == 1 and word.isupper():
        return bool(_INITIAL.match(text, following) or (len(words) > 1 and _INITIAL.fullmatch(words[-2])))
    return False


def _literals(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield start and end of code and mathematics, and whether line breaks inside end no step either."""
    spans = [match.span() for match in _LITERAL.finditer(text)]
    if "\\begin{" in text:
        spans = sorted([*spans, *_environments(text)])
    previous_end = 0
    for start, end in spans:
        if end > previous_end:
            previous_end = end
            is_display = text.startswith(("$$", "\\[", "\\begin"), start)
            yield start, end, is_display and end - start <= MAX_STEP


def _environments(text: str) -> Iterator[tuple[int, int]]:
    r"""Yield the outermost `\begin` … `\end` that hold no blank line."""
    depth = start = 0
    for match in _ENVIRONMENT.finditer(text):
        if match[1]:
            start = match.start() if depth == 0 else start
            depth += 1
        elif not match[2]:
            depth = 0
        elif depth:
            depth -= 1
            if depth == 0:
                yield start, match.end()
