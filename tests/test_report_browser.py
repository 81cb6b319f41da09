"""Reports as people look at them: in Chromium, from a file."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from classifier.columns import COLUMN_TYPES
from classifier.files import find_inputs
from classifier.kinds import KINDS
from classifier.progress import Progress
from classifier.report import ReportOptions, report_files
from classifier.report.aggregate import Aggregate, aggregate
from classifier.report.figures import group_figures, keep_plans
from classifier.selection_report import KeepPlan
from tests.browser import opened_page, running_browser
from tests.scored_files import failed_row, scored_row, write_parquet, write_scored_lines

pytestmark = pytest.mark.slow

NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1200, "height": 900}
LOOKS = [("light", NARROW), ("dark", WIDE), ("dark", NARROW)]
GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}
HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> & &amp; {{ 7*7 }} "
    "<svg onload='window.hacked = 1'></svg> \u202edesrever"
)
MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


def rows(seed: int, count: int = 200, **columns: Any) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    made = []
    for number in range(count):
        probabilities = draw.beta(0.4, 3, size=draw.integers(3, 30))
        steps = [
            (
                f"Step {at} takes {number} further." if share < 0.5 else f"No, step {at} was wrong.",
                float(share),
                "convergent" if share < 0.5 else ("alternative", "backtrack", "restart")[at % 3],
            )
            for at, share in enumerate(probabilities)
        ]
        made.append(scored_row(steps, id=number, source=f"model-{number % 3}", problem=number, **columns))
    return [*made, failed_row("empty: nothing", source="model-0")]


def report(path: Path, *, compare: Path | None = None, **options: Any) -> str:
    output = path.with_suffix(".html")
    other = None if compare is None else str(compare)
    report_files([str(path)], str(output), ReportOptions(**options), compare=other)
    return output.as_uri()


def sideways(page: Page) -> int:
    moved: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return moved


def shown(page: Page) -> dict[str, str]:
    names = ("max-rate", "kept", "dropped", "tokens", "overlap", "keep-option")
    return {name: page.inner_text(f"#{name}") for name in names}


def expected(plan: KeepPlan) -> dict[str, str]:
    def percent(share: float | None) -> str:
        return "–" if share is None else f"{share:.1%}"

    return {
        "max-rate": f"{plan.max_rate:.4f}",
        "kept": f"{plan.kept:,}",
        "dropped": f"{plan.dropped:,}",
        "tokens": percent(plan.time_saved),
        "overlap": percent(plan.length_overlap),
        "keep-option": f"{plan.keep:g}",
    }


def figures_of(path: Path) -> tuple[Aggregate, list[KeepPlan]]:
    whole = aggregate(find_inputs([str(path)]), ReportOptions(by=("source",)), Progress())
    return whole, keep_plans(whole)


def test_the_slider_changes_what_is_shown(browser: Browser, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "scored.parquet", rows(1))
    whole, plans = figures_of(path)
    groups = group_figures(whole, whole.groups[0], plans)
    with opened_page(browser, report(path, by=("source",)), viewport=WIDE) as page:
        seen = set()
        for keep in (90, 75, 50, 100):
            page.fill("#keep", str(keep))
            at = 100 - keep
            assert shown(page) == expected(plans[at])
            assert page.inner_text("#keep-shown") == f"{keep}%"
            dropped = [page.inner_text(f"#dropped-0-{number}") for number in range(len(groups))]
            assert dropped == [str(group.dropped[at]) for group in groups]
            beyond = page.locator("#rates .beyond:not([aria-label^='0 rows'])").count()
            assert (beyond > 0) == (keep < 100)
            seen.add((plans[at].dropped, beyond, page.locator("[data-keep]:visible").inner_text()))
        assert len(seen) == 4
        page.focus("#keep")
        page.keyboard.press("ArrowLeft")
        assert shown(page) == expected(plans[1])


def test_charts_say_what_a_mark_is(browser: Browser, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "scored.parquet", rows(2))
    with opened_page(browser, report(path), viewport=WIDE) as page:
        assert page.locator("#tip").is_hidden()
        page.locator("#rates svg .mark-rect.role-mark > path").nth(4).hover()
        assert re.match(r"\d+ rows with a rate of 0\.\d+ to 0\.\d+", page.inner_text("#tip"))
        page.locator("h1").hover()
        assert page.locator("#tip").is_hidden()


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS)
@pytest.mark.parametrize("compared", [False, True], ids=["one file", "two files"])
def test_light_dark_and_narrow(
    browser: Browser, tmp_path: Path, scheme: str, viewport: dict[str, int], compared: bool
) -> None:
    unbroken = scored_row([("unbroken" * 60, 0.9, "restart")], source="name" * 60, problem="x" * 300)
    paths = [
        write_parquet(
            tmp_path / f"{name}.parquet", [one | {"problem": str(one.get("problem"))} for one in made]
        )
        for name, made in (("first", [*rows(3, 60), unbroken]), ("second", [*rows(4, 60), unbroken]))
    ]
    url = (
        report(paths[0], compare=paths[1], pair_by="problem")
        if compared
        else report(paths[0], by=("source", "id"))
    )
    with opened_page(browser, url, color_scheme=scheme, viewport=viewport) as page:
        page.eval_on_selector_all("details", "all => all.forEach((one) => { one.open = true; })")
        assert sideways(page) == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == GROUNDS[scheme]
        found = Axe().run(page).response["violations"]
        assert not found, [(one["id"], one["nodes"][0]["html"][:300]) for one in found]


@pytest.mark.parametrize("compared", [False, True], ids=["one file", "two files"])
def test_hostile_text_is_shown_as_text(browser: Browser, tmp_path: Path, compared: bool) -> None:
    steps = [(HOSTILE, 0.9, "restart"), (f"And {HOSTILE}", 0.1, "convergent")]
    made = [scored_row(steps, source=HOSTILE, model=f"{HOSTILE}{at}", problem=HOSTILE) for at in range(3)]
    path = write_parquet(tmp_path / "scored.parquet", [one | {"branch_rate": 0.1} for one in made])
    other = write_scored_lines(tmp_path / "others.jsonl", [failed_row(HOSTILE, problem=1), *made])
    url = report(path, compare=other, pair_by="problem") if compared else report(other, by=("source",))
    with opened_page(browser, url) as page:
        page.eval_on_selector_all("details", "all => all.forEach((one) => { one.open = true; })")
        assert page.evaluate("window.hacked") is None
        assert page.locator("img, iframe, main script:not([type])").count() == 0
        assert HOSTILE in page.locator(".step").first.text_content().removeprefix("restart 0.90")  # type: ignore[union-attr]
        isolated = "all => all.every((one) => getComputedStyle(one).unicodeBidi === 'isolate')"
        assert page.eval_on_selector_all(".step, .columns dd", isolated)


def write_million(path: Path, count: int = 1_000_000) -> Path:
    """Write scored rows of two steps each, without making a Python object of any."""
    draw = np.random.default_rng(5)
    texts = [f"One step of trace {kind}. Another one." for kind in range(1000)]
    dots = np.array([text.index(".") + 1 for text in texts])
    each = draw.integers(0, len(texts), count)
    begins = np.stack([np.zeros(count), dots[each] + 1], axis=1).ravel()
    ends = np.stack([dots[each], dots[each] + len(" Another one.")], axis=1).ravel()
    probabilities = draw.beta(0.5, 4, size=(count, 2))
    kinds = np.where(probabilities >= 0.5, draw.integers(1, 4, probabilities.shape), 0).ravel()
    steps = pa.table(
        {
            "start": pa.array(begins).cast(pa.int32()),
            "end": pa.array(ends).cast(pa.int32()),
            "probability": pa.array(probabilities.ravel()).cast(pa.float32()),
            "kind": np.array(KINDS)[kinds],
        }
    ).to_struct_array()
    columns: dict[str, Any] = {
        "id": np.arange(count),
        "source": np.array([f"model-{at}" for at in range(30)])[draw.integers(0, 30, count)],
        "trace": np.array(texts)[each],
        "branch_rate": probabilities.mean(axis=1),
        "branch_count": (probabilities >= 0.5).sum(axis=1),
        "step_count": np.full(count, 2),
        "branch_error": pa.nulls(count),
    }
    arrays: dict[str, Any] = {name: pa.array(values) for name, values in columns.items()}
    offsets: Any = np.arange(0, 2 * count + 1, 2, dtype=np.int32)
    arrays["branch_steps"] = pa.ListArray.from_arrays(offsets, steps.combine_chunks())
    typed = {
        name: array.cast(COLUMN_TYPES[name]) if name in COLUMN_TYPES else array
        for name, array in arrays.items()
    }
    pq.write_table(pa.table(typed), path)
    return path


def test_a_million_rows_make_a_small_page(browser: Browser, tmp_path: Path) -> None:
    path = write_million(tmp_path / "million.parquet")
    made = path.with_suffix(".html")
    # In a process of its own: measuring coverage takes three times as long as reporting on a million rows.
    command = [sys.executable, "-m", "classifier", "report", str(path), "-o", str(made), "--by", "source"]
    subprocess.run(command, check=True, timeout=300)
    assert made.stat().st_size < MOST_BYTES
    with opened_page(browser, made.as_uri(), viewport=WIDE) as page:
        assert "1,000,000" in page.inner_text("#summary + dl")
        page.fill("#keep", "80")
        assert page.inner_text("#dropped") == "200,000"
        # What a browser has to lay out does not grow with the rows.
        assert page.locator("*").count() < 10_000
