"""Reasoning that is marked inside a text.

Four ways of marking are known, and looked for in this order:

1. OpenAI's harmony format (gpt-oss): the messages of the assistant's ``analysis`` channel. Tool calls
   and tool results on that channel are no reasoning.
2. A chat that a chat template has rendered into one text (ChatML, Llama 3, DeepSeek, Gemma, Phi/GLM,
   Mistral): only the assistant's turns are looked at, each for the tags below.
3. Tags: ``<think>``, ``<|begin_of_thought|>`` (OpenThoughts), ``[THINK]``, ``<seed:think>``, ``◁think▷``,
   s1's ``<|im_start|>think`` … ``<|im_start|>answer``, and the plain words ``<thinking>``, ``<reasoning>``
   and ``<thought>`` in angle brackets.
4. gpt-oss output whose special tokens a decoder has dropped: ``analysis…assistantfinal…``.

Of the tags, the opener may be missing (chat templates put it into the prompt) and the closer too (the
output was cut off). There may be several blocks. A tag between two quotation marks is a mention, not a mark;
so is one of the plain words that is not closed and does not stand first. After a closed block, an opener
without a closer is a mention in the final answer.

Every scan is linear in the text.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SPECIAL_CLOSERS: Final = {
    "<think>": "</think>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "[THINK]": "[/THINK]",
    "<seed:think>": "</seed:think>",
    "◁think▷": "◁/think▷",
    "<|im_start|>think": "<|im_start|>answer",
}
_WORD_CLOSERS: Final = {
    "<thinking>": "</thinking>",
    "<reasoning>": "</reasoning>",
    "<thought>": "</thought>",
}
_CLOSERS: Final = _SPECIAL_CLOSERS | _WORD_CLOSERS
_SPECIAL_CLOSER_SET: Final = frozenset(_SPECIAL_CLOSERS.values())
_TAG: Final = re.compile("|".join(re.escape(tag) for pair in _CLOSERS.items() for tag in pair))
_QUOTES: Final = "`'\""
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})

_HARMONY_TOKEN: Final = re.compile(r"<\|(start|channel|message|end|return|call)\|>")
_STRIPPED_HARMONY: Final = ("analysis", "assistantfinal")

_TURN: Final = re.compile(
    r"<\|im_start\|>(?:(?P<chatml>assistant)|system|user|developer|tool|function|observation)\b\n?"
    r"|<\|start_header_id\|>(?:(?P<llama>assistant)|\w+)<\|end_header_id\|>"
    r"|<｜(?:(?P<deepseek>Assistant)|User)｜>"
    r"|<start_of_turn>(?:(?P<gemma>model)|user)\b\n?"
    r"|<\|(?:(?P<phi>assistant)|system|user|observation|tool)\|>"
    r"|(?P<mistral>\[/INST\])|\[INST\]"
    r"|<\|im_end\|>|<\|eot_id\|>|<｜end▁of▁sentence｜>|<end_of_turn>"
)


@dataclass(frozen=True, slots=True)
class InlineReasoning:
    """The marked reasoning of one text.

    Attributes
    ----------
    blocks
        The blocks in order, without surrounding whitespace; those without a visible character are left out.
    starts
        Where in the text each block starts.
    leading
        Whether the text is a model's output beyond doubt: its first mark stands at its start, or it is
        a rendered chat or harmony text. Without any block such a text holds no reasoning; any other text
        merely mentions a mark.
    """

    blocks: tuple[str, ...]
    starts: tuple[int, ...]
    leading: bool


def inline_reasoning(text: str) -> InlineReasoning | None:
    """Return the reasoning that is marked inside what a model wrote.

    Parameters
    ----------
    text
        The content of an assistant's message, or a column that holds reasoning.

    Returns
    -------
    InlineReasoning or None
        None if the text has no marks at all.
    """
    return harmony_reasoning(text) or tagged_reasoning(text)


def rendered_reasoning(text: str) -> InlineReasoning | None:
    """Return the reasoning that is marked inside a text which may be a whole rendered chat.

    Parameters
    ----------
    text
        A training text: a model's output, or the turns of a chat in one text.

    Returns
    -------
    InlineReasoning or None
        None if the text is no rendered chat and has no marks at all.
    """
    harmony = harmony_reasoning(text)
    turns = [] if harmony else list(_assistant_turns(text))
    if not turns:
        return harmony or tagged_reasoning(text)
    blocks: list[str] = []
    starts: list[int] = []
    for turn_start, turn in turns:
        found = tagged_reasoning(turn)
        if found is not None:
            blocks += found.blocks
            starts += (turn_start + start for start in found.starts)
    return InlineReasoning(tuple(blocks), tuple(starts), leading=True)


def harmony_reasoning(text: str) -> InlineReasoning | None:
    """Return the assistant's ``analysis`` messages of a text in OpenAI's harmony format.

    Parameters
    ----------
    text
        Harmony text with its special tokens, or without them as ``analysis…assistantfinal…``. It may
        begin in the middle of the assistant's first message, as a completion does.

    Returns
    -------
    InlineReasoning or None
        None if the text is not in the harmony format.
    """
    if "<|message|>" not in text:
        opener, closer = _STRIPPED_HARMONY
        end = text.find(closer) if text.startswith(opener) else -1
        return None if end < 0 else _collected(text, [(len(opener), end)], leading=True)
    blocks: list[tuple[int, int]] = []
    first = _HARMONY_TOKEN.search(text)
    before = text[: first.start()].strip() if first else ""
    header_start: int | None = 0
    body_start: int | None = None
    is_analysis = False
    for token in _HARMONY_TOKEN.finditer(text):
        if body_start is not None and is_analysis:
            blocks.append((body_start, token.start()))
        body_start = None
        kind = token.group(1)
        if kind == "message":
            header = "" if header_start is None else text[header_start : token.start()]
            is_analysis = _is_analysis(header)
            body_start = token.end()
            header_start = None
        elif kind == "start":
            header_start = token.end()
        elif kind == "channel":
            header_start = token.start() if header_start is None else header_start
        elif header_start == 0:
            # The prompt ended inside the analysis message, so the text begins in its body.
            blocks.append((0, token.start()))
            header_start = None
    if body_start is not None and is_analysis:
        blocks.append((body_start, len(text)))
    leading = before in ("", "assistant", "analysis", "final", "commentary")
    return _collected(text, blocks, leading=leading) if blocks or leading else None


def tagged_reasoning(text: str) -> InlineReasoning | None:
    """Return the reasoning between tags such as ``<think>`` and ``</think>``.

    Parameters
    ----------
    text
        What a model wrote in one turn.

    Returns
    -------
    InlineReasoning or None
        None if the text has no such tag, or only mentions one.
    """
    tags = [tag for tag in _TAG.finditer(text) if not _is_quoted(text, tag)]
    if not tags:
        return None
    last_closers = {tag.group(): tag.start() for tag in tags}
    text_start = len(text) - len(text.lstrip())
    blocks: list[tuple[int, int]] = []
    block_start = 0
    awaited: str | None = None
    leading = False
    for tag in tags:
        name = tag.group()
        first = not blocks and awaited is None
        if awaited is not None:
            if name == awaited:
                blocks.append((block_start, tag.start()))
                awaited = None
        elif name in _CLOSERS:
            stands_first = tag.start() == text_start
            closed = last_closers.get(_CLOSERS[name], -1) > tag.start()
            if closed or stands_first or (first and name in _SPECIAL_CLOSERS):
                awaited = _CLOSERS[name]
                block_start = tag.end()
                leading = leading or stands_first
        elif first and name in _SPECIAL_CLOSER_SET:
            blocks.append((0, tag.start()))
            leading = tag.start() == text_start
    if awaited is not None:
        blocks.append((block_start, len(text)))
    return _collected(text, blocks, leading=leading) if blocks else None


def is_blank(text: str) -> bool:
    """Tell whether a text has no visible character: only whitespace, control and format characters."""
    return all(unicodedata.category(char) in _INVISIBLE for char in text)


def _collected(text: str, spans: list[tuple[int, int]], *, leading: bool) -> InlineReasoning:
    blocks: list[str] = []
    starts: list[int] = []
    for start, end in spans:
        block = text[start:end].lstrip()
        if not is_blank(block):
            blocks.append(block.rstrip())
            starts.append(end - len(block))
    return InlineReasoning(tuple(blocks), tuple(starts), leading)


def _is_analysis(header: str) -> bool:
    """Tell whether the header of a harmony message is that of the assistant's own analysis."""
    role, _, channel = header.partition("<|channel|>")
    # A completion lacks what stood in the prompt: `<|start|>assistant`, perhaps `<|channel|>` too.
    return (role.strip() in ("", "assistant") and channel.strip() == "analysis") or (
        not channel and role.strip() == "analysis"
    )


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    before = text[tag.start() - 1 : tag.start()]
    return before != "" and before in _QUOTES and text[tag.end() : tag.end() + 1] == before


def _assistant_turns(text: str) -> Iterator[tuple[int, str]]:
    """Yield start and text of a rendered chat's assistant's turns; nothing if the text is no such chat."""
    turn_start: int | None = None
    for mark in _TURN.finditer(text):
        if turn_start is not None:
            yield turn_start, text[turn_start : mark.start()]
        turn_start = mark.end() if mark.lastgroup else None
    if turn_start is not None:
        yield turn_start, text[turn_start:]
