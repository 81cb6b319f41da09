"""The page of the service, as people use it: a trace, its steps, looks and keys."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from classifier.kinds import BRANCH_KINDS
from tests.browser import opened_page
from tests.example_traces import BRANCHING, CONVERGING
from tests.page.actions import (
    HOSTILE,
    MANY_SCRIPTS,
    answer,
    figures,
    lines_of_a_file,
    score_file,
    score_trace,
    shown_kinds,
)
from tests.service_process import RunningService, running_service

pytestmark = pytest.mark.slow

NARROW = {"width": 360, "height": 740}


def counted(steps: list[dict[str, Any]], threshold: float) -> list[str]:
    """Return the kind of each step at a threshold."""
    return [
        max(BRANCH_KINDS, key=lambda kind, step=step: step["kind_probabilities"][kind])  # type: ignore[misc]
        if np.float32(step["probability"]) >= np.float32(threshold)
        else "convergent"
        for step in steps
    ]


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
