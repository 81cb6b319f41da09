"""Every code block of the documentation is run; what cannot be run here is counted."""

from collections import Counter
from pathlib import Path

import pytest

from tests.documentation.blocks import blocks_of, pages
from tests.documentation.output import is_output
from tests.documentation.page_run import run_page
from tests.documentation.shell import ROOT
from tests.documentation.workshop import set_up

PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages(ROOT)}
UNRUN = {
    "docs/deploy.md": {"docker": 1},
}
"""The blocks that are not run, by page and by what they need."""


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if blocks_of(page, text)])
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(tmp_path)
    monkeypatch.chdir(tmp_path)
    run_page(blocks_of(page, PAGES[page]), tmp_path)


def test_blocks_that_are_not_run_are_counted() -> None:
    found = {page: Counter(block.needs for block in blocks_of(page, text)) for page, text in PAGES.items()}
    for counts in found.values():
        del counts[None]
    assert {page: dict(counts) for page, counts in found.items() if counts} == UNRUN
