"""Messages, and values that are not Python's own."""

import numpy as np
import pytest

from classifier.errors import AmbiguousRowError, NoReasoningError, RowError, SchemaError, TraceTypeError
from classifier.traces import Trace, read_traces
from tests.trace_rows import USER, assistant, text


def test_message_keys_win_over_the_content() -> None:
    assert text(assistant(reasoning_content="a", content="<think>\n\n</think>b")) == "a"
    assert text(assistant(thinking="a", content="b", reasoning="")) == "a"
    assert text(assistant(reasoning="a", reasoning_content="a ", content="b")) == "a "


def test_two_message_keys_with_different_texts_are_ambiguous() -> None:
    with pytest.raises(
        AmbiguousRowError, match=r"messages\[1\]\.reasoning_content and messages\[1\]\.thinking"
    ):
        read_traces(assistant(reasoning_content="a", thinking="b"))


def test_content_parts_of_the_apis() -> None:
    parts = [
        {"type": "thinking", "thinking": "a", "signature": "x"},
        {"type": "thinking", "thinking": " "},
        {"type": "reasoning", "text": "b"},
        {"type": "image", "url": "u"},
        {"type": "text", "text": "answer"},
        5,
    ]
    assert text(assistant(content=parts)) == "a\n\nb"


def test_harmony_messages_as_objects() -> None:
    row = {
        "messages": [
            dict(USER),
            {"role": "assistant", "channel": "analysis", "content": "a"},
            {"role": "assistant", "channel": "final", "content": "b"},
        ]
    }
    assert read_traces(row).traces == (Trace("a", "messages[1].content"),)


def test_turns_without_reasoning_are_passed_over() -> None:
    turns = [{"role": "assistant", "content": None, "reasoning": text} for text in ("a", "", "b\n", "c", "d")]
    read = read_traces({"messages": turns})
    assert read.traces[0].text == "a\n\nb\n\nc\n\nd"
    assert read.traces[0].place.endswith("messages[3].reasoning and 1 more")


def test_a_chat_as_an_object_of_lists() -> None:
    """`datasets` decodes a sequence of objects so."""
    row = {"conversations": {"from": ["human", "gpt"], "value": ["<think>q</think>", "<think>a</think>b"]}}
    assert text(row) == "a"
    assert text(row, column="conversations.value") == "a"
    assert text(row, column="conversations[-1].value") == "a"


def test_one_message_alone() -> None:
    assert text({"completion": {"role": "assistant", "reasoning": "a", "content": "b"}}) == "a"


@pytest.mark.parametrize(
    ("messages", "error", "message"),
    [
        ([dict(USER)], NoReasoningError, r"no message of the assistant \(roles: user\)"),
        ([], NoReasoningError, "empty list"),
        (assistant(content="4.")["messages"], NoReasoningError, r"--column 'messages\[-1\]\.content'"),
        (assistant(content=None)["messages"], NoReasoningError, "hold no reasoning"),
        (assistant(content=4)["messages"], SchemaError, r"messages\[1\]\.content is the number 4"),
        (assistant(reasoning=4)["messages"], TraceTypeError, r"messages\[1\]\.reasoning is the number 4"),
        ("Hello", SchemaError, "messages is the text 'Hello'; expected a list of messages"),
        (["Hello"], SchemaError, r"messages\[0\] is the text 'Hello'"),
        ([None], SchemaError, r"messages\[0\] is null"),
        ([{"content": "x"}], SchemaError, r"messages\[0\] is an object with the fields content"),
        ({"a": 1}, SchemaError, "expected a message with a role"),
    ],
)
def test_wrong_messages(messages: object, error: type[RowError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_traces({"messages": messages})
    assert type(caught.value) is error


def test_numpy_values() -> None:
    read = read_traces({"trace": np.str_("a")})
    assert type(read.traces[0].text) is str
    generations = np.array(["<think>a</think>b", "c"], dtype=object)
    assert [trace.text for trace in read_traces({"generations": generations}).traces] == ["a", "c"]
    with pytest.raises(TraceTypeError, match=r"trace is the number 1\.5"):
        read_traces({"trace": np.float32(1.5)})


def test_a_value_that_converts_to_itself_is_left_alone() -> None:
    class Odd:
        def tolist(self) -> "Odd":
            return self

    with pytest.raises(TraceTypeError, match="trace is of type Odd"):
        read_traces({"trace": Odd()})
