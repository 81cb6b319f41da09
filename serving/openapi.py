"""The OpenAPI document: what FastAPI cannot know of bodies that the service reads itself."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving import errors
from serving.parquet_rows import PARQUET
from serving.schemas import ErrorBody, FilterRequest, ScoreOptions, ScoreRequest
from serving.stream import NDJSON

_REFERENCE: Final = "#/components/schemas/{model}"
_POST_ERRORS: Final = (
    errors.MalformedBodyError,
    errors.BodyTooLargeError,
    errors.UnsupportedBodyError,
    errors.InvalidRequestError,
    errors.OverloadedError,
    errors.EncoderFailedError,
    errors.UnavailableError,
    errors.RequestTimeoutError,
)
_LINES: Final = '"So x = 4. No, wait: I forgot the minus sign."\n{"trace": "Add both. The sum is 12."}\n'


def describe(app: FastAPI, keys_required: bool) -> None:
    """Give an application its OpenAPI document.

    Parameters
    ----------
    app
        The application, with all of its routes.
    keys_required
        Whether requests need an API key.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, keys_required)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI, keys_required: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components = document["components"]["schemas"]
    kinds: list[type[BaseModel]] = [ScoreRequest, FilterRequest, ErrorBody]
    _, definitions = models_json_schema([(kind, "validation") for kind in kinds], ref_template=_REFERENCE)
    components.update(definitions["$defs"])
    paths = document["paths"]
    paths["/v1/score"]["post"] |= {
        "requestBody": _body("ScoreRequest", stream=True),
        "parameters": _stream_parameters(),
    }
    paths["/v1/score"]["post"]["responses"]["200"]["content"][NDJSON] = {
        "schema": {"type": "string"},
        "example": '{"branch_rate":0.31,"branch_count":1,"step_count":2,'
        '"kinds":{"alternative":0,"backtrack":1,"restart":0}}\n',
    }
    paths["/v1/filter"]["post"]["requestBody"] = _body("FilterRequest")
    paths["/v1/rows"]["post"]["requestBody"] = {
        "required": True,
        "content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}},
    }
    paths["/v1/rows"]["post"]["responses"]["200"] = {
        "description": "The rows.",
        "content": {
            NDJSON: {"schema": {"type": "string"}, "example": '{"trace":"Add both. The sum is 12."}\n'}
        },
    }
    for path in ("/v1/score", "/v1/filter", "/v1/rows"):
        for error in _POST_ERRORS:
            paths[path]["post"]["responses"][str(error.status)] = _error(error)
    paths["/v1/info"]["get"]["responses"][str(errors.UnavailableError.status)] = _error(
        errors.UnavailableError
    )
    if keys_required:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        posts = [(path, "post") for path in ("/v1/score", "/v1/filter", "/v1/rows")]
        for path, method in (*posts, ("/v1/info", "get")):
            paths[path][method]["security"] = [{"key": []}]
            paths[path][method]["responses"][str(errors.ApiKeyError.status)] = _error(errors.ApiKeyError)
    for path, summary in (
        ("/livez", "Whether the process lives."),
        ("/readyz", "Whether requests would be answered now."),
        ("/metrics", "Metrics in Prometheus's text format."),
    ):
        answer = {"description": "Yes.", "content": {"text/plain": {"schema": {"type": "string"}}}}
        no = {"description": "No.", "content": {"text/plain": {"schema": {"type": "string"}}}}
        responses = {"200": answer} if path == "/metrics" else {"200": answer, "503": no}
        paths[path] = {"get": {"summary": summary, "responses": responses}}
    return document


def _body(model: str, *, stream: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model)}}}
    if stream:
        content[NDJSON] = {
            "schema": {"description": "On each line a text or a row in JSON."},
            "example": _LINES,
        }
    return {"required": True, "content": content}


def _stream_parameters() -> list[dict[str, Any]]:
    properties = ScoreOptions.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": f"{schema.get('description', '')} A member of a JSON body wins over it.",
            "schema": {key: value for key, value in schema.items() if key not in ("title", "description")},
        }
        for name, schema in properties.items()
    ]


def _error(error: type[errors.ServiceError]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": (error.__doc__ or "").splitlines()[0],
        "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(model="ErrorBody")}}},
    }
    if "Retry-After" in error.headers:
        answer["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    return answer
