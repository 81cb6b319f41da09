"""Reasoning that is marked inside a text, in every column that may hold such a text."""

import time
from collections.abc import Callable

import pytest

from classifier.errors import NoReasoningError, RowError
from classifier.traces import read_traces
from tests.trace_rows import assistant, outcome, text

INLINE = {
    "block": ("<think>\na b\n</think>\n\nanswer", "a b"),
    "no opener": ("a b\n</think>\nanswer", "a b"),
    "no closer": ("<think>\na b", "a b"),
    "text before": ("Sure. <think>a</think> answer", "a"),
    "text before, no closer": ("Sure. <think>a b", "a b"),
    "several blocks": ("<think>a</think> one <think>b</think> two", "a\n\nb"),
    "no opener, then a block": ("a</think> one <think>b</think> two", "a\n\nb"),
    "an empty block beside a full one": ("<think></think> one <think>b</think> two", "b"),
    "opener mentioned in the block": ("<think>a <think> b</think> answer", "a <think> b"),
    "second closer": ("<think>a</think> answer </think> more", "a"),
    "mention after the block": ("<think>a</think> The tag <think> opens a block.", "a"),
    "mention in quotes": ("<think>write `</think>` later</think> answer", "write `</think>` later"),
    "quote before the closer": ('<think>so it says "yes"</think> answer', 'so it says "yes"'),
    "thinking": ("<thinking>a</thinking> answer", "a"),
    "thinking without closer": ("<thinking>a b", "a b"),
    "reasoning": ("<reasoning>\na\n</reasoning>\n<answer>b</answer>", "a"),
    "thought": ("Well. <thought>a</thought> b", "a"),
    "OpenThoughts": ("<|begin_of_thought|> a <|end_of_thought|> <|begin_of_solution|> b", "a"),
    "Magistral": ("[THINK]a[/THINK]b", "a"),
    "Seed": ("<seed:think>a</seed:think>b", "a"),
    "Kimi": ("◁think▷a◁/think▷b", "a"),
    "s1": ("<|im_start|>think\na\n<|im_start|>answer\nb", "a"),
    "harmony": ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "a"),
    "harmony without closer": ("<|start|>assistant<|channel|>analysis<|message|>a b", "a b"),
    "harmony from the channel's name on": ("analysis<|message|>a<|end|><|start|>assistant", "a"),
    "harmony from the body on": ("a b<|end|><|start|>assistant<|channel|>final<|message|>c<|return|>", "a b"),
    "harmony, two messages": (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>b<|end|>",
        "a\n\nb",
    ),
    "harmony without start": ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", "a"),
    "harmony, tool call in the analysis": (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>analysis to=python code"
        "<|message|>print(1)<|call|><|start|>python to=assistant<|channel|>analysis<|message|>1<|end|>",
        "a",
    ),
    "harmony with its tokens dropped": ("analysisWe divide.assistantfinalIt is 14.", "We divide."),
}


@pytest.mark.parametrize(("given_text", "expected"), INLINE.values(), ids=INLINE)
@pytest.mark.parametrize(
    "row",
    [
        lambda value: value,
        lambda value: {"text": value},
        lambda value: {"cot": value},
        lambda value: {"prompt": "p", "completion": value},
        lambda value: {"instruction": "p", "input": "", "output": value},
        lambda value: assistant(content=value),
        lambda value: assistant(content=[{"type": "text", "text": value}]),
        lambda value: assistant(content=[value]),
        lambda value: assistant(reasoning_content=value, content="answer"),
        lambda value: {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": value}]},
        lambda value: {"generations": [value]},
    ],
)
def test_only_the_marked_reasoning_is_read(
    row: Callable[[str], object], given_text: str, expected: str
) -> None:
    assert text(row(given_text)) == expected


@pytest.mark.parametrize(("given_text", "expected"), INLINE.values(), ids=INLINE)
def test_marked_reasoning_knows_where_it_stood(given_text: str, expected: str) -> None:
    (trace,) = read_traces(given_text).traces
    parts = expected.split("\n\n")
    for part, (start, place) in zip(parts, trace.origins, strict=True):
        assert trace.text[start:].startswith(part)
        assert given_text[place:].startswith(part)


@pytest.mark.parametrize(
    "whole",
    [
        "Plain reasoning, no marks at all.",
        "  kept as it is, \n so that offsets fit\n",
        "I could use <thinking> tags here. But no.",
        "They ask about `<think>` and '</think>'. Fine.",
        "An orphan </reasoning> closes nothing.",
        "The block (<think></think>) would be empty.",
        "Should I write <|channel|>final<|message|> now? Perhaps.",
        "The word analysis, then assistantfinal.",
        "analysis of the case: n is even.",
        "A lone surrogate \ud83d stays.",
    ],
)
def test_a_text_without_marks_is_taken_whole(whole: str) -> None:
    assert text(whole) == whole
    assert text({"trace": whole}) == whole
    assert text({"text": whole}) == whole
    with pytest.raises(NoReasoningError):
        read_traces(assistant(content=whole))


@pytest.mark.parametrize(
    "empty",
    [
        "<think>\n\n</think>\n\nThe answer is 4.",
        "\n</think>\n\nThe answer is 4.",
        "<think>",
        "<think>\u200b\n</think> The answer is 4.",
        "<thinking></thinking> The answer is 4.",
        "<|channel|>final<|message|>The answer is 4.<|return|>",
        "<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>The answer is 4.",
    ],
)
def test_an_empty_block_is_no_reasoning(empty: str) -> None:
    for row in (
        empty,
        {"trace": empty},
        {"completion": empty},
        {"response": empty},
        assistant(content=empty),
    ):
        with pytest.raises(NoReasoningError, match="no reasoning"):
            read_traces(row)


RENDERED = {
    "ChatML": "<|im_start|>user\nq <think>no</think><|im_end|>\n<|im_start|>assistant\n{}<|im_end|>\n",
    "Llama 3": "<|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
    "DeepSeek": "<｜begin▁of▁sentence｜>sys<｜User｜>q<｜Assistant｜>{}<｜end▁of▁sentence｜>",
    "Gemma": "<start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\n{}<end_of_turn>\n",
    "Phi": "<|user|>\nq\n<|assistant|>\n{}",
    "Mistral": "<s>[INST] q [/INST]{}</s>[INST] and? [/INST]",
}


@pytest.mark.parametrize("template", RENDERED.values(), ids=RENDERED)
def test_a_rendered_chat_is_read_turn_by_turn(template: str) -> None:
    assert text({"text": template.format("<think>a</think>b")}) == "a"
    assert text({"text": template.format("a</think>b")}) == "a"
    twice = template.format("<think>a</think>b") + template.format("<think>c</think>d")
    assert text({"text": twice}) == "a\n\nc"
    with pytest.raises(NoReasoningError):
        read_traces({"text": template.format("Only an answer.")})


def test_a_chat_that_ends_in_the_assistants_turn_is_read_to_the_end() -> None:
    assert text("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>cut off") == "cut off"


ADVERSARIAL = {
    "openers": "<think>" * 100_000,
    "closers": "</think>" * 100_000,
    "blocks": "<think>a</think>" * 60_000,
    "words": "<thinking>" * 100_000,
    "mixed": "<thinking><think></thinking>`<think>`" * 20_000,
    "angle brackets": "<" * 1_000_000,
    "pipes": "<|" * 500_000,
    "harmony": "<|channel|>analysis<|message|>" * 30_000,
    "harmony starts": "<|start|>" * 100_000 + "<|message|>",
    "turns": "<|im_start|>assistant\n<think>" * 30_000,
    "header": "<|start_header_id|>" + "a" * 900_000,
    "blank": "\u200b" * 300_000,
    "spaces": "<think>" + " " * 1_000_000,
    "plain": "One step after the other. " * 40_000,
}


@pytest.mark.parametrize("value", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_long_texts_are_read_quickly(value: str) -> None:
    started = time.process_time()
    for row in (value, {"trace": value}, assistant(content=value), {"text": value, "cot": value[:-1]}):
        read = outcome(row)
        assert not isinstance(read, RowError) or len(read.column_text) < 1000
    # Linear reading takes well under a second for all four; quadratic reading takes minutes.
    assert time.process_time() - started < 10
