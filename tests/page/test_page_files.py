"""Files on the page: scored, stopped and gone on with, filtered and downloaded."""

import json
import random
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, Route, expect

from classifier.selection_report import rate_at_fraction
from tests.example_traces import BRANCHING, CONVERGING
from tests.page.actions import HOSTILE, answer, figures, lines_of_a_file, score_file, shown_kinds
from tests.service_process import RunningService

pytestmark = pytest.mark.slow


def expected_kept(service: RunningService, lines: list[bytes], keep: float) -> list[bytes]:
    """Choose lines by the service's own rates, as the library does."""
    joined = b"".join(lines)
    stream = httpx.post(
        f"{service.url}/v1/score",
        content=joined,
        headers={"content-type": "application/x-ndjson"},
        timeout=60,
    )
    results = [json.loads(line) for line in stream.text.splitlines()]
    rates = np.array([one["branch_rate"] for one in results if "branch_rate" in one])
    cut = rate_at_fraction(rates, keep)
    return [line for line, one in zip(lines, results, strict=True) if one.get("branch_rate", 0) <= cut]


def downloaded(page: Page) -> bytes:
    with page.expect_download() as waiting:
        page.click("#download")
    assert waiting.value.suggested_filename.endswith("-kept.jsonl")
    return Path(waiting.value.path()).read_bytes()


def test_kept_lines_come_back_byte_for_byte(page: Page, service: RunningService) -> None:
    lines = lines_of_a_file()
    mark, blank = b"\xef\xbb\xbf", b" \t\r\n"
    score_file(page, "my traces.jsonl", mark + lines[0] + blank + b"".join(lines[1:]))
    shown = figures(page, "#file-figures")
    assert shown["rows"] == "300"
    assert shown["without a score"] == "1"
    assert "Row 11: the line is not JSON" in page.inner_text("#error-list")
    lines_as_given = [mark + lines[0], *lines[1:]]
    for keep in ("90", "55", "1"):
        page.fill("#keep", keep)
        kept = expected_kept(service, lines, int(keep) / 100)
        given = [mark + line if line == lines[0] else line for line in kept]
        assert 1 <= len(given) < len(lines_as_given)
        assert f"Keeps {len(kept)} of 300 rows" in page.inner_text("#choice")
        assert downloaded(page) == b"".join(given)
    assert "my traces-kept.jsonl, 4 rows" in page.inner_text("#download-help")
    page.uncheck("#keep-unscored")
    assert lines[10] not in downloaded(page)
    expect(page.locator("#borderline tr")).to_have_count(7)  # the three that are kept, and four that are not
    assert page.eval_on_selector_all("#histogram div", "bars => bars.length") == 40


def test_parquet_is_read_by_the_service(page: Page, service: RunningService, tmp_path: Path) -> None:
    traces = [f"{BRANCHING} {number} 😀" if number % 3 else f"{CONVERGING} {number}" for number in range(60)]
    table = pa.table({"id": range(60), "trace": traces, "raw": [b"\xff"] * 60})
    pq.write_table(table, tmp_path / "some.parquet")
    score_file(page, "some.parquet", (tmp_path / "some.parquet").read_bytes())
    page.fill("#keep", "50")
    rows = [json.loads(line) for line in downloaded(page).decode().splitlines()]
    kept = answer(service, traces=traces, keep=0.5)["kept"]
    assert [row["id"] for row in rows] == [one["index"] for one in kept]
    assert [row["trace"] for row in rows] == [one["trace"] for one in kept]


def test_a_busy_service_is_asked_again(page: Page) -> None:
    refusals = iter(["1", "1"])

    def refuse(route: Route) -> None:
        wait = next(refusals, None)
        if wait is None:
            route.continue_()
        else:
            busy = {"error": "busy", "error_type": "overloaded", "detail": None}
            route.fulfill(status=429, json=busy, headers={"Retry-After": wait})

    page.route("**/v1/score", refuse)
    score_file(page, "some.jsonl", b"".join(lines_of_a_file()))
    assert figures(page, "#file-figures")["rows"] == "300"
    assert next(refusals, None) is None


def test_an_error_after_the_first_results_is_read(page: Page) -> None:
    results = ['{"branch_rate":0.5}', '{"error":"it is bad","error_type":"length"}']
    busy = '{"error":"no time for it","error_type":"queue_timeout","detail":null}'
    late = '{"error":"it took too long","error_type":"request_timeout","detail":null}'

    def score(*answers: list[str]) -> Any:
        """Score lines; each answer breaks off, unless it is the last one."""
        return page.evaluate(
            """async (answers) => {
              const { Service } = await import("/page/service.js");
              const asked = window.fetch;
              const later = window.setTimeout;
              const waits = [];
              window.setTimeout = (work, wait) => later(work, wait < 1000 ? wait : (waits.push(wait), 0));
              window.fetch = async () => {
                const lines = answers.shift().map((line) => `${line}\n`);
                if (!answers.length) return new Response(lines.join(""));
                const pull = (stream) => {
                  if (lines.length) stream.enqueue(new TextEncoder().encode(lines.shift()));
                  else stream.error(new TypeError("network error"));
                };
                return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
              };
              try {
                return { results: await new Service().scoreLines("x"), waits };
              } catch (error) {
                return { message: error.message, waits };
              } finally {
                window.fetch = asked;
                window.setTimeout = later;
              }
            }""",
            answers,
        )

    expected = [json.loads(line) for line in results]
    assert score([results[0], busy], results) == {"results": expected, "waits": [5000]}
    assert score([results[0], late], results) == {"message": "It took too long.", "waits": []}
    # What breaks off after the error of a row says nothing.
    assert "does not answer" in score(results, results)["message"]
    assert "does not answer" in score([], results)["message"]


def test_scoring_a_file_can_be_stopped(page: Page) -> None:
    page.route("**/v1/score", lambda _: None)  # no answer ever comes
    page.click("#tab-file")
    page.set_input_files("#file", {"name": "a.jsonl", "mimeType": "", "buffer": b'"So x = 4."\n'})
    page.click("#file-form button[type=submit]")
    page.click("#stop")
    page.wait_for_selector("#file-status:has-text('Stopped.')")
    assert not page.locator("#stop").is_visible()
    assert not page.locator("#file-error").is_visible()


def test_scoring_goes_on_where_it_was_stopped(page: Page, service: RunningService) -> None:
    lines = [json.dumps(f"{BRANCHING} {number}").encode() + b"\n" for number in range(700)]
    asked: list[int] = []

    def refuse_the_third(route: Route) -> None:
        asked.append((route.request.post_data or "").count("\n"))
        if len(asked) == 3:
            route.fulfill(status=500, json={"error": "broken", "error_type": "internal", "detail": None})
        else:
            route.continue_()

    page.route("**/v1/score", refuse_the_third)
    score_file(page, "some.jsonl", b"".join(lines))
    assert "Broken" in page.inner_text("#file-error")
    assert "512 rows scored; Score goes on from there." in page.inner_text("#file-status")
    assert not page.locator("#file-result").is_visible()
    page.click("#file-form button[type=submit]")
    page.wait_for_selector("#file-result")
    assert asked == [256, 256, 188, 188]
    assert figures(page, "#file-figures")["rows"] == "700"
    page.fill("#keep", "100")
    assert downloaded(page) == b"".join(lines)
    score_file(page, "other.jsonl", b"".join(lines[:10]))
    assert figures(page, "#file-figures")["rows"] == "10"


def test_a_row_of_a_file_can_be_opened(page: Page, service: RunningService) -> None:
    traces = [f"{CONVERGING} {number}." for number in range(4)]
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "assistant", "content": f"<think>{one}</think>Four."}]} for one in traces
    ]
    rows[2] = {"generations": [f"<think>{CONVERGING}</think>1", f"<think>{HOSTILE}</think>2"]}
    score_file(page, "some.jsonl", b"\xef\xbb\xbf" + "\n".join(map(json.dumps, rows)).encode())
    (several,) = answer(service, traces=[rows[2]], texts=True)["results"]
    most = max(zip(several["branch_rates"], several["texts"], strict=True))[1]
    for number, expected in ((1, traces[0]), (3, most), (4, traces[3])):
        page.click("#tab-file")
        page.get_by_role("button", name=f"Row {number}: show its steps").click()
        expect(page.locator("#panel-trace")).to_be_visible()
        page.wait_for_selector("#trace-status:has-text('scored.')")
        assert page.eval_on_selector("#steps", "list => list.textContent") == expected
        (given,) = answer(service, traces=[expected], steps=True, as_is=True)["results"]
        assert shown_kinds(page) == [step["kind"] for step in given["steps"]]
    assert page.evaluate("window.hacked") is None
    # What was true of the row need not be of the next trace.
    for button in ("#clear", "#example"):
        page.check("#as-is")
        page.click(button)
        assert not page.is_checked("#as-is")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"", "empty.jsonl is empty"),
        ("blank.jsonl", b"\n \n", "holds no rows"),
        ("packed.jsonl.gz", b"\x1f\x8b\x08\x00", "is gzip: unpack it first"),
        ("broken.parquet", b"PAR1 and no more", "is no Parquet file, or a damaged one"),
    ],
)
def test_files_that_cannot_be_scored(page: Page, name: str, content: bytes, message: str) -> None:
    score_file(page, name, content)
    assert message in page.inner_text("#file-error")
    assert not page.locator("#file-result").is_visible()


def test_too_many_rows_of_parquet(page: Page, tmp_path: Path) -> None:
    pq.write_table(pa.table({"trace": ["So x = 4."] * 501}), tmp_path / "many.parquet")
    score_file(page, "many.parquet", (tmp_path / "many.parquet").read_bytes())
    assert "The file has 501 rows, and this service reads at most 500" in page.inner_text("#file-error")


def test_fractions_are_those_of_the_library(page: Page) -> None:
    draw = random.Random(3)
    cases = [
        (
            [round(draw.random(), 1 + number % 3) for _ in range(draw.randint(1, 60))],
            draw.randint(1, 100) / 100,
        )
        for number in range(300)
    ]
    cases.append(([number / 20 for number in range(20)], 0.55))
    found = page.evaluate(
        """async (cases) => {
          const { rateAtFraction, sortedRates } = await import("/page/selection.js");
          const sorted = (rates) => sortedRates(rates.map((rate) => ({ rate })));
          return cases.map(([rates, keep]) => rateAtFraction(sorted(rates), keep));
        }""",
        cases,
    )
    assert found == [rate_at_fraction(np.array(rates), keep) for rates, keep in cases]
