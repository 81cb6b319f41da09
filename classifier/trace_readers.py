"""Readers that turn the value of one column into traces.

A reader gets a value, as JSON, pyarrow, pandas or `datasets` hand it over, and the value's place in the
row for messages to people. It returns a `Reading` or raises the `RowError` that says what is wrong.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from classifier.errors import (
    AmbiguousRowError,
    EmptyTraceError,
    NoReasoningError,
    SchemaError,
    TraceTypeError,
)
from classifier.inline_reasoning import (
    InlineReasoning,
    harmony_reasoning,
    inline_reasoning,
    is_blank,
    rendered_reasoning,
)

ASSISTANT_ROLES: Final = frozenset({"assistant", "gpt", "model", "chatgpt", "bot"})
REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking")
_TURN_SEPARATOR: Final = "\n\n"
_STEP_SEPARATOR: Final = "\n"

# Python refuses to write out integers of more than some thousand digits.
_LONG_INTEGER_BITS: Final = 256


@dataclass(frozen=True, slots=True)
class Trace:
    """One chain of thought.

    Attributes
    ----------
    text
        The reasoning, and nothing else.
    place
        Where in the row it stands, as in ``messages[1].reasoning_content``; for messages to people.
    origins
        Where marked reasoning stands in the text that it was read from: pairs of a place in the trace and
        the place in that text, each for what follows up to the next pair. Of a text taken whole, the starts.
    """

    text: str
    place: str
    origins: tuple[tuple[int, int], ...] = field(default=((0, 0),), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader made of one value.

    Attributes
    ----------
    traces
        At least one trace.
    several
        Whether the value is a list of alternative traces.
    unmarked
        Whether a text of any content was taken whole, because nothing in it marks the reasoning.
    """

    traces: tuple[Trace, ...]
    several: bool = False
    unmarked: bool = False

    @property
    def text(self) -> str:
        """Return all reasoning as one text, for comparing two readings."""
        return _TURN_SEPARATOR.join(trace.text.strip() for trace in self.traces)


Reader = Callable[[object, str], Reading]


def plain(value: object) -> object:
    """Return a value as Python's own type, where it is numpy's or pyarrow's; a missing value as None."""
    if value is None or isinstance(value, str | list | Mapping | bool | int):
        return value
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, tuple):
        return list(value)
    for method in ("as_py", "tolist"):
        convert = getattr(value, method, None)
        if callable(convert):
            converted: object = convert()
            return value if type(converted) is type(value) else plain(converted)
    return value


def quoted(name: object) -> str:
    """Return a column's name for a message, short and without characters that cannot be encoded."""
    if not isinstance(name, str):
        return describe(name)
    return ascii(name if len(name) <= 60 else f"{name[:40]}…{name[-10:]}")[1:-1]


def describe(value: object) -> str:
    """Say in a few words what a value is."""
    match value:
        case None:
            return "null"
        case bool():
            return f"the truth value {value}"
        case int() if value.bit_length() > _LONG_INTEGER_BITS:
            return f"a number of {value.bit_length()} bits"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text '{quoted(value)}'" if value else "an empty text"
        case list():
            return f"a list of {len(value)} items" if value else "an empty list"
        case Mapping():
            names = ", ".join(quoted(name) for name in list(value)[:8])
            return f"an object with the fields {names}" if names else "an empty object"
        case _:
            return f"of type {type(value).__name__}"


def read_reasoning(value: object, place: str) -> Reading:
    """Read a column that holds reasoning: what stands between marks if there are any, else the whole."""
    text = _text(value, place)
    return _marked_or_whole(text, place, inline_reasoning(text))


def read_text(value: object, place: str) -> Reading:
    """Read a text of any content: the marked reasoning if there is any, else the whole text."""
    text = _text(value, place)
    reading = _marked_or_whole(text, place, rendered_reasoning(text))
    return Reading(reading.traces, unmarked=reading.traces[0].text is text)


def read_marked(value: object, place: str) -> Reading:
    """Read a model's output: the marked reasoning; an output without marks is only an answer."""
    text = _text(value, place)
    return _marked(place, rendered_reasoning(text), "reasoning marks such as <think> … </think>")


def read_harmony(value: object, place: str) -> Reading:
    """Read raw harmony text: the messages of the assistant's analysis channel."""
    text = _text(value, place)
    return _marked(place, harmony_reasoning(text), "a message of harmony's analysis channel")


def read_solution(value: object, place: str) -> Reading:
    """Read LIMO's solution, which is the chain of thought; in some derivatives it is a number."""
    value = plain(value)
    if isinstance(value, int | float):
        raise TraceTypeError(
            f"{place} is {describe(value)}; expected the chain of thought as text, as LIMO has it. In some "
            "derivatives of LIMO it is only the final answer: name the column that holds the chain of "
            "thought with --column (column= in Python)"
        )
    return read_reasoning(value, place)


def read_parts(value: object, place: str) -> Reading:
    """Read consecutive parts of one chain of thought: a list of texts, or one text."""
    return _read_list(value, place, _TURN_SEPARATOR)


def read_steps(value: object, place: str) -> Reading:
    """Read the steps of one chain of thought, as TRL's stepwise supervision has them."""
    return _read_list(value, place, _STEP_SEPARATOR)


def read_alternatives(value: object, place: str) -> Reading:
    """Read a list of alternative outputs for one problem, each a text or a list of messages."""
    value = plain(value)
    if isinstance(value, str):
        return read_text(value, place)
    items = _list(value, place, "a list of outputs, each a text")
    readings = [read_completion(item, f"{place}[{index}]") for index, item in enumerate(items)]
    return Reading(tuple(trace for reading in readings for trace in reading.traces), several=True)


def read_completion(value: object, place: str) -> Reading:
    """Read a completion: a text, or a list of messages."""
    value = plain(value)
    return read_messages(value, place) if isinstance(value, list | Mapping) else read_text(value, place)


def read_reasoning_or_messages(value: object, place: str) -> Reading:
    """Read a column that holds reasoning as a text, or a list of messages."""
    value = plain(value)
    return read_messages(value, place) if isinstance(value, list | Mapping) else read_reasoning(value, place)


def read_any(value: object, place: str) -> Reading:
    """Read a column that no schema knows: reasoning as text, alternatives, or messages."""
    value = plain(value)
    if isinstance(value, list) and value and not isinstance(plain(value[0]), Mapping):
        return read_alternatives(value, place)
    return read_reasoning_or_messages(value, place)


def read_messages(value: object, place: str) -> Reading:
    """Read the reasoning of the assistant's messages, all turns as one trace."""
    roles = []
    traces: list[Trace] = []
    for index, message in enumerate(messages_of(value, place)):
        where = f"{place}[{index}]"
        role = role_of(message, where)
        roles.append(quoted(role))
        if role in ASSISTANT_ROLES:
            traces.extend(_message_reasoning(message, where))
    if traces:
        return Reading((joined(traces),))
    if not ASSISTANT_ROLES.intersection(roles):
        raise NoReasoningError(
            f"{place} has no message of the assistant (roles: {', '.join(dict.fromkeys(roles)) or 'none'}); "
            f"expected one of the roles {', '.join(sorted(ASSISTANT_ROLES))}. Name the column that holds the "
            "reasoning with --column (column= in Python)"
        )
    raise NoReasoningError(
        f"the assistant's messages in {place} hold no reasoning; expected {', '.join(REASONING_KEYS)} or "
        "marks such as <think> … </think> in the content. If the whole content is the chain of thought, give "
        f"--column '{place}[-1].content'; if it stands in another column, give --column NAME "
        "(column= in Python)"
    )


def messages_of(value: object, place: str) -> list[Mapping[str, object]]:
    """Return the messages of a list, of a single message, or of `datasets`' object of lists."""
    value = plain(value)
    if isinstance(value, Mapping):
        columns = {name: plain(column) for name, column in value.items()}
        lists = [column for column in columns.values() if isinstance(column, list)]
        if lists and len(lists) == len(columns) and len({len(column) for column in lists}) == 1:
            return [dict(zip(columns, cells, strict=True)) for cells in zip(*lists, strict=True)]
        return [value]
    messages = []
    for index, item in enumerate(_list(value, place, "a list of messages")):
        message = plain(item)
        if not isinstance(message, Mapping):
            raise SchemaError(
                f"{place}[{index}] is {describe(message)}; expected a message: an object with role and "
                "content (or from and value). Name the right column with --column (column= in Python)"
            )
        messages.append(message)
    return messages


def role_of(message: Mapping[str, object], place: str) -> str:
    """Return the role of a message in lower case."""
    for key in ("role", "from"):
        role = plain(message.get(key))
        if isinstance(role, str):
            return role.strip().lower()
    raise SchemaError(
        f"{place} is {describe(message)}; expected a message with a role: role and content, or from and value"
    )


def joined(traces: Sequence[Trace]) -> Trace:
    """Join the reasoning of several turns to one trace."""
    if len(traces) == 1:
        return traces[0]
    places = [trace.place for trace in traces]
    shown = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
    return Trace(_TURN_SEPARATOR.join(trace.text.strip() for trace in traces), shown)


def _message_reasoning(message: Mapping[str, object], place: str) -> Iterator[Trace]:
    keyed = [
        read_reasoning(value, f"{place}.{key}")
        for key in REASONING_KEYS
        if (value := plain(message.get(key))) is not None and not (isinstance(value, str) and is_blank(value))
    ]
    if len({reading.text for reading in keyed}) > 1:
        names = " and ".join(reading.traces[0].place for reading in keyed)
        raise AmbiguousRowError(
            f"{names} hold different texts; say which is the reasoning, for example with --column "
            f"'{keyed[0].traces[0].place}' (column= in Python)"
        )
    if keyed:
        yield from keyed[0].traces
        return
    key = "content" if plain(message.get("content")) is not None else "value"
    place = f"{place}.{key}"
    content = plain(message.get(key))
    if plain(message.get("channel")) == "analysis" and isinstance(content, str) and not is_blank(content):
        yield Trace(content, place)
        return
    match content:
        case None:
            pass
        case str():
            yield from _inline_traces(content, place)
        case list():
            for index, part in enumerate(content):
                yield from _part_reasoning(plain(part), f"{place}[{index}]")
        case _:
            raise SchemaError(f"{place} is {describe(content)}; expected a text or a list of content parts")


def _part_reasoning(part: object, place: str) -> Iterator[Trace]:
    """Yield the reasoning of one part of a message's content, as the OpenAI and Anthropic APIs have them."""
    if isinstance(part, str):
        yield from _inline_traces(part, place)
    elif isinstance(part, Mapping):
        kind = plain(part.get("type"))
        key = "thinking" if kind == "thinking" else "text"
        text = plain(part.get(key))
        if isinstance(text, str) and kind in ("thinking", "reasoning"):
            if not is_blank(text):
                yield Trace(text, f"{place}.{key}")
        elif isinstance(text, str):
            yield from _inline_traces(text, f"{place}.{key}")


def _inline_traces(text: str, place: str) -> Iterator[Trace]:
    found = inline_reasoning(text)
    if found and found.blocks:
        yield Trace(_TURN_SEPARATOR.join(found.blocks), place)


def _read_list(value: object, place: str, separator: str) -> Reading:
    value = plain(value)
    if isinstance(value, str):
        return read_reasoning(value, place)
    items = [plain(item) for item in _list(value, place, "a list of texts")]
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) < len(items):
        index = next(index for index, item in enumerate(items) if not isinstance(item, str))
        raise TraceTypeError(f"{place}[{index}] is {describe(items[index])}; expected a text")
    if sum(inline_reasoning(text) is not None for text in texts) > 1:
        raise AmbiguousRowError(
            f"{place} could be the parts of one chain of thought, but several of its {len(texts)} items hold "
            "reasoning marks of their own, as alternative outputs do; expected one or the other. If they are "
            f"alternatives, give --schema openr1 --column {quoted(place)} (schema= and column= in Python)"
        )
    return read_reasoning(separator.join(texts), place)


def _marked_or_whole(text: str, place: str, found: InlineReasoning | None) -> Reading:
    if found is None or not (found.blocks or found.leading):
        return Reading((Trace(text, place),))
    return _marked(place, found, "text between its reasoning marks")


def _marked(place: str, found: InlineReasoning | None, expected: str) -> Reading:
    if found is None or not found.blocks:
        raise NoReasoningError(
            f"{place} holds no reasoning: expected {expected}. If another column holds the chain of thought, "
            "name it with --column (column= in Python)"
        )
    origins: list[tuple[int, int]] = []
    length = 0
    for block, start in zip(found.blocks, found.starts, strict=True):
        origins.append((length, start))
        length += len(block) + len(_TURN_SEPARATOR)
    return Reading((Trace(_TURN_SEPARATOR.join(found.blocks), place, tuple(origins)),))


def _text(value: object, place: str) -> str:
    value = plain(value)
    if not isinstance(value, str):
        raise TraceTypeError(
            f"{place} is {describe(value)}; expected the chain of thought as text. Name the column that "
            "holds it with --column (column= in Python)"
        )
    if is_blank(value):
        raise EmptyTraceError(
            f"{place} is {'empty' if not value else 'a text without any visible character'}; expected the "
            "chain of thought as text. Drop the row, or name another column with --column (column= in Python)"
        )
    return value if type(value) is str else str(value)


def _list(value: object, place: str, expected: str) -> list[object]:
    if not isinstance(value, list):
        raise SchemaError(
            f"{place} is {describe(value)}; expected {expected}. Name the right column with --column, or the "
            "right schema with --schema (column= and schema= in Python)"
        )
    if not value:
        raise NoReasoningError(f"{place} is an empty list; expected {expected}")
    return value
