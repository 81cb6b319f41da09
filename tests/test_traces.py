"""Which column of a row is the trace, and every way in which a row can be wrong."""

import re
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.errors import (
    AmbiguousRowError,
    EmptyTraceError,
    NoReasoningError,
    OptionError,
    RowError,
    SchemaError,
    TraceTypeError,
)
from classifier.inline_reasoning import is_blank
from classifier.traces import REASONING_COLUMNS, SCHEMAS, RowTraces, Trace, read_traces
from tests.trace_rows import USER, assistant, outcome, text

# --- which column is the trace ---


@pytest.mark.parametrize("column", REASONING_COLUMNS)
def test_every_reasoning_column_is_found(column: str) -> None:
    assert read_traces({"question": "q", column: "a", "answer": "b"}).traces == (Trace("a", column),)


def test_null_columns_count_as_missing() -> None:
    row: dict[str, object] = dict.fromkeys(("generations", "cot", "text", "thinking_trajectories"))
    assert text({**row, "trace": float("nan"), "messages": assistant(reasoning="a")["messages"]}) == "a"


AMBIGUOUS: dict[str, dict[str, object]] = {
    "reasoning columns": {"reasoning": "one way", "trace": "another way"},
    "text and trace": {"text": "some text", "trace": "another text"},
    "messages and column": {**assistant(reasoning="one way"), "cot": "another way"},
    "messages and conversations": {
        **assistant(reasoning="one way"),
        "conversations": [{"from": "gpt", "value": "<think>another way</think>"}],
    },
    "data sets": {"generations": ["one way"], "deepseek_reasoning": "another way"},
}


@pytest.mark.parametrize("row", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_different_reasoning_in_two_columns_is_ambiguous(row: dict[str, object]) -> None:
    with pytest.raises(AmbiguousRowError, match="--column") as caught:
        read_traces(row)
    assert all(f"{column} (" in str(caught.value) for column in row)
    for column in row:
        assert read_traces(row, column=column).traces[0].place.startswith(column)


def test_the_same_reasoning_twice_is_not_ambiguous() -> None:
    row = {"reasoning": "one way", "trace": " one way\n", **assistant(reasoning="one way")}
    assert read_traces(row).traces == (Trace(" one way\n", "trace"),)


def test_a_rendering_of_the_reasoning_is_not_ambiguous() -> None:
    turns = [
        dict(USER),
        {"role": "assistant", "content": "<think>one</think>x"},
        dict(USER),
        {"role": "assistant", "content": "<think>two</think>y"},
    ]
    # Qwen's template drops the reasoning of earlier turns.
    rendered = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>two</think>y<|im_end|>"
    assert text({"messages": turns, "text": rendered}) == "one\n\ntwo"
    assert text({"cot": "one way", "text": "Question: q\none way\nAnswer: a"}) == "one way"


def test_a_completion_beside_a_reasoning_column_is_the_answer() -> None:
    assert text({"prompt": "q", "reasoning": "one way", "completion": "4"}) == "one way"


def test_unmarked_text_is_no_stand_in_for_missing_reasoning() -> None:
    with pytest.raises(EmptyTraceError, match="cot is empty"):
        read_traces({"text": "What is 2 + 2?", "cot": ""})
    with pytest.raises(NoReasoningError, match="messages"):
        read_traces({"text": "What is 2 + 2?", **assistant(content="4")})
    assert text({"text": "<think>a</think>4", **assistant(content="4")}) == "a"
    assert text({"text": "A thought.", "output": "4"}) == "A thought."


def test_flags_are_not_traces() -> None:
    assert text({"reasoning": "on", "input": "q", "output": "<think>a</think>b"}) == "a"
    assert text({"thinking": True, "text": "a thought"}) == "a thought"
    assert text({"generations": 2, "cot": "a"}) == "a"
    with pytest.raises(TraceTypeError, match="thinking is the truth value True"):
        read_traces({"thinking": True})
    with pytest.raises(SchemaError, match="generations is the number 2; expected a list"):
        read_traces({"generations": 2})


def test_analysis_needs_final_beside_it() -> None:
    with pytest.raises(SchemaError, match="no known schema fits"):
        read_traces({"analysis": "a"})
    assert text({"analysis": "a"}, schema="multilingual-thinking") == "a"


def test_s1k_1_1_falls_back_on_gemini() -> None:
    row = {"deepseek_thinking_trajectory": None, "gemini_thinking_trajectory": "a", "solution": "4"}
    assert text(row) == "a"
    both = {"deepseek_thinking_trajectory": "a", "gemini_thinking_trajectory": "b"}
    assert text(both, column="gemini_thinking_trajectory") == "b"


def test_s1k_parts_are_one_trace() -> None:
    read = read_traces({"thinking_trajectories": ["a", "b"], "attempt": "x"})
    assert (read.traces[0].text, read.several) == ("a\n\nb", False)
    assert text({"thinking_trajectories": "a"}) == "a"


def test_openr1_stays_a_list_with_one_generation() -> None:
    read = read_traces({"generations": ["<think>a</think>b"]})
    assert (read.several, read.schema) == (True, "openr1")
    assert not read_traces({"generations": "<think>a</think>b"}).several


def test_openr1_names_the_generation_that_is_wrong() -> None:
    with pytest.raises(TraceTypeError, match=r"generations\[1\] is null"):
        read_traces({"generations": ["<think>a</think>b", None]})
    with pytest.raises(NoReasoningError, match=r"generations\[0\] holds no reasoning"):
        read_traces({"generations": ["<think></think>b"]})
    with pytest.raises(NoReasoningError, match="generations is an empty list"):
        read_traces({"generations": []})


def test_stepwise_completions_that_look_like_alternatives() -> None:
    row = {"prompt": "q", "completions": ["<think>a</think>b", "<think>c</think>d"]}
    with pytest.raises(AmbiguousRowError, match="--schema openr1 --column completions"):
        read_traces(row)
    read = read_traces(row, schema="openr1", column="completions")
    assert ([trace.text for trace in read.traces], read.several) == (["a", "c"], True)
    with pytest.raises(TraceTypeError, match=r"completions\[1\] is the number 3"):
        read_traces({"completions": ["a", 3]})


def test_limo_derivatives_with_a_number() -> None:
    for number in (14, 14.5, np.int64(14)):
        with pytest.raises(TraceTypeError, match=r"number 14(\.5)?; expected .* LIMO .* --column"):
            read_traces({"question": "q", "solution": number, "answer": "14"})
    with pytest.raises(TraceTypeError, match="solution is the number 14"):
        read_traces({"solution": 14, "deepseek_thinking_trajectory": "a"}, schema="limo")


def test_a_solution_is_not_the_trace_where_the_trace_is_null() -> None:
    with pytest.raises(TraceTypeError, match=r"thinking_trajectories is null.*--column solution"):
        read_traces({"thinking_trajectories": None, "solution": "14"})
    with pytest.raises(TraceTypeError, match="trace, cot are null"):
        read_traces({"trace": None, "cot": None})


# --- the schema or column is named ---


def test_a_schema_settles_an_ambiguous_row() -> None:
    row: Mapping[str, object] = {**assistant(reasoning="a"), "trace": "b", "text": "c"}
    assert [text(row, schema=name) for name in ("messages", "trace", "text")] == ["a", "b", "c"]


def test_a_schema_reads_a_column_of_another_name() -> None:
    assert (
        text({"chat": assistant(reasoning="a")["messages"], "trace": "b"}, schema="messages", column="chat")
        == "a"
    )
    read = read_traces({"samples": ["a", "b"]}, schema="stepwise", column="samples")
    assert (read.traces[0].text, read.schema) == ("a\nb", "stepwise")


def test_asked_for_marks() -> None:
    assert text({"text": "<think>a</think>b"}, schema="inline") == "a"
    assert text("<|channel|>analysis<|message|>a<|end|>", schema="harmony") == "a"
    with pytest.raises(NoReasoningError, match="marks such as <think>"):
        read_traces({"text": "No marks."}, schema="inline")
    with pytest.raises(NoReasoningError, match="analysis channel"):
        read_traces("<think>a</think>b", schema="harmony")


def test_openthoughts_by_name_reads_both_subsets() -> None:
    row = {"conversations": [{"from": "assistant", "value": "<|begin_of_thought|>a<|end_of_thought|>"}]}
    assert text(row, schema="openthoughts") == "a"


NESTED = {
    "info": {"think": "a", "deep": [{"text": "b"}, {"text": "c"}, {}]},
    "dotted.name": "d",
    "odd[name": "e",
    "outputs": ["f", "<think>g</think>h"],
    "notes": [{"role": "assistant", "reasoning": "i"}],
    "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "j", "meta": {"cot": "k"}},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "meta": {"cot": "l"}},
        {"role": "assistant", "content": "m", "meta": None},
    ],
}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("info.think", "a"),
        ("info.deep[0].text", "b"),
        ("info.deep.text", "b\n\nc"),
        ("dotted.name", "d"),
        ("odd[name", "e"),
        ("outputs[1]", "g"),
        ("notes", "i"),
        ("messages[1].content", "j"),
        ("messages[-1].content", "m"),
        ("messages.content", "j\n\nm"),
        ("messages.meta.cot", "k\n\nl"),
    ],
)
def test_column_paths(column: str, expected: str) -> None:
    assert text(NESTED, column=column) == expected


def test_an_unknown_column_with_a_list_of_texts_holds_alternatives() -> None:
    read = read_traces(NESTED, column="outputs")
    assert read == RowTraces(
        (Trace("f", "outputs[0]"), Trace("g", "outputs[1]")), several=True, schema="column"
    )


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ("absent", SchemaError, r"the row has no column absent; expected one of its columns \(info, "),
        ("info.absent", SchemaError, "the row has no column"),
        ("outputs[2]", SchemaError, "the row has no column"),
        ("info..think", SchemaError, "the row has no column"),
        ("info.think.x", SchemaError, "the row has no column"),
        ("messages[4].meta", TraceTypeError, "is null"),
        ("messages[3].content", EmptyTraceError, r"messages\[3\]\.content is empty"),
        ("info", SchemaError, r"expected a message with a role"),
    ],
)
def test_wrong_column_paths(column: str, error: type[RowError], message: str) -> None:
    with pytest.raises(error, match=message):
        read_traces(NESTED, column=column)


def test_a_path_over_turns_without_reasoning() -> None:
    row = {"messages": [{"role": "assistant", "content": value} for value in ("", "<think></think>x")]}
    with pytest.raises(EmptyTraceError, match=r"messages\[0\]\.content is empty"):
        read_traces(row, column="messages.content")


# --- rows that are wrong altogether ---


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (None, TraceTypeError, "the row is null"),
        (float("nan"), TraceTypeError, "the row is null"),
        (7, TraceTypeError, "the row is the number 7"),
        pytest.param(10**5000, TraceTypeError, "the row is a number of 16610 bits", id="huge number"),
        (True, TraceTypeError, "the row is the truth value True"),
        (b"bytes", TraceTypeError, "the row is of type bytes"),
        (("a", "b"), TraceTypeError, "the row is a list of 2 items"),
        ([], TraceTypeError, "the row is an empty list"),
        ("", EmptyTraceError, "the text is empty"),
        (" \n\u200b\ufeff", EmptyTraceError, "without any visible character"),
        ({}, SchemaError, "Its columns: none"),
        ({"prompt": "q", 3: "x"}, SchemaError, r"Its columns: prompt, the number 3\."),
        ({str(n): n for n in range(25)}, SchemaError, "and 5 more"),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, SchemaError, "chosen"),
        ({"trace": ""}, EmptyTraceError, "trace is empty"),
        ({"trace": None}, TraceTypeError, "trace is null"),
        ({"trace": 4}, TraceTypeError, "trace is the number 4"),
        ({"trace": ["a"]}, TraceTypeError, "trace is a list of 1 items"),
        ({"trace": {}}, TraceTypeError, "trace is an empty object"),
        ({"trace": {"a": 1, "b": 2}}, TraceTypeError, "an object with the fields a, b"),
        ({"trace": b"a"}, TraceTypeError, "trace is of type bytes"),
        ({"text": None}, TraceTypeError, "text is null"),
        ({"output": "4"}, NoReasoningError, "output holds no reasoning"),
    ],
)
def test_wrong_rows(row: object, error: type[RowError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_traces(row)
    assert type(caught.value) is error
    assert caught.value.column_text.startswith(f"{error.error_type}: ")


def test_messages_can_be_encoded() -> None:
    with pytest.raises(SchemaError) as caught:
        read_traces({"bad \ud800 name": 1, "long " * 40: 2})
    assert "bad \\ud800 name" in str(caught.value)
    assert len(caught.value.column_text.encode()) < 600


def test_a_text_has_no_columns() -> None:
    with pytest.raises(SchemaError, match=r"the row is a text and has no columns.*column trace"):
        read_traces("a", column="trace")
    with pytest.raises(SchemaError, match="the columns of schema messages"):
        read_traces("a", schema="messages")
    with pytest.raises(SchemaError, match="schema string expects a text"):
        read_traces({"text": "a"}, schema="string")
    with pytest.raises(SchemaError, match="schema limo expects solution"):
        read_traces({"text": "a"}, schema="limo")


def test_wrong_options() -> None:
    with pytest.raises(
        OptionError, match=r"no schema openr2.*expected one of string, .*Did you mean openr1\?"
    ):
        read_traces("a", schema="openr2")
    with pytest.raises(OptionError, match="no schema zzz"):
        read_traces("a", schema="zzz")
    for column in ("", " ", 3):
        with pytest.raises(OptionError, match="expected a column's name"):
            read_traces({"trace": "a"}, column=column)  # type: ignore[arg-type]


# --- any row ---

MARKS = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<thinking>",
        "</thinking>",
        "[THINK]",
        "[/THINK]",
        "<|im_start|>think",
        "<|im_start|>answer",
        "<|start|>",
        "<|channel|>",
        "<|message|>",
        "<|end|>",
        "<|call|>",
        "<|im_start|>assistant",
        "[INST]",
        "[/INST]",
        "<|assistant|>",
        "analysis",
        "assistant",
        "assistantfinal",
        "final",
        "`",
        "\ud800",
        "\u200b",
        "x",
    ]
)
TEXTS = st.lists(MARKS | st.text(max_size=8), max_size=6).map("".join)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=3)
KEYS = st.sampled_from(
    "role from content value type text channel x solution final analysis messages conversations completion "
    "completions output generations deepseek_reasoning thinking_trajectories gemini_thinking_trajectory "
    f"{' '.join(REASONING_COLUMNS)}".split()
)
ROLES = st.sampled_from(["assistant", "gpt", "user", "system"])
MESSAGES = st.fixed_dictionaries({"role": ROLES}, optional={"content": TEXTS, "reasoning": SCALARS})
VALUES = st.recursive(
    SCALARS | st.lists(MESSAGES, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers(0, 3), inner, max_size=4),
    max_leaves=12,
)
PATHS = st.lists(KEYS | st.sampled_from(["[0]", "[-1]", ".", "[", "]"]), min_size=1, max_size=4).map(".".join)


@given(
    row=VALUES | st.dictionaries(KEYS, VALUES, max_size=5),
    schema=st.none() | st.sampled_from(SCHEMAS),
    column=st.none() | KEYS | PATHS,
)
@settings(deadline=None, max_examples=400)
def test_any_row_gives_traces_or_a_row_error(row: object, schema: str | None, column: str | None) -> None:
    read = outcome(row, schema=schema, column=column)
    if isinstance(read, RowError):
        assert re.search("expect|differ", read.column_text.encode().decode())
        return
    assert read.traces
    assert all(trace.place and not is_blank(trace.text) for trace in read.traces)


@given(
    reasoning=st.text(min_size=1).filter(
        lambda value: value.strip() and not re.search(r"[<◁\[]|analysis", value)
    )
)
@settings(deadline=None)
def test_reasoning_comes_out_as_it_went_in(reasoning: str) -> None:
    try:
        assert text({"trace": reasoning}) == reasoning
    except EmptyTraceError:
        assert not any(char.isprintable() and not char.isspace() for char in reasoning)
    else:
        assert text(assistant(content=f"<think>{reasoning}</think>done")) == reasoning.strip()
