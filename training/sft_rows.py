"""Rows of known schemas as conversations to fine-tune on, and the traces in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from classifier.errors import InputFileError, OptionError, RowError
from classifier.files import find_inputs, read_batches
from classifier.traces import read_traces

Message = dict[str, str]

_PROBLEMS: Final = ("problem", "question", "prompt", "instruction")
_ANSWERS: Final = ("answer", "solution", "final_answer", "response", "output")


@dataclass(slots=True)
class SftRow:
    """One row to fine-tune on.

    Parameters
    ----------
    place
        The file and the line, for messages.
    row
        Its columns.
    prompt, completion
        The conversation up to the completion, and the completion.
    trace
        The chain of thought that is scored.
    """

    place: str
    row: dict[str, Any]
    prompt: list[Message]
    completion: list[Message]
    trace: str
    tokens: int = field(default=0)


def read_sft_rows(patterns: Sequence[str], completion: str) -> list[SftRow]:
    """Read rows to fine-tune on.

    Parameters
    ----------
    patterns
        Files, folders or patterns.
    completion
        What the model learns to write where a row has a trace and an answer.

    Raises
    ------
    InputFileError
        If a row cannot be read, or has no prompt or no trace; the message says which, before any training.
    OptionError
        If there is no row.
    """
    rows: list[SftRow] = []
    for source in find_inputs(list(patterns)):
        for batch in read_batches(source):
            for index, row in enumerate(batch.rows):
                place = batch.place(index)
                if not isinstance(row, dict):
                    raise InputFileError(f"{place}: {row}")
                rows.append(sft_row(row, place, completion))
    if not rows:
        raise OptionError(f"{', '.join(patterns)} hold no rows; give files of traces to fine-tune on")
    return rows


def sft_row(row: dict[str, Any], place: str, completion: str) -> SftRow:
    """Make a conversation of a row.

    Raises
    ------
    InputFileError
        If it has no prompt, no completion or no trace.
    """
    try:
        traces = read_traces(row).traces
    except RowError as error:
        raise InputFileError(f"{place}: {error}") from error
    if len(traces) > 1:
        raise InputFileError(
            f"{place}: the row holds {len(traces)} traces; give each a row of its own first "
            "(`branching score --explode`)"
        )
    trace = traces[0].text
    messages = row.get("messages")
    if isinstance(messages, list) and messages and messages[-1].get("role") == "assistant":
        return SftRow(place, row, list(messages[:-1]), [messages[-1]], trace)
    if "prompt" in row and "completion" in row:
        return SftRow(
            place, row, _messages(row["prompt"], "user"), _messages(row["completion"], "assistant"), trace
        )
    problem = next((row[name] for name in _PROBLEMS if isinstance(row.get(name), str)), None)
    if problem is None:
        raise InputFileError(
            f"{place}: there is no prompt for the trace; expected `messages` that end with the assistant's, "
            f"`prompt` and `completion`, or one of {', '.join(_PROBLEMS)} beside the trace; the row has "
            f"{', '.join(map(str, row))}"
        )
    answer = next((str(row[name]) for name in _ANSWERS if row.get(name) is not None), "")
    parts = {"{answer}": answer, "{trace}": trace}
    # In one pass, as an answer may hold \operatorname{trace}.
    text = re.sub("{answer}|{trace}", lambda match: parts[match[0]], completion).rstrip()
    return SftRow(place, row, _messages(problem, "user"), _messages(text, "assistant"), trace)


def _messages(value: Any, role: str) -> list[Message]:
    return [{"role": role, "content": value}] if isinstance(value, str) else list(value)
