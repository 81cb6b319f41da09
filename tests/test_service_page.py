"""The files of the page: where they are served, and with which headers; and the rows of Parquet files."""

import asyncio
import io
import json
import re
import subprocess
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier.report.palette import css_variables
from serving.limits import Limits
from serving.parquet_reader import Outcome
from serving.web_page import PAGE_FOLDER
from tests.service_app import RunningApp, check_error, running_app, until

pytestmark = pytest.mark.anyio

PARQUET = {"content-type": "application/vnd.apache.parquet"}


@pytest.fixture
async def service() -> AsyncIterator[RunningApp]:
    async with running_app(Limits(max_body_bytes=100_000, max_items=50)) as app:
        yield app


async def test_page_is_served_with_a_strict_policy(service: RunningApp) -> None:
    answer = await service.client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await service.client.head("/")).status_code == 200
    again = await service.client.get("/", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["content-security-policy"] == answer.headers["content-security-policy"]


async def test_every_file_is_served_and_named(service: RunningApp) -> None:
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
    files = sorted(PAGE_FOLDER.iterdir())
    assert {"index.html", "main.js", "style.css", "icon.svg"} <= {file.name for file in files}
    for file in files:
        answer = await service.client.get(f"/page/{file.name}")
        assert answer.content == file.read_bytes()
        assert answer.headers["content-type"].startswith(types[file.suffix])
        assert answer.headers["content-security-policy"]
    for missing in ("/page/nothing.js", "/page/", "/page/../app.py", "/page/%2e%2e/app.py"):
        assert (await service.client.get(missing)).status_code == 404
    wrong = await service.client.post("/page/main.js")
    check_error(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET, HEAD"


def test_nothing_is_inline_or_from_elsewhere() -> None:
    page = (PAGE_FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\s(style|on[a-z]+)=|<style", page)
    assert all('src="page/' in tag for tag in re.findall("<script[^>]*>", page))
    for file in PAGE_FOLDER.iterdir():
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"https?://[^\s\"']+", text) in ([], ["http://www.w3.org/2000/svg"])
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


async def test_rows_of_parquet(service: RunningApp) -> None:
    table = pa.table(
        {
            "id": [1, 2, None],
            "trace": ["So x = 4.", "Über 😀 \u2028 line", None],
            "chat": [[{"role": "user"}], [], None],
            "bytes": [b"text", b"\xff\x00", b""],
            "day": pa.array([0, 1, 2], pa.date32()),
        }
    )
    answer = await service.client.post("/v1/rows", content=parquet(table), headers=PARQUET)
    assert answer.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in answer.content.decode().split("\n")[:-1]]
    assert [list(row) for row in rows] == [table.column_names] * 3
    assert [row["trace"] for row in rows] == table["trace"].to_pylist()
    assert rows[0]["chat"] == [{"role": "user"}]
    assert rows[1]["day"] == "1970-01-02"
    empty = await service.client.post("/v1/rows", content=parquet(table.slice(0, 0)), headers=PARQUET)
    assert (empty.status_code, empty.content) == (200, b"")


@pytest.mark.parametrize(
    ("content", "status", "error_type", "message"),
    [
        (b"", 400, "malformed_body", "is no Parquet file"),
        (b"PAR1" + b"\x00" * 60 + b"PAR1", 400, "malformed_body", "is no Parquet file"),
        (parquet(pa.table({"a": ["x" * 900] * 50}))[:-30], 400, "malformed_body", "is no Parquet file"),
        (parquet(pa.table({"a": range(51)})), 422, "invalid_request", "has 51 rows"),
        (parquet(pa.table({"a": ["x" * 9000] * 50})), 413, "body_too_large", "as JSON"),
        (b"x" * 100_001, 413, "body_too_large", "100,000 bytes"),
    ],
    ids=["empty", "no metadata", "cut off", "rows", "repeated text", "body"],
)
async def test_parquet_that_is_refused(
    service: RunningApp, content: bytes, status: int, error_type: str, message: str
) -> None:
    answer = await service.client.post("/v1/rows", content=content, headers=PARQUET)
    assert message in check_error(answer, status, error_type)["error"]
    assert "rows.parquet" not in answer.text


async def test_parquet_that_unpacks_to_more_than_memory(
    service: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.parquet_rows._MEMORY", 750_000_000)
    table = pa.table({"a": ["x" * 300_000_000]})
    content = parquet(table, compression="zstd", use_dictionary=False, write_statistics=False)
    assert len(content) < 100_000
    answer = await service.client.post("/v1/rows", content=content, headers=PARQUET)
    assert "more memory" in check_error(answer, 400, "malformed_body")["error"]
    small = parquet(pa.table({"a": ["x"]}))
    assert (await service.client.post("/v1/rows", content=small, headers=PARQUET)).status_code == 200


async def test_rows_need_their_content_type_and_key(service: RunningApp) -> None:
    answer = await service.client.post("/v1/rows", content=b"{}", headers={"content-type": "text/csv"})
    assert "expected application/vnd.apache.parquet" in check_error(answer, 415, "unsupported_body")["error"]
    async with running_app(api_keys="one") as locked:
        answer = await locked.client.post("/v1/rows", content=b"", headers=PARQUET)
        check_error(answer, 401, "api_key")
        assert (await locked.client.get("/")).status_code == 200


async def test_a_reader_that_hangs_is_ended(tmp_path: Path) -> None:
    async with running_app(Limits(request_timeout=0.05)) as hurried:
        content = parquet(pa.table({"a": ["x"]}))
        answer = await hurried.client.post("/v1/rows", content=content, headers=PARQUET)
    check_error(answer, 504, "request_timeout")


async def test_reading_parquet_keeps_no_one_from_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, lock = threading.Event(), threading.Lock()
    reading, most = 0, 0

    def read(*_: Any) -> "subprocess.CompletedProcess[bytes]":
        nonlocal reading, most
        with lock:
            reading += 1
            most = max(most, reading)
        go_on.wait(30)
        with lock:
            reading -= 1
        return subprocess.CompletedProcess([], Outcome.READ, stdout=b"", stderr=b"")

    monkeypatch.setattr("serving.parquet_rows._read", read)
    async with running_app() as service:
        files = [
            asyncio.create_task(service.client.post("/v1/rows", content=b"x", headers=PARQUET))
            for _ in range(8)
        ]
        await until(lambda: reading)
        await asyncio.sleep(0.1)
        try:
            answer = await asyncio.wait_for(service.client.post("/v1/score", json={"traces": ["So."]}), 10)
        finally:
            go_on.set()
        assert answer.status_code == 200
        assert [(await file).status_code for file in files] == [200] * 8
    assert most <= 2


async def test_a_file_that_no_one_waits_for_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    read: list[int] = []

    def hang(*_: Any) -> "subprocess.CompletedProcess[bytes]":
        read.append(1)
        go_on.wait(30)
        return subprocess.CompletedProcess([], Outcome.READ, stdout=b"", stderr=b"")

    monkeypatch.setattr("serving.parquet_rows._read", hang)
    async with running_app(Limits(request_timeout=0.5)) as service:
        posts = [service.client.post("/v1/rows", content=b"x", headers=PARQUET) for _ in range(8)]
        for answer in await asyncio.gather(*posts):
            check_error(answer, 504, "request_timeout")
        begun = len(read)
        go_on.set()
        await asyncio.sleep(0.2)
        assert len(read) == begun


def test_colours_are_those_of_the_report() -> None:
    here = (PAGE_FOLDER / "colours.css").read_text(encoding="utf-8")
    assert "".join(here.split()) == "".join(css_variables().split())
