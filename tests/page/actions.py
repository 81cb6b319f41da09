"""What people do on the page, and what they see there."""

import json
import random
from typing import Any

import httpx
from playwright.sync_api import Page

from tests.example_traces import BRANCHING, CONVERGING
from tests.service_process import RunningService

MANY_SCRIPTS = (
    "Take 😀 plus the letter 𝔘 first, and add them up. Wait, 𝄞 is not a number at all!\n\nWe call the "
    "sum نجمع from here on. The \u202edesrever\u202c word is odd.\nOr maybe \u2066it is isolated "
    "without end. So the answer is that x = 4."
)
HOSTILE = (
    "<script>window.hacked = 1</script> Then add. <img src=x onerror='window.hacked = 1'> No, subtract. "
    "</span></div><b>Bold</b> &amp; \u202e<svg onload='window.hacked = 1'> Or maybe divide. "
)


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


def shown_kinds(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(".step", "steps => steps.map(step => step.dataset.kind)")
    return found


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
