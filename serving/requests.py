"""What each endpoint does with its body, in a thread: parse, check, score, write the answer."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from classifier.errors import OptionError, RowError
from classifier.selection import BranchFilter
from classifier.traces import read_traces
from serving.bodies import parse_json, write_json
from serving.engine import Engine
from serving.errors import InvalidRequestError
from serving.items import ItemOptions, ItemScore, check_count, result_of, score_items
from serving.schemas import FilterRequest, ScoreOptions, ScoreRequest

Model = TypeVar("Model", bound=BaseModel)


def score_body(engine: Engine, body: bytes, options_given: Mapping[str, Any]) -> bytes:
    """Answer `POST /v1/score`.

    Parameters
    ----------
    engine
        Scores the traces.
    body
        The request, JSON.
    options_given
        The query's options, which hold where the body has none.

    Raises
    ------
    ServiceError
        If the body is not JSON or not of the request's shape.
    """
    given = parse_json(body)
    checked(ScoreOptions, options_given)
    request = checked(ScoreRequest, {**options_given, **given} if isinstance(given, dict) else given)
    outcomes = _scored(request, engine)
    results = [with_keep(outcome, request) for outcome in outcomes]
    return write_json({"model": engine.model, "results": results})


def filter_body(engine: Engine, body: bytes) -> bytes:
    """Answer `POST /v1/filter`; see `score_body`.

    Raises
    ------
    ServiceError
        If the body is not JSON or not of the request's shape.
    """
    request = checked(FilterRequest, parse_json(body))
    if (request.max_rate is None) == (request.keep is None):
        raise InvalidRequestError("give either max_rate or keep")
    outcomes = _scored(request, engine)
    rows = [_columns(outcome) for outcome in outcomes]
    row_filter: BranchFilter | None = None
    if request.max_rate is not None:
        row_filter = BranchFilter(request.max_rate, on_error=request.on_error)
    elif request.keep is not None and any(row["branch_rate"] is not None for row in rows):
        row_filter = BranchFilter.fit(rows, request.keep, on_error=request.on_error)
    kept: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    for index, (item, row) in enumerate(zip(request.traces, rows, strict=True)):
        keeps = row_filter(row) if row_filter is not None else request.on_error == "keep"
        if keeps:
            kept.append({"index": index, "trace": item, **row})
        else:
            dropped.append({"index": index, "reason": _reason(row, row_filter), **row})
    max_rate = None if row_filter is None else row_filter.max_rate
    try:
        return write_json({"model": engine.model, "max_rate": max_rate, "kept": kept, "dropped": dropped})
    except RecursionError as error:
        # What could just be read stands a little deeper in the answer.
        raise InvalidRequestError(
            "a row is nested too deeply to be given back; leave out the column that is, or flatten it"
        ) from error


def checked(kind: type[Model], value: Any) -> Model:
    """Check a parsed body or parsed options against their model.

    Raises
    ------
    InvalidRequestError
        If they do not fit; its detail lists where.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problems = [
            {"place": ".".join(str(part) for part in one["loc"]), "problem": one["msg"]}
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        shown = "; ".join(f"{one['place'] or 'the body'}: {one['problem']}" for one in problems[:3])
        raise InvalidRequestError(
            f"the request does not have the expected shape ({shown}); expected for example "
            '{"traces": ["…"], "steps": false, "max_rate": 0.12}',
            problems,
        ) from error


def item_options(request: ScoreOptions | FilterRequest, engine: Engine) -> ItemOptions:
    """Return how the items of a request are read.

    Raises
    ------
    InvalidRequestError
        If there is no such schema.
    """
    try:
        with suppress(RowError):
            read_traces({}, schema=request.schema_name, column=request.column)
    except OptionError as error:
        raise InvalidRequestError(str(error).encode("ascii", "backslashreplace").decode()) from error
    return ItemOptions(
        schema=request.schema_name,
        column=request.column,
        as_is=request.as_is,
        steps=isinstance(request, ScoreOptions) and request.steps,
        max_characters=engine.limits.max_trace_characters,
        max_traces=engine.limits.max_items,
    )


def with_keep(outcome: ItemScore | RowError, options: ScoreOptions) -> dict[str, Any]:
    """Return an item's result, with `keep` if a highest rate was given."""
    result = result_of(outcome, steps=options.steps, texts=options.texts)
    if options.max_rate is not None and isinstance(outcome, ItemScore):
        result["keep"] = BranchFilter(options.max_rate)(result)
    return result


def _scored(request: ScoreRequest | FilterRequest, engine: Engine) -> list[ItemScore | RowError]:
    most = engine.limits.max_items
    # Before any is read; the traces inside rows are counted once they are.
    check_count(len(request.traces), most)
    outcomes = score_items(engine.scorer, request.traces, item_options(request, engine), most)
    engine.metrics.traces(_rates(outcomes))
    return outcomes


def _columns(outcome: ItemScore | RowError) -> dict[str, Any]:
    if isinstance(outcome, RowError):
        return {
            "branch_rate": None,
            "branch_count": None,
            "step_count": None,
            "branch_error": outcome.column_text,
        }
    return {
        "branch_rate": outcome.branch_rate,
        "branch_count": sum(score.branch_count for score in outcome.scores),
        "step_count": sum(score.step_count for score in outcome.scores),
        "branch_error": None,
    }


def _reason(row: Mapping[str, Any], row_filter: BranchFilter | None) -> str:
    if row["branch_rate"] is None or row_filter is None:
        return f"it has no score ({row['branch_error']})"
    return f"its branch rate {row['branch_rate']:.4f} is above {row_filter.max_rate:.4f}"


def _rates(outcomes: list[ItemScore | RowError]) -> list[float | RowError]:
    return [outcome if isinstance(outcome, RowError) else outcome.branch_rate for outcome in outcomes]
