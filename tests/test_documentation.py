"""Every code block of the documentation is run; what cannot be run here is counted."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.documentation.blocks import Block, blocks_of, pages
from tests.documentation.output import is_output
from tests.documentation.page_run import run_page
from tests.documentation.shell import ROOT
from tests.documentation.unrun import check_unrun
from tests.documentation.workshop import set_up

PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages(ROOT)}
UNRUN = {
    "README.md": {"time": 1},
    "docs/deploy.md": {"docker": 2},
    "docs/embedding.md": {"package": 2},
    "docs/errors.md": {"data": 1},
    "docs/figures.md": {"data": 1},
    "docs/precisions.md": {"data": 1},
    "docs/retraining.md": {"time": 3},
    "docs/study.md": {"gpu": 1, "time": 1},
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


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_and_files_lead_somewhere(page: str) -> None:
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", PAGES[page]) if ":" not in target]
    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


def test_the_map_of_the_house_names_what_is_there() -> None:
    (house,) = [block for block in blocks_of("CONTRIBUTING.md", PAGES["CONTRIBUTING.md"]) if block.is_figure]
    folder, missing, named = "", [], 0
    for line in house.text.splitlines():
        # Names end where the gap before their explanation begins; the explanation may name files too.
        names, _, _ = re.sub("^  ", "", line).partition("  ")
        if not line.startswith(" "):
            folder, names = names, ""
            missing += [] if (ROOT / folder).is_dir() else [folder]
        for name in re.findall(r"[\w*]+(?:\.py|/)", names):
            named += 1
            missing += [] if any((ROOT / folder).glob(name)) else [f"{folder}{name}"]
    assert named > 20
    assert missing == []


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("b\nc\n", "a\nb  \nc\nd\n"),
        ("a\n...\nd\n", "a\nb\nc\nd\n"),
        ("a\n...\nb\n", "a\nb\n"),
        ("took ... s (*)\n", "took 1.5 s (*)\n"),
    ],
)
def test_output_is_found(shown: str, printed: str) -> None:
    assert is_output(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("a\nc\n", "a\nb\nc\n"), ("b\n", "abc\n"), ("a\n", ""), ("0.46 2\n", "0.47 2\n"), ("a...z\n", "a\nz\n")],
)
def test_other_output_is_noticed(shown: str, printed: str) -> None:
    assert not is_output(shown, printed)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```\nx\n```", "no language"),
        ("    x\n", "no language"),
        ("```rust\nx\n```", "'rust'"),
        ("```bash needs=luck\nx\n```", "no known reason"),
        ("```bash skip\nx\n```", r"unknown words \['skip'\]"),
    ],
)
def test_a_block_must_say_what_it_is(block: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"page.md:2.*{message}"):
        blocks_of("page.md", f"{block}\n")


def test_blocks_are_found_in_lists_and_know_their_lines() -> None:
    blocks = blocks_of("page.md", "# Title\n\n1. First\n\n   ```bash needs=gpu\n   true\n   ```\n")
    assert blocks == [Block("page.md", 6, "bash", ("needs=gpu",), "true\n")]
    assert blocks[0].needs == "gpu"


@pytest.mark.parametrize(
    ("language", "code", "message"),
    [
        ("bash", "if true; then\n", "syntax error"),
        ("bash", "branching score a.jsonl \\\n  --out b.jsonl\n", r"score has no \['--out'\]"),
        ("bash", "branching scores a.jsonl\n", "no command scores"),
        ("yaml", "a: 1\n", "needs nothing"),
    ],
)
def test_blocks_that_are_not_run_are_checked(language: str, code: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_unrun(Block("page.md", 1, language, ("needs=gpu",), code))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```bash\nfalse\ntrue\n```", "page.md:2 ended with 1"),
        ("```bash\nbranching score none.jsonl -o out.jsonl\n```", "page.md:2 ended with 2"),
        ("```bash\nmake no-such-target\n```", "No rule to make target"),
        ("```bash\necho 1\n```\n\n```text\n2\n```", "page.md:6: this is not what"),
        ("```bash needs=gpu\nbranching score --cuda\n```", "no ..--cuda"),
    ],
)
def test_a_page_that_is_wrong_fails(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=message):
        run_page(blocks_of("page.md", text), tmp_path)


def test_a_page_with_a_wrong_python_block_fails_at_its_line(tmp_path: Path) -> None:
    page = "Text.\n\n```python\nx = 1\n```\n\n```python\nx / 0\n```\n"
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(blocks_of("page.md", page), tmp_path)
    assert (Path(caught.traceback[-1].path).name, caught.traceback[-1].lineno + 1) == ("page.md", 8)
