"""Scores a stream of lines: `application/x-ndjson` in, one result a line out, as they come."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from classifier.errors import RowError, RowFormatError
from serving.admission import Admission
from serving.bodies import decompressed, parse_json, too_large, write_json
from serving.engine import Engine, Timing
from serving.errors import (
    BodyTooLargeError,
    ClientGoneError,
    MalformedBodyError,
    RequestTimeoutError,
    ServiceError,
)
from serving.items import ItemOptions, ItemScore, score_items
from serving.requests import with_keep
from serving.schemas import ScoreOptions

NDJSON: Final = "application/x-ndjson"
_CHUNK_LINES: Final = 256
_CHUNK_BYTES: Final = 1_000_000
_CHUNKS_AHEAD: Final = 2
"""Chunks under way at a time: one is encoded while the next one is tokenised."""


class StreamAbortedError(Exception):
    """A stream ended in an error after its answer had begun; the connection is closed to show it."""


class ScoreStream(Response):
    """The answer to a streaming request.

    Lines are read, scored and answered at the same time. The status is sent with the first results, so a
    request that is wrong from the start gets an error like any other. Later errors are a last line like the
    body of an error, after which the connection breaks off.

    Parameters
    ----------
    engine
        Scores the lines.
    admission
        Counts the request.
    request
        The request.
    options, items
        How lines are read and results shown.
    """

    def __init__(
        self,
        engine: Engine,
        admission: Admission,
        request: Request,
        options: ScoreOptions,
        items: ItemOptions,
    ) -> None:
        super().__init__(media_type=NDJSON)
        self._engine = engine
        self._admission = admission
        self._request = request
        self._options = options
        self._items = items
        self._lines = _LineQueue(engine.limits.max_body_bytes)
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self._admission.enter():
            await self._answer(send)

    async def _answer(self, send: Send) -> None:
        reader = asyncio.create_task(self._read())
        begun = False
        try:
            async for lines in self._results():
                if not begun:
                    begun = True
                    await send(self._start())
                await send({"type": "http.response.body", "body": lines, "more_body": True})
            if not begun:
                await send(self._start())
            await send({"type": "http.response.body", "body": b""})
        except ClientGoneError:
            return
        except ServiceError as error:
            if not begun:
                raise
            self._engine.metrics.refused(error.error_type)
            last = write_json(error.body()) + b"\n"
            await send({"type": "http.response.body", "body": last, "more_body": True})
            raise StreamAbortedError(error.error_type) from None
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    def _start(self) -> dict[str, object]:
        model = self._engine.scorer.model
        headers = [
            (b"content-type", NDJSON.encode()),
            (b"x-model-sha256", model.sha256.encode()),
            (b"x-model-precision", model.precision.encode()),
        ]
        return {"type": "http.response.start", "status": 200, "headers": headers}

    async def _results(self) -> AsyncIterator[bytes]:
        running: deque[asyncio.Task[bytes]] = deque()
        taking: asyncio.Task[list[bytes]] | None = asyncio.create_task(self._lines.take())
        try:
            while taking is not None or running:
                waited: list[asyncio.Task[Any]] = [*running][:1]
                if taking is not None and len(running) < _CHUNKS_AHEAD:
                    waited.append(taking)
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if taking is not None and taking in waited and taking.done():
                    lines = taking.result()
                    if lines:
                        running.append(asyncio.create_task(self._score(lines)))
                    taking = asyncio.create_task(self._lines.take()) if lines else None
                while running and running[0].done():
                    yield running.popleft().result()
        finally:
            left = [*running] if taking is None else [*running, taking]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _score(self, lines: list[bytes]) -> bytes:
        timing = Timing()
        return await self._engine.run_until(self._gone, lambda: self._score_lines(lines), timing)

    def _score_lines(self, lines: list[bytes]) -> bytes:
        items = [_parsed(line) for line in lines]
        outcomes: list[ItemScore | RowError] = score_items(self._engine.scorer, items, self._items)
        self._engine.metrics.traces(
            outcome if isinstance(outcome, RowError) else outcome.branch_rate for outcome in outcomes
        )
        return b"".join(write_json(with_keep(outcome, self._options)) + b"\n" for outcome in outcomes)

    async def _read(self) -> None:
        """Read lines until the body ends, then wait for the client to go."""
        try:
            await self._read_lines()
        except ServiceError as error:
            await self._lines.end(error)
            if isinstance(error, ClientGoneError):
                self._gone.set_result(None)
            return
        await self._lines.end()
        while (await self._request.receive())["type"] != "http.disconnect":
            continue
        self._gone.set_result(None)

    async def _read_lines(self) -> None:
        limits = self._engine.limits
        rest = bytearray()
        pieces = decompressed(self._request, limits.max_stream_bytes, _too_long).__aiter__()
        while True:
            try:
                async with asyncio.timeout(limits.request_timeout):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                break
            except TimeoutError as error:
                raise RequestTimeoutError(
                    f"nothing came from the client for {limits.request_timeout:g} seconds"
                ) from error
            *lines, last = piece.split(b"\n")
            if lines:
                lines[0] = bytes(rest) + lines[0]
                rest.clear()
                await self._lines.put(lines)
            rest += last
            if len(rest) > limits.max_body_bytes:
                raise too_large(limits.max_body_bytes)
        await self._lines.put([bytes(rest)])


@dataclass(slots=True)
class _LineQueue:
    """Lines that were read and are not yet scored, as many as memory should hold."""

    most_bytes: int
    _lines: deque[bytes] = field(default_factory=deque)
    _bytes: int = 0
    _error: ServiceError | None = None
    _ended: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def put(self, lines: Iterable[bytes]) -> None:
        """Add lines, when there is room; blank ones are passed over."""
        kept = [line for line in lines if line.strip()]
        async with self._changed:
            await self._changed.wait_for(lambda: self._bytes <= self.most_bytes)
            self._lines.extend(kept)
            self._bytes += sum(map(_size, kept))
            self._changed.notify_all()

    async def end(self, error: ServiceError | None = None) -> None:
        """Add no more; with an error, the lines that are there are given up."""
        async with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    async def take(self) -> list[bytes]:
        """Take some of the lines that are there; none only when the stream has ended."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._lines) or self._ended)
            if self._error is not None:
                raise self._error
            taken: list[bytes] = []
            size = 0
            while self._lines and len(taken) < _CHUNK_LINES and size < _CHUNK_BYTES:
                taken.append(self._lines.popleft())
                size += _size(taken[-1])
            self._bytes -= size
            self._changed.notify_all()
            return taken


def _size(line: bytes) -> int:
    return len(line) + 64  # what Python itself needs for a line


def _too_long(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"the stream has more than {limit:,} bytes (before or after decompression); send the rest in another",
        {"max_stream_bytes": limit},
    )


def _parsed(line: bytes) -> object:
    try:
        return parse_json(line, "the line")
    except MalformedBodyError as error:
        return RowFormatError(str(error))
