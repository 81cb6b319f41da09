"""Rows of every known schema to traces: which schema a row has, and where in it the reasoning stands.

Only reasoning is read: never the user's turn, never the final answer. The rules, schema by schema:

===================== ================================== ==================================================
schema                found by                           what is the trace
===================== ================================== ==================================================
string                the row is a text                  marked reasoning, else the whole text
text                  ``text``                           marked reasoning, else the whole text
trace                 ``trace``, ``reasoning``, ``cot``, marked reasoning, else the whole column
                      ``thinking``, and the names in
                      `REASONING_COLUMNS`
messages              ``messages``                       of the assistant's messages: ``reasoning_content``,
                                                         ``reasoning`` or ``thinking``, else marked reasoning
                                                         in the content; without either, no reasoning
sharegpt              ``conversations``                  the same, with from/value for role/content
prompt-completion     ``completion``                     a text: like ``text``; messages: like ``messages``
stepwise              ``completions``                    the steps, joined by line breaks
response              ``response``, ``output``           marked reasoning; without marks, no reasoning
multilingual-thinking ``analysis`` beside ``final``      the column
openthoughts          ``deepseek_reasoning``             the column (the subset with ``conversations`` is
                                                         found as sharegpt)
s1k                   ``thinking_trajectories``          the list's parts, joined by blank lines, as s1's own
                                                         training text joins them
s1k-1.1               ``deepseek_thinking_trajectory``,  the DeepSeek trajectory, on which s1.1 was trained;
                      ``gemini_thinking_trajectory``     where it is missing, Gemini's
openr1                ``generations``                    every item, as alternatives: like ``text``
limo                  ``solution``, if nothing else is   the column
                      there
inline                only when asked for                marked reasoning in any of the text columns
harmony               only when asked for                the same, of harmony's analysis channel only
===================== ================================== ==================================================

*Marked* reasoning is what stands between ``<think>`` tags and their kin, or in harmony's analysis channel
(`classifier.inline_reasoning`). Where marks are there and nothing stands between them, there is no
reasoning. A text that is taken whole is taken as it is, so that offsets into the trace are offsets into the
column.

The reasoning of a row with several assistant's turns is one trace: the turns' texts, joined by blank
lines. Only a list of alternative outputs gives several traces.

Columns that hold null count as missing, so that tables of mixed schemas work. A data set's own columns
(the last seven schemas by name) win over the general ones. If several general ones hold reasoning, and not
the same, the row is ambiguous; a ``text`` or ``completion`` that merely contains another column's
reasoning is its rendering, and the other column is read.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from classifier.column_paths import follow
from classifier.errors import (
    AmbiguousRowError,
    EmptyTraceError,
    NoReasoningError,
    OptionError,
    RowError,
    SchemaError,
    TraceTypeError,
)
from classifier.trace_readers import (
    Reader,
    Reading,
    Trace,
    describe,
    joined,
    plain,
    quoted,
    read_alternatives,
    read_any,
    read_completion,
    read_harmony,
    read_marked,
    read_messages,
    read_parts,
    read_reasoning,
    read_reasoning_or_messages,
    read_solution,
    read_steps,
    read_text,
)

__all__ = ["REASONING_COLUMNS", "SCHEMAS", "RowTraces", "Trace", "read_traces"]

REASONING_COLUMNS: Final = (
    "trace",
    "reasoning",
    "cot",
    "thinking",
    "reasoning_content",
    "reasoning_trace",
    "chain_of_thought",
    "Complex_CoT",
)
"""Columns that hold reasoning by their name."""

_OUTPUT_COLUMNS: Final = ("completion", "response", "output", "text")
_FLAGS: Final = frozenset({"on", "off", "yes", "no", "true", "false", "none", "low", "medium", "high"})


@dataclass(frozen=True, slots=True)
class RowTraces:
    """The traces of one row.

    Attributes
    ----------
    traces
        At least one trace.
    several
        Whether the schema holds a list of alternative traces, even if this row has only one.
    schema
        The name of the schema that the row was read by; ``"column"`` where only a column was given.
    """

    traces: tuple[Trace, ...]
    several: bool
    schema: str


@dataclass(frozen=True, slots=True)
class _Schema:
    name: str
    columns: tuple[str, ...]
    read: Reader
    # The first column that is there is read, and the others are not compared with it.
    first_only: bool = False
    # Columns that must be there as well.
    beside: tuple[str, ...] = ()


_DATASET_SCHEMAS: Final = (
    _Schema("openr1", ("generations",), read_alternatives),
    _Schema("s1k", ("thinking_trajectories",), read_parts),
    _Schema(
        "s1k-1.1",
        ("deepseek_thinking_trajectory", "gemini_thinking_trajectory"),
        read_parts,
        first_only=True,
    ),
    _Schema("openthoughts", ("deepseek_reasoning",), read_reasoning),
    _Schema("multilingual-thinking", ("analysis",), read_reasoning, beside=("final",)),
)
_GENERAL_SCHEMAS: Final = (
    _Schema("trace", REASONING_COLUMNS, read_reasoning),
    _Schema("messages", ("messages",), read_messages),
    _Schema("sharegpt", ("conversations",), read_messages),
    _Schema("stepwise", ("completions",), read_steps),
    _Schema("prompt-completion", ("completion",), read_completion),
    _Schema("response", ("response", "output"), read_marked),
    _Schema("text", ("text",), read_text),
)
_LAST_SCHEMA: Final = _Schema("limo", ("solution",), read_solution)
_STRING_SCHEMA: Final = _Schema("string", (), read_text)
_DETECTED: Final = (*_DATASET_SCHEMAS, *_GENERAL_SCHEMAS, _LAST_SCHEMA)
_BY_NAME: Final = {
    schema.name: schema
    for schema in (
        _STRING_SCHEMA,
        *_DETECTED,
        _Schema(
            "openthoughts",
            ("deepseek_reasoning", "conversations"),
            read_reasoning_or_messages,
            first_only=True,
        ),
        _Schema("multilingual-thinking", ("analysis",), read_reasoning),
        _Schema("inline", (*REASONING_COLUMNS, *_OUTPUT_COLUMNS), read_marked),
        _Schema("harmony", (*REASONING_COLUMNS, *_OUTPUT_COLUMNS), read_harmony),
    )
}
_BY_COLUMN: Final = {
    column: schema for schema in reversed(_DETECTED) if schema.name != "response" for column in schema.columns
}
# A plain text has no columns: these schemas read the text itself.
_TEXT_SCHEMAS: Final = frozenset({"string", "text", "trace", "inline", "harmony"})

SCHEMAS: Final = tuple(_BY_NAME)
"""Names that may be given as a schema."""


def read_traces(row: object, *, schema: str | None = None, column: str | None = None) -> RowTraces:
    """Read the chain of thought, or the alternative chains of thought, of one row.

    Parameters
    ----------
    row
        A text, or a mapping of column names to values as JSON, pyarrow, pandas or `datasets` give them.
    schema
        One of `SCHEMAS`; None finds the schema by the row's columns.
    column
        The column that holds the reasoning. It may be a path into nested values, as in
        ``info.think_content``, ``messages[-1].content`` or ``messages.reasoning_content`` (of a list of
        messages, the assistant's are looked at; of another list, every item).

    Returns
    -------
    RowTraces
        The traces, of which there is at least one, each with some visible character.

    Raises
    ------
    RowError
        If the row holds no trace, or it is not clear which of its columns is the trace.
    OptionError
        If there is no schema of that name, or the column is not a name.
    """
    if schema is not None and (not isinstance(schema, str) or schema not in _BY_NAME):
        near = difflib.get_close_matches(str(schema), SCHEMAS, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise OptionError(
            f"there is no schema {quoted(schema)}; expected one of {', '.join(SCHEMAS)}.{hint} "
            "Leave it out to have the schema found by the row's columns"
        )
    if column is not None and (not isinstance(column, str) or not column.strip()):
        raise OptionError(f"the column is {describe(column)}; expected a column's name, such as messages")
    row = plain(row)
    if isinstance(row, Mapping):
        return _read_mapping(row, None if schema is None else _BY_NAME[schema], column)
    if not isinstance(row, str):
        raise TraceTypeError(
            f"the row is {describe(row)}; expected a text, or an object with the columns of a known schema"
        )
    if column is not None or (schema is not None and schema not in _TEXT_SCHEMAS):
        wanted = f"column {quoted(column)}" if column is not None else f"the columns of schema {schema}"
        raise SchemaError(
            f"the row is a text and has no columns; expected an object with {wanted}. Leave out --column and "
            "--schema (column= and schema= in Python) to read the text itself"
        )
    chosen = _BY_NAME[schema or "string"]
    return _row_traces(chosen.read(row, "the text"), chosen.name)


def _read_mapping(row: Mapping[object, object], schema: _Schema | None, column: str | None) -> RowTraces:
    if column is not None:
        return _read_column(row, schema, column)
    if schema is None:
        return _detect(row)
    if not schema.columns:
        raise SchemaError(
            f"the row is {describe(row)}; schema {schema.name} expects a text. Leave out --schema, or name "
            "the column with --column (schema= and column= in Python)"
        )
    candidates = _candidates(row, [schema])
    if not candidates:
        raise _missing(row, schema.columns, f"schema {schema.name} expects")
    return _resolve(candidates)


def _detect(row: Mapping[object, object]) -> RowTraces:
    """Read a row by the columns that it has."""
    # A count in a column such as `generations`, or a flag such as `reasoning: "on"`, is not the trace if
    # something else can be.
    own = _candidates(row, _DATASET_SCHEMAS)
    general = _candidates(row, _GENERAL_SCHEMAS)
    candidates = (
        [candidate for candidate in own if isinstance(candidate.value, str | list)]
        or [candidate for candidate in general if not candidate.is_flag]
        or own
        or general
    )
    if candidates:
        return _resolve(candidates)
    missing = [
        name
        for schema in (*_DATASET_SCHEMAS, *_GENERAL_SCHEMAS)
        if all(name in row for name in schema.beside)
        for name in schema.columns
        if name in row
    ]
    last = _candidates(row, [_LAST_SCHEMA])
    if missing:
        names = ", ".join(missing)
        hint = "; if its solution is the chain of thought, give --column solution" if last else ""
        raise TraceTypeError(
            f"{names} {'are' if len(missing) > 1 else 'is'} null; expected the chain of thought. Drop the "
            f"row, or name another column with --column (column= in Python){hint}"
        )
    if not last:
        known = [schema.columns[0] for schema in _GENERAL_SCHEMAS]
        raise _missing(row, known, "no known schema fits; expected for example")
    return _resolve(last)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A column that could be the trace."""

    schema: _Schema
    column: str
    value: object

    @property
    def is_flag(self) -> bool:
        """Whether the value says how the row was made, as in `reasoning: "on"`."""
        value = self.value
        return self.schema.name == "trace" and (
            isinstance(value, bool) or (isinstance(value, str) and value[:8].strip().lower() in _FLAGS)
        )

    @property
    def is_output(self) -> bool:
        """Whether the column holds all that a model wrote, or a rendered chat."""
        return self.schema.name in ("prompt-completion", "response", "text")


def _candidates(row: Mapping[object, object], schemas: Iterable[_Schema]) -> list[_Candidate]:
    """Return the columns of the given schemas that are not null, in order of precedence."""
    candidates = []
    for schema in schemas:
        if all(name in row for name in schema.beside):
            found = [
                _Candidate(schema, name, value)
                for name in schema.columns
                if (value := plain(row.get(name))) is not None
            ]
            candidates.extend(found[:1] if schema.first_only else found)
    return candidates


def _resolve(candidates: list[_Candidate]) -> RowTraces:
    """Read the one candidate that holds reasoning, or raise the error that says why there is not one."""
    kept: list[tuple[_Candidate, Reading]] = []
    failures: list[tuple[_Candidate, RowError]] = []
    for candidate in candidates:
        try:
            reading = candidate.schema.read(candidate.value, candidate.column)
        except RowError as error:
            failures.append((candidate, error))
            continue
        if not any(_adds_nothing(candidate, reading, *other) for other in kept):
            kept.append((candidate, reading))
    ambiguous = next((error for _, error in failures if isinstance(error, AmbiguousRowError)), None)
    if ambiguous is not None:
        raise ambiguous
    # Where a column that should hold reasoning holds none, a text that nothing marks as reasoning is no
    # stand-in for it: it is as likely the problem or the answer.
    named = [error for candidate, error in failures if candidate.schema.name not in ("text", "response")]
    if not kept or (named and all(reading.unmarked for _, reading in kept)):
        raise named[0] if named else failures[0][1]
    if len(kept) > 1:
        shown = " or ".join(
            f"{candidate.column} ({len(reading.text)} characters)" for candidate, reading in kept
        )
        raise AmbiguousRowError(
            f"the trace could be {shown}, and they differ; expected one. Say which with --column, for "
            f"example --column {kept[0][0].column} (column= in Python)"
        )
    candidate, reading = kept[0]
    return _row_traces(reading, candidate.schema.name)


def _adds_nothing(candidate: _Candidate, reading: Reading, other: _Candidate, other_reading: Reading) -> bool:
    """Tell whether a candidate is only another form of, or the answer to, one of higher precedence."""
    text, other_text = reading.text, other_reading.text
    if text == other_text:
        return True
    if reading.unmarked and candidate.schema.name == "prompt-completion" and other.schema.name == "trace":
        return True
    # A rendered chat may hold more than the reasoning, and chat templates drop that of earlier turns.
    return candidate.is_output and (other_text in text if reading.unmarked else text in other_text)


def _row_traces(reading: Reading, schema: str) -> RowTraces:
    return RowTraces(reading.traces, reading.several, schema)


def _missing(row: Mapping[object, object], expected: Iterable[str], wanted: str) -> SchemaError:
    return SchemaError(
        f"{wanted} {', '.join(expected)}, which the row lacks or has as null. Its columns: "
        f"{_columns_of(row)}. Name the one that holds the reasoning with --column (column= in Python)"
    )


def _columns_of(row: Mapping[object, object]) -> str:
    names = ", ".join(quoted(name) for name in list(row)[:20])
    return (names or "none") + (f" and {len(row) - 20} more" if len(row) > 20 else "")


def _read_column(row: Mapping[object, object], schema: _Schema | None, column: str) -> RowTraces:
    found = follow(row, column)
    values = [(place, value) for place, value in found if value is not None]
    if not found:
        raise SchemaError(
            f"the row has no column {quoted(column)}; expected one of its columns ({_columns_of(row)}), or a "
            "path into one, such as messages[-1].content"
        )
    if not values:
        raise TraceTypeError(
            f"{quoted(column)} is null; expected the chain of thought. Drop the row, or name another column "
            "with --column (column= in Python)"
        )
    schema = schema or _BY_COLUMN.get(column)
    read, name = (schema.read, schema.name) if schema else (read_any, "column")
    if len(values) == 1:
        place, value = values[0]
        return _row_traces(read(value, place), name)
    readings = []
    failures: list[RowError] = []
    for place, value in values:
        try:
            readings.append(read(value, place))
        except (EmptyTraceError, NoReasoningError) as error:
            failures.append(error)
    if not readings:
        raise failures[0]
    traces = [trace for reading in readings for trace in reading.traces]
    return RowTraces((joined(traces),), several=False, schema=name)
