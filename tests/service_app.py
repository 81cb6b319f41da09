"""Runs the service's application in the test's own process, with an encoder that the test controls."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from serving.app import create_app
from serving.endpoints import Endpoints
from serving.engine import Engine
from serving.limits import Limits
from serving.links import EncoderLink, LinkError, LocalLink
from serving.settings import Settings
from serving.window_encoder import FAILED, WindowEncoder

JSON = {"content-type": "application/json"}


class ControlledLink:
    """A debug encoder whose calls can be held, broken or failed, and are counted."""

    def __init__(self) -> None:
        self._link = LocalLink(WindowEncoder.open(Settings(encoder="debug")))
        self.open = asyncio.Event()
        self.open.set()
        self.broken = False
        self.breaks = 0
        self.lost = 0
        self.failing: set[str] = set()
        self.calls: list[list[str]] = []

    @property
    def windows(self) -> int:
        """Return how many windows were run."""
        return sum(len(call) for call in self.calls)

    async def encode(self, texts: Sequence[str]) -> list[str]:
        """Run windows, once the gate is open."""
        if self.breaks:
            self.breaks -= 1
            raise LinkError("the test broke the call")
        if self.broken:
            raise LinkError("the test broke the link")
        self.calls.append(list(texts))
        await self.open.wait()
        if self.lost:
            self.lost -= 1
            raise LinkError("the test lost the call")
        results = await self._link.encode(texts)
        return [
            FAILED if text in self.failing else result for text, result in zip(texts, results, strict=True)
        ]

    async def describe(self) -> dict[str, Any]:
        """Return what the encoder runs on."""
        if self.broken:
            raise LinkError("the test broke the link")
        return await self._link.describe()

    async def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class RunningApp:
    """An application that answers in this process."""

    client: httpx.AsyncClient
    app: FastAPI
    engine: Engine
    endpoints: Endpoints
    link: ControlledLink


@asynccontextmanager
async def running_app(limits: Limits | None = None, **settings: Any) -> AsyncIterator[RunningApp]:
    """Run the application.

    Parameters
    ----------
    limits, settings
        How the service runs; the encoder is a debug encoder.
    """
    link = ControlledLink()
    complete = Settings(encoder="debug", limits=limits or Limits(), **settings)
    endpoints = Endpoints(complete)
    app = create_app(endpoints)
    controlled: EncoderLink = link
    async with Engine(complete, controlled) as engine:
        endpoints.start(engine)
        await until(lambda: endpoints.ready)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=30) as client:
            yield RunningApp(client, app, engine, endpoints, link)


async def until(condition: Any, seconds: float = 20) -> None:
    """Wait until a condition holds, and fail if it does not come to hold."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def check_error(answer: httpx.Response, status: int, error_type: str) -> dict[str, Any]:
    """Check that an answer is an error of ours, and return its body."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body.keys() == {"error", "error_type", "detail"}
    assert body["error_type"] == error_type
    assert body["error"]
    return body


async def post(service: RunningApp, content: Any, **headers: str) -> httpx.Response:
    """Send a body to be scored."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.client.post("/v1/score", content=content, headers=JSON | named)


class Connection:
    """One HTTP request as the server passes it to an ASGI application, piece by piece.

    Parameters
    ----------
    app
        The application.
    path, headers
        Of the request.
    """

    def __init__(self, app: FastAPI, path: str, headers: dict[str, str]) -> None:
        path, _, query = path.partition("?")
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self._app = app
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.status: int | None = None
        self.body = b""
        self.finished = False
        self.task = asyncio.ensure_future(app(self._scope, self._incoming.get, self._send))

    def send(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the request's body."""
        self._incoming.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def disconnect(self) -> None:
        """Close the connection."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")
            self.finished = not message.get("more_body", False)
