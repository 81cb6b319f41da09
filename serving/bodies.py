"""Reads request bodies: in bounded memory, decompressed, as JSON that any trace survives."""

import json
import math
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Protocol

import zstandard
from starlette.requests import ClientDisconnect, Request

from serving.errors import BodyTooLargeError, ClientGoneError, MalformedBodyError, UnsupportedBodyError
from serving.limits import Limits

_CHUNK: Final = 1 << 18
_ZSTD_INPUT: Final = 1 << 8
_ZSTD_WINDOW: Final = 1 << 27
"""The largest window that `zstd --ultra` writes; a larger one is an attack on memory."""
_PARTS: Final = 4096
_PART_BYTES: Final = 256
"""So many gzip members or zstd frames may be tiny; the others hold as much as this on average: reading one
costs time even where it is empty."""
_DISCARDED: Final = 256_000_000
"""Of a body that is refused so much is read and thrown away, so that its sender gets to read the answer."""


class Decompressor(Protocol):
    """Takes compressed bytes piece by piece."""

    parts: int
    """How many gzip members or zstd frames were begun."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield pieces of bounded size, each decompressed when it is asked for; raises MalformedBodyError."""

    def finish(self) -> None:
        """Check that nothing is missing; raises MalformedBodyError."""


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read and decompress a body.

    Parameters
    ----------
    request
        The request; its `Content-Encoding` may be gzip or zstd.
    limits
        The largest body.

    Raises
    ------
    BodyTooLargeError
        If it is larger than the limit, before or after decompression.
    MalformedBodyError
        If it cannot be decompressed.
    UnsupportedBodyError
        If its encoding is not known.
    """
    limit = limits.max_body_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large(limit)
    body = bytearray()
    async for piece in decompressed(request, limit, too_large):
        body += piece
    return bytes(body)


async def decompressed(
    request: Request, limit: int, refused: Callable[[int], BodyTooLargeError]
) -> AsyncIterator[bytes]:
    """Yield the body's bytes as they come, decompressed, in pieces of bounded size, none of them empty.

    Parameters
    ----------
    request
        The request.
    limit
        The most bytes, as they come and also decompressed.
    refused
        Makes the error for more.

    Raises
    ------
    BodyTooLargeError
        If there are more bytes.
    MalformedBodyError
        If the body cannot be decompressed, or consists of too many parts.
    """
    decompressor = _decompressor(request)
    came = given = 0
    try:
        async for data in request.stream():
            came += len(data)
            if came > limit:
                raise refused(limit)
            for piece in (data,) if decompressor is None else decompressor.feed(data):
                given += len(piece)
                if given > limit:
                    raise refused(limit)
                if decompressor is not None and decompressor.parts > _PARTS + given // _PART_BYTES:
                    raise MalformedBodyError(
                        f"the body has more than {_PARTS:,} compressed parts (gzip members or zstd frames) "
                        "that hold next to nothing; compress it in one"
                    )
                if piece:
                    yield piece
    except ClientDisconnect as error:
        raise ClientGoneError("the client closed the connection before its body was read") from error
    if decompressor is not None:
        decompressor.finish()


async def discard(request: Request) -> None:
    """Read and throw away the rest of a body that is refused, up to a bound."""
    discarded = 0
    try:
        async for data in request.stream():
            discarded += len(data)
            if discarded > _DISCARDED:
                return
    except (ClientDisconnect, RuntimeError):
        return


def parse_json(body: bytes | str, what: str = "the body") -> Any:
    """Parse JSON strictly, but with lone surrogates as they come.

    Parameters
    ----------
    body
        The text.
    what
        What it is, for the message.

    Raises
    ------
    MalformedBodyError
        If it is not JSON.
    """
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise MalformedBodyError(
            f"{what} is not UTF-8 (byte {error.start} is {error.object[error.start]:#04x}); expected JSON in "
            "UTF-8"
        ) from error
    except ValueError as error:
        raise MalformedBodyError(f"{what} is not JSON: {error}") from error
    except RecursionError as error:
        raise MalformedBodyError(f"{what} is nested too deeply to be a row") from error


def write_json(value: Any) -> bytes:
    """Write JSON in ASCII, which lone surrogates survive."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def too_large(limit: int) -> BodyTooLargeError:
    """Return the error for a body that is larger than a limit."""
    return BodyTooLargeError(
        f"the body has more than {limit:,} bytes (before or after decompression); send fewer traces in a "
        "request, or stream them as application/x-ndjson",
        {"max_body_bytes": limit},
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    # It would be infinite, which no JSON can be written of.
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large for a JSON number")
    return number


def _decompressor(request: Request) -> Decompressor | None:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return None
    makers: dict[str, Callable[[], Decompressor]] = {"gzip": _Gzip, "x-gzip": _Gzip, "zstd": _Zstd}
    if encoding not in makers:
        raise UnsupportedBodyError(
            f"content encoding {encoding[:40]!r} is not known; expected gzip or zstd, or none"
        )
    return makers[encoding]()


class _Gzip:
    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(wbits=31)
        self._empty = True
        self.parts = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._empty = False
            if self._decompressor.eof:  # another member follows
                self._decompressor = zlib.decompressobj(wbits=31)
                self.parts += 1
            try:
                piece = self._decompressor.decompress(data, _CHUNK)
            except zlib.error as error:
                raise MalformedBodyError(f"the body is not gzip: {error}") from error
            data = self._decompressor.unconsumed_tail or self._decompressor.unused_data
            yield piece

    def finish(self) -> None:
        if not self._empty and not self._decompressor.eof:
            raise MalformedBodyError("the gzip body is cut off; send all of it")


class _Zstd:
    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self._empty = True
        self.parts = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        # zstandard returns all that its input holds: little input at a time keeps that in bounds.
        for start in range(0, len(data), _ZSTD_INPUT):
            yield from self._decompress(data[start : start + _ZSTD_INPUT])

    def _decompress(self, data: bytes) -> Iterator[bytes]:
        self._empty = False
        while data:
            if self._decompressor.eof:  # another frame follows
                self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
                self.parts += 1
            try:
                yield self._decompressor.decompress(data)
            except zstandard.ZstdError as error:
                raise MalformedBodyError(f"the body is not zstd: {error}") from error
            data = self._decompressor.unused_data

    def finish(self) -> None:
        if not self._empty and not self._decompressor.eof:
            raise MalformedBodyError("the zstd body is cut off; send all of it")
