"""Compressed bodies: whatever a body unpacks to, reading it takes little memory and little time."""

import gzip
import json
import struct
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
import zstandard

from serving.limits import Limits
from tests.example_traces import BRANCHING
from tests.service_app import RunningApp, check_error, post, running_app

pytestmark = pytest.mark.anyio

BODY = json.dumps({"traces": [BRANCHING]}).encode()


@pytest.fixture
async def service() -> AsyncIterator[RunningApp]:
    async with running_app(Limits(max_body_bytes=100_000)) as app:
        yield app


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


async def test_compressed_bodies(service: RunningApp) -> None:
    plain = await post(service, BODY)
    for encoding, content in (
        ("gzip", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:40]) + gzip.compress(BODY[40:])),
        ("zstd", zstd(BODY)),
        ("zstd", zstd(BODY[:40]) + zstd(BODY[40:])),
        ("identity", BODY),
    ):
        answer = await post(service, content, content_encoding=encoding)
        assert answer.json() == plain.json()


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", b"not gzip"),
        ("gzip", gzip.compress(BODY)[:-9]),
        ("gzip", gzip.compress(BODY) + b"rest"),
        ("zstd", b"not zstd"),
        ("zstd", zstd(BODY)[:-9]),
    ],
)
async def test_bodies_that_cannot_be_decompressed(service: RunningApp, encoding: str, content: bytes) -> None:
    check_error(await post(service, content, content_encoding=encoding), 400, "malformed_body")


@pytest.mark.parametrize(
    ("encoding", "compress", "most_memory"), [("gzip", gzip.compress, 4_000_000), ("zstd", zstd, 40_000_000)]
)
async def test_decompression_stops_at_the_limit(
    service: RunningApp, encoding: str, compress: Any, most_memory: int
) -> None:
    bomb = compress(b" " * 300_000_000)[:90_000]
    tracemalloc.start()
    try:
        check_error(await post(service, bomb, content_encoding=encoding), 413, "body_too_large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most_memory


def skipped(size: int) -> bytes:
    """Return a zstd frame that says of itself that it is to be passed over."""
    return struct.pack("<II", 0x184D2A50, size) + bytes(size)


@pytest.mark.parametrize(
    ("encoding", "part"),
    [("gzip", gzip.compress(b"")), ("zstd", zstd(b"")), ("zstd", skipped(1)), ("zstd", zstd(b" "))],
)
async def test_compressed_parts_that_hold_nothing(service: RunningApp, encoding: str, part: bytes) -> None:
    answer = await post(service, part * 4200, content_encoding=encoding)
    assert "hold next to nothing" in check_error(answer, 400, "malformed_body")["error"]


async def test_compressed_body_that_is_too_large_before_decompression(service: RunningApp) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield skipped(10_000)

    check_error(await post(service, pieces(), content_encoding="zstd"), 413, "body_too_large")


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
async def test_many_compressed_parts_that_hold_something(service: RunningApp, compress: Any) -> None:
    encoding = "zstd" if compress is zstd else "gzip"
    content = compress(BODY) + compress(b" ") * 1000
    assert (await post(service, content, content_encoding=encoding)).status_code == 200
