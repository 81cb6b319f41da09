"""The page of the service, as people use it: in Chromium, against a service that runs."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from classifier.kinds import BRANCH_KINDS
from classifier.selection_report import rate_at_fraction
from tests.browser import opened_page, running_browser
from tests.example_traces import BRANCHING, CONVERGING
from tests.service_process import RunningService, running_service

pytestmark = pytest.mark.slow

MANY_SCRIPTS = (
    "Take 😀 plus the letter 𝔘 first, and add them up. Wait, 𝄞 is not a number at all!\n\nWe call the "
    "sum نجمع from here on. The \u202edesrever\u202c word is odd.\nOr maybe \u2066it is isolated "
    "without end. So the answer is that x = 4."
)
HOSTILE = (
    "<script>window.hacked = 1</script> Then add. <img src=x onerror='window.hacked = 1'> No, subtract. "
    "</span></div><b>Bold</b> &amp; \u202e<svg onload='window.hacked = 1'> Or maybe divide. "
)
NARROW = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("service"), encoder="debug", max_items=500) as running:
        yield running


@pytest.fixture
def page(browser: Browser, service: RunningService) -> Iterator[Page]:
    with opened_page(browser, service.url) as opened:
        opened.wait_for_selector("#trace-result")
        yield opened


def score_trace(page: Page, text: str) -> None:
    # Typing a megabyte takes the browser longer than all that is tested here.
    page.eval_on_selector("#trace", "(area, text) => { area.value = text; }", text)
    page.click("#trace-form button[type=submit]")
    page.wait_for_selector("#trace-status:has-text('scored.')")


def score_file(page: Page, name: str, content: bytes) -> None:
    page.click("#tab-file")
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": content})
    page.click("#file-form button[type=submit]")
    page.wait_for_selector("#stop", state="hidden")


def answer(service: RunningService, **request: Any) -> Any:
    kind = "filter" if "keep" in request else "score"
    found = httpx.post(f"{service.url}/v1/{kind}", json=request, timeout=60)
    return found.raise_for_status().json()


def figures(page: Page, place: str) -> dict[str, str]:
    names, values = page.locator(f"{place} dt"), page.locator(f"{place} dd")
    return dict(zip(names.all_inner_texts(), values.all_inner_texts(), strict=True))


def counted(steps: list[dict[str, Any]], threshold: float) -> list[str]:
    """Return the kind of each step at a threshold."""
    return [
        max(BRANCH_KINDS, key=lambda kind, step=step: step["kind_probabilities"][kind])  # type: ignore[misc]
        if np.float32(step["probability"]) >= np.float32(threshold)
        else "convergent"
        for step in steps
    ]


def shown_kinds(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(".step", "steps => steps.map(step => step.dataset.kind)")
    return found


def test_example_is_scored_at_the_start(page: Page, service: RunningService) -> None:
    given = page.input_value("#trace")
    (expected,) = answer(service, traces=[given], steps=True)["results"]
    assert figures(page, "#trace-figures")["branch rate"] == f"{expected['branch_rate']:.3f}"
    assert shown_kinds(page) == [step["kind"] for step in expected["steps"]]
    assert page.inner_text("#model").startswith("Model branching-classifier")


@pytest.mark.parametrize("text", [MANY_SCRIPTS, BRANCHING, f"<think>{MANY_SCRIPTS}</think>Four."])
def test_steps_stand_where_the_service_says(page: Page, service: RunningService, text: str) -> None:
    score_trace(page, text)
    (expected,) = answer(service, traces=[text], steps=True)["results"]
    texts = page.eval_on_selector_all(".step", "steps => steps.map(step => step.textContent)")
    assert texts == [text[step["start"] : step["end"]] for step in expected["steps"]]
    assert page.eval_on_selector("#steps", "list => list.textContent") == text


def test_threshold_counts_again_in_the_browser(page: Page, service: RunningService) -> None:
    text = " ".join([BRANCHING, CONVERGING, MANY_SCRIPTS])
    score_trace(page, text)
    (expected,) = answer(service, traces=[text], steps=True)["results"]
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    seen = set()
    for threshold in ("0.30", "0.65", "0.80", "0.95"):
        page.fill("#threshold", threshold)
        kinds = counted(expected["steps"], float(threshold))
        assert shown_kinds(page) == kinds
        branches = len(kinds) - kinds.count("convergent")
        shown = figures(page, "#trace-figures")
        assert shown["steps that branch"] == f"{branches} of {len(kinds)}"
        assert shown["branch rate"] == f"{expected['branch_rate']:.3f}"
        assert page.inner_text("#threshold-value") == threshold
        seen.add(branches)
    assert len(seen) > 2
    page.click("#threshold-reset")
    assert shown_kinds(page) == [step["kind"] for step in expected["steps"]]
    assert not requests


def test_hover_and_focus_say_kind_and_probability(page: Page, service: RunningService) -> None:
    score_trace(page, BRANCHING)
    (expected,) = answer(service, traces=[BRANCHING], steps=True)["results"]
    steps = expected["steps"]

    def says(index: int) -> bool:
        shown = page.inner_text("#step-details")
        step = steps[index]
        percent = re.escape(f"{100 * step['probability']:.0f} %")
        pattern = (
            rf"{step['kind']}\s+step {index + 1} of {len(steps)} branches with a probability of {percent}"
        )
        return re.match(pattern, shown) is not None

    page.locator(".step").nth(2).hover()
    assert says(2)
    page.mouse.move(0, 0)
    assert says(0)
    page.locator(".step").nth(0).focus()
    page.keyboard.press("ArrowRight")
    assert says(1)
    page.keyboard.press("End")
    assert says(len(steps) - 1)
    focused = page.locator(".step:focus")
    assert focused.get_attribute("aria-selected") == "true"
    assert steps[-1]["kind"] in (focused.get_attribute("aria-description") or "")
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    branching = [index for index, step in enumerate(steps) if step["kind"] != "convergent"]
    assert says(next(index for index in [*branching, *branching] if index))


def test_strip_leads_to_a_step(page: Page) -> None:
    score_trace(page, BRANCHING)
    box = page.locator("#strip").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + 10)
    assert page.evaluate("document.activeElement === [...document.querySelectorAll('.step')].at(-1)")
    label = page.get_attribute("#strip", "aria-label") or ""
    assert label.startswith("Where the trace branches: at ")
    drawn = (
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    )
    assert page.eval_on_selector("#strip", drawn)


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    page.focus("#trace")
    page.keyboard.press("Control+a")
    page.keyboard.type("Add both. Or subtract? So x = 4.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".step")).to_have_count(3)
    page.focus("#tab-trace")
    page.keyboard.press("ArrowRight")
    assert page.locator("#panel-file").is_visible()
    assert not page.locator("#panel-trace").is_visible()
    assert page.evaluate("document.activeElement.id") == "tab-file"
    page.keyboard.press("ArrowRight")
    stops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"trace", "threshold", "next-branch", "step"} <= set(stops)
    assert stops.count("step") == 1, "the steps of a trace are one stop"


@pytest.mark.parametrize("text", [HOSTILE, HOSTILE * (1_000_000 // len(HOSTILE))], ids=["short", "1 MB"])
def test_hostile_text_is_shown_as_text(page: Page, text: str) -> None:
    score_trace(page, text)
    assert page.eval_on_selector("#steps", "list => list.textContent") == text
    assert page.eval_on_selector_all("#steps :not(span)", "found => found.length") == 0
    assert page.eval_on_selector_all("#steps span", "all => all.every(one => !one.childElementCount)")
    assert page.evaluate("window.hacked") is None
    apart = "all => all.every(one => getComputedStyle(one).unicodeBidi === 'isolate')"
    assert page.eval_on_selector_all("#steps span", apart)


def test_trace_without_a_score_says_why(page: Page) -> None:
    page.fill("#trace", "   ")
    page.click("#trace-form button[type=submit]")
    page.wait_for_selector("#trace-error")
    assert "no score" in page.inner_text("#trace-error")
    assert not page.locator("#trace-result").is_visible()


def lines_of_a_file() -> list[bytes]:
    """Return rows as they come in real files: several schemas, endings and mistakes."""
    draw = random.Random(5)
    rows: list[bytes] = []
    for number in range(300):
        text = " ".join(draw.sample([*BRANCHING.split(". "), *CONVERGING.split(". ")], 4))
        row: object = {"id": number, "trace": f"{text} {number} é 😀."}
        if number % 7 == 0:
            row = {"messages": [{"role": "assistant", "content": f"<think>{text}</think>{number}"}]}
        rows.append(
            json.dumps(row, ensure_ascii=number % 2 == 0).encode() + (b"\r\n" if number % 3 else b"\n")
        )
    rows[10] = b'{"trace": "cut off\n'
    rows[20] = b'{"trace":   "Odd   spacing.  Or maybe not?" , "n": 1.50e3}\n'
    rows[-1] = rows[-1].rstrip()
    return rows


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


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", NARROW), ("dark", {"width": 1100, "height": 800})]
)
def test_light_dark_and_narrow(
    browser: Browser, service: RunningService, scheme: str, viewport: dict[str, int]
) -> None:
    with opened_page(browser, service.url, color_scheme=scheme, viewport=viewport) as page:
        page.wait_for_selector("#trace-result")
        score_trace(page, f"{BRANCHING} {'unbroken' * 40} {MANY_SCRIPTS}")
        for panel in ("trace", "file"):
            if panel == "file":
                score_file(page, "some.jsonl", b"".join(lines_of_a_file()[:40]))
                page.wait_for_selector("#borderline tr")
            assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
            found = Axe().run(page).response["violations"]
            assert not found, [(one["id"], one["nodes"][0]["html"]) for one in found]
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]


def test_key_is_asked_for_and_a_dead_service_is_reported(browser: Browser, tmp_path: Path) -> None:
    with (
        running_service(tmp_path, encoder="debug", api_keys="open-sesame") as service,
        opened_page(browser, service.url) as page,
    ):
        page.wait_for_selector("#key-form")
        with page.expect_response("**/v1/score"):
            page.click("#trace-form button[type=submit]")
        page.wait_for_selector("#trace-status:text-is('')", state="attached")
        assert not page.locator("#service-error").is_visible()
        page.fill("#key", "wrong")
        page.click("#key-form button")
        page.wait_for_selector("#service-error")
        assert "does not know that key" in page.inner_text("#service-error")
        page.fill("#key", "open-sesame")
        page.click("#key-form button")
        page.wait_for_selector("#trace-result")
        assert not page.locator("#key-form").is_visible()
        assert page.input_value("#key") == ""
        kept = "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])"
        assert "sesame" not in page.evaluate(kept)

        service.terminate()
        page.click("#trace-form button[type=submit]")
        page.wait_for_selector("#trace-error")
        assert "does not answer" in page.inner_text("#trace-error")
        score_file(page, "some.jsonl", b'"So x = 4."\n')
        assert "does not answer" in page.inner_text("#file-error")
