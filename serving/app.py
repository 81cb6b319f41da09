"""The HTTP interface: a FastAPI application that BentoML mounts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.routing import Match

from classifier.traces import SCHEMAS
from classifier.version import __version__
from serving.bodies import discard, read_body, write_json
from serving.endpoints import Endpoints
from serving.engine import Engine, Timing
from serving.errors import (
    BodyTooLargeError,
    DrainingError,
    InvalidRequestError,
    OverloadedError,
    RequestTimeoutError,
    ServiceError,
    UnsupportedBodyError,
)
from serving.openapi import describe
from serving.parquet_rows import PARQUET, rows_body
from serving.requests import checked, filter_body, item_options, score_body
from serving.schemas import FilterResponse, Info, ScoreOptions, ScoreResponse
from serving.stream import NDJSON, ScoreStream
from serving.web_page import INDEX, PAGE_PATH, PageFiles
from serving.window_encoder import device_of

logger = logging.getLogger(__name__)

JSON: Final = "application/json"
_DISCARD_SECONDS: Final = 10.0
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
_SYSTEM_PATHS: Final = ("/livez", "/healthz", "/readyz", "/metrics")
"""What BentoML answers itself, to GET and HEAD."""


def create_app(endpoints: Endpoints) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    endpoints
        What the endpoints need.
    """
    app = FastAPI(
        title="Branching classifier",
        version=__version__,
        description="Scores chain-of-thought traces by how much they branch.",
        docs_url=None,
        redoc_url=None,
    )

    def check_key(request: Request) -> None:
        endpoints.keys.check(request.headers.get("authorization"))

    keyed = [Depends(check_key)]

    @app.post("/v1/score", response_model=ScoreResponse, dependencies=keyed)
    async def score(request: Request) -> Any:
        """Score traces: one result a trace, in order; one that cannot be scored gives its own error."""
        if _content_type(request) == NDJSON:
            return await _stream(endpoints, request)
        work = partial(score_body, options_given=_query_options(request))
        return await _answer(endpoints, request, work)

    @app.post("/v1/filter", response_model=FilterResponse, dependencies=keyed)
    async def filter_traces(request: Request) -> Any:
        """Choose the traces that branch least: the kept ones come back as they were given."""
        return await _answer(endpoints, request, filter_body)

    @app.post("/v1/rows", dependencies=keyed, response_class=Response)
    async def rows(request: Request) -> Any:
        """Read a Parquet file: each row comes back as a line of JSON, in order."""
        return await _answer(endpoints, request, rows_body, takes=(PARQUET,), gives=NDJSON)

    @app.get("/v1/info", response_model=Info, dependencies=keyed)
    async def info() -> Any:
        """Say what runs here: model, device, limits and versions."""
        engine, _ = endpoints.running()
        description = engine.gateway.description or {}
        providers = description.get("providers", [])
        return {
            "model": engine.model,
            "languages": engine.scorer.card.get("languages", []),
            "providers": providers,
            # Where it runs, which need not be where it was meant to: `auto` falls back to the CPU.
            "device": device_of(providers) or endpoints.settings.resolved_device,
            "encoder": {key: value for key, value in description.items() if key != "providers"},
            "limits": engine.limits.to_dict(),
            "schemas": list(SCHEMAS),
            "version": __version__,
        }

    page = PageFiles()

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index(request: Request) -> Any:
        """Show the page for people."""
        return await page.get_response(INDEX, request.scope)

    app.mount(PAGE_PATH, page)

    @app.api_route("/{path:path}", methods=_METHODS, include_in_schema=False)
    async def nowhere(request: Request) -> Any:
        """Answer what no other route does."""
        allowed = _methods_elsewhere(app, request)
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
        raise HTTPException(404)

    app.add_exception_handler(ServiceError, _service_error(endpoints))
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    if endpoints.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=endpoints.settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Content-Encoding"],
        )
    describe(app, endpoints.keys.required)
    return app


async def _answer(
    endpoints: Endpoints,
    request: Request,
    work: Callable[[Engine, bytes], bytes],
    *,
    takes: Sequence[str] = (JSON, ""),
    gives: str = JSON,
) -> Response:
    engine, admission = endpoints.running()
    timing = Timing()
    try:
        content_type = _content_type(request)
        if content_type not in takes:
            raise UnsupportedBodyError(f"the content type is {content_type[:80]!r}; expected {takes[0]}")
        with admission.enter():
            body = await _read_in_time(request, engine)
            answer = await engine.run(request, partial(work, engine, body), timing)
    except (BodyTooLargeError, DrainingError, OverloadedError, UnsupportedBodyError):
        await _discard(request)
        raise
    return Response(answer, media_type=gives, headers={"Server-Timing": timing.header()})


async def _stream(endpoints: Endpoints, request: Request) -> ScoreStream:
    engine, admission = endpoints.running()
    options = checked(ScoreOptions, _query_options(request))
    return ScoreStream(engine, admission, request, options, item_options(options, engine))


async def _read_in_time(request: Request, engine: Engine) -> bytes:
    seconds = engine.limits.request_timeout
    try:
        async with asyncio.timeout(seconds):
            return await read_body(request, engine.limits)
    except TimeoutError as error:
        raise RequestTimeoutError(f"the body did not arrive within {seconds:g} seconds") from error


async def _discard(request: Request) -> None:
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            await discard(request)
    except TimeoutError:
        logger.debug("A refused body did not end in time")


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _query_options(request: Request) -> dict[str, Any]:
    options: dict[str, Any] = dict(request.query_params)
    flags = {"true": True, "1": True, "false": False, "0": False}
    for name in ("steps", "texts", "as_is"):
        if name in options:
            options[name] = flags.get(options[name].lower(), options[name])
    if "max_rate" in options:
        try:
            options["max_rate"] = float(options["max_rate"])
        except ValueError as error:
            raise InvalidRequestError(
                f"max_rate is {options['max_rate'][:40]!a}; expected a number between 0 and 1"
            ) from error
    return options


def _methods_elsewhere(app: FastAPI, request: Request) -> set[str]:
    """Return the methods that the path of a request has, if another one was used."""
    if request.url.path in _SYSTEM_PATHS:
        return {"GET", "HEAD"}
    methods: set[str] = set()
    for route in app.routes:
        if route.matches(request.scope)[0] == Match.PARTIAL:
            methods |= set(getattr(route, "methods", ()))
    return methods


def _service_error(endpoints: Endpoints) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        if not isinstance(error, ServiceError):
            raise error
        if endpoints.engine is not None:
            endpoints.engine.metrics.refused(error.error_type)
        return Response(
            write_json(error.body()), status_code=error.status, headers=error.headers, media_type=JSON
        )

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    known = {404: "not_found", 405: "method_not_allowed"}
    messages = {
        404: f"there is nothing at {request.url.path[:100]!a}; GET /openapi.json lists what there is",
        405: f"{request.method[:20]!a} is not a method of this path",
    }
    body = {
        "error": messages.get(error.status_code, str(error.detail)),
        "error_type": known.get(error.status_code, "http"),
        "detail": None,
    }
    return Response(write_json(body), status_code=error.status_code, headers=error.headers, media_type=JSON)


async def _unexpected(_: Request, error: Exception) -> Response:
    body = {
        "error": "the service failed on this request; its log says why",
        "error_type": "internal",
        "detail": type(error).__name__,
    }
    return Response(write_json(body), status_code=500, media_type=JSON)
