"""Requests and answers, as OpenAPI shows them; requests are checked against them.

Items of `traces` are not constrained: each one that is wrong is an error of its own, not of the request.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from classifier.traces import SCHEMAS

_TRACE = (
    "Add the digits: 3 + 5 + 1 = 9. Or maybe multiply them? No, the rule is about the sum. So 3 divides it."
)

Rate = Annotated[float, Field(ge=0, le=1, strict=True)]
SchemaName = Annotated[
    StrictStr | None,
    Field(
        alias="schema",
        description="The schema of the rows; found by itself by default.",
        json_schema_extra={"enum": [*SCHEMAS, None]},
    ),
]
Column = Annotated[
    Annotated[StrictStr, Field(pattern=r"\S")] | None,
    Field(description="The column that holds the trace; found by itself by default."),
]
AsIs = Annotated[
    StrictBool,
    Field(description="Whether a text is the reasoning itself: no marks such as <think> are looked for."),
]


class ScoreOptions(BaseModel):
    """How traces are scored: members of the body, or query parameters."""

    model_config = ConfigDict(extra="forbid")

    steps: StrictBool = Field(False, description="Whether results list every step.")
    texts: StrictBool = Field(False, description="Whether results have the reasoning that was scored.")
    max_rate: Rate | None = Field(
        None, description="The highest branch rate to keep; results then say `keep`."
    )
    schema_name: SchemaName = None
    column: Column = None
    as_is: AsIs = False


class ScoreRequest(ScoreOptions):
    """Traces to score."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"traces": [_TRACE]},
                {
                    "traces": [
                        {"messages": [{"role": "assistant", "content": f"<think>{_TRACE}</think>Yes."}]},
                        {"problem": "Does 3 divide 351?", "trace": _TRACE},
                    ],
                    "steps": True,
                    "max_rate": 0.12,
                },
            ]
        }
    )

    traces: list[Any] = Field(description="Texts, or rows of any known schema.")


class FilterRequest(BaseModel):
    """Traces to choose from: by a highest rate, or by the fraction to keep."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {"required": ["max_rate"], "properties": {"max_rate": {"type": "number"}}},
                {"required": ["keep"], "properties": {"keep": {"type": "number"}}},
            ],
            "examples": [
                {"traces": [_TRACE, {"trace": _TRACE}], "max_rate": 0.12},
                {"traces": [_TRACE, _TRACE], "keep": 0.9, "on_error": "drop"},
            ],
        },
    )

    traces: list[Any] = Field(description="Texts, or rows of any known schema.")
    max_rate: Rate | None = Field(None, description="The highest branch rate to keep.")
    keep: Annotated[float, Field(gt=0, le=1, strict=True)] | None = Field(
        None, description="The fraction of the scored items to keep; give this or max_rate."
    )
    on_error: StrictStr = Field(
        "keep",
        description="What becomes of items that cannot be scored: keep or drop.",
        pattern="^(keep|drop)$",
    )
    schema_name: SchemaName = None
    column: Column = None
    as_is: AsIs = False


class Model(BaseModel):
    """What scored the traces."""

    name: str
    version: str
    sha256: str
    precision: str
    package_version: str
    threshold: float = Field(description="A step branches at this probability or above.")


class Step(BaseModel):
    """One step of a trace."""

    start: int = Field(description="Where it starts in the trace, in code points.")
    end: int
    probability: float = Field(description="Probability that it branches.")
    kind: str = Field(description="convergent, alternative, backtrack or restart.")
    kind_probabilities: dict[str, float]


class Score(BaseModel):
    """The score of one item."""

    branch_rate: float = Field(description="Mean probability over the steps that a step branches.")
    branch_count: int = Field(description="Steps that branch.")
    step_count: int
    kinds: dict[str, int] = Field(description="Branching steps by kind.")
    branch_rates: list[float] | None = Field(None, description="One a trace, if the item holds several.")
    keep: bool | None = Field(None, description="Whether the rate is at most max_rate, if one was given.")
    texts: list[str] | None = Field(None, description="The reasoning that was scored, one a trace.")
    steps: list[Step] | None = None


class ItemError(BaseModel):
    """Why one item has no score."""

    error: str
    error_type: str


class ScoreResponse(BaseModel):
    """One result an item, in order."""

    model: Model
    results: list[Score | ItemError]


class KeptItem(BaseModel):
    """An item that is kept, as it was given."""

    index: int = Field(description="Its number among the given ones, from 0.")
    trace: Any
    branch_rate: float | None
    branch_count: int | None
    step_count: int | None
    branch_error: str | None = None


class DroppedItem(BaseModel):
    """An item that is dropped, and why."""

    index: int
    reason: str
    branch_rate: float | None
    branch_count: int | None
    step_count: int | None
    branch_error: str | None = None


class FilterResponse(BaseModel):
    """What is kept and what is not."""

    model: Model
    max_rate: float | None = Field(description="The highest rate that was kept; null if no item has one.")
    kept: list[KeptItem]
    dropped: list[DroppedItem]


class Info(BaseModel):
    """What runs here."""

    model: Model
    languages: list[str]
    providers: list[str] = Field(description="ONNX Runtime's execution providers, the first one first.")
    device: str
    encoder: dict[str, Any]
    limits: dict[str, int | float]
    schemas: list[str] = Field(description="Names that may be given as schema.")
    version: str


class ErrorBody(BaseModel):
    """A request that ended in an error."""

    error: str = Field(description="What was given, what was expected, what to do.")
    error_type: str
    detail: Any = None
