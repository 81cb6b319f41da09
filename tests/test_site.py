"""The documentation site: built with warnings as errors, complete, and without anything from other hosts."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer.main

from classifier.cli import app
from tests.documentation.unrun import options_of

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
COMMANDS = sorted(typer.main.get_group(app).commands)


class Page(HTMLParser):
    """Collects a page's text, and what a browser would load for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        source = attributes.get("src")
        if tag == "link" and attributes.get("rel") in {"stylesheet", "preload", "preconnect", "icon"}:
            source = attributes.get("href")
        if source:
            self.loads.append(source)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--doctree-dir", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_every_page_is_there(site: Path) -> None:
    sources = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
    assert len(sources) > 10
    assert [path for path in sources if not (site / path).is_file()] == []


@pytest.mark.slow
def test_the_site_loads_nothing_from_other_hosts(site: Path) -> None:
    loads = {load for path in site.rglob("*.html") for load in Page(path.read_text(encoding="utf-8")).loads}
    assert loads
    assert [load for load in loads if re.match(r"(\w+:)?//", load)] == []
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert not [style for style in styles if re.search(r"(@import|url\()\s*['\"]?(\w+:)?//", style)]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_has_every_command_and_option(command: str, site: Path) -> None:
    text = Page((site / "reference" / "commands.html").read_text(encoding="utf-8")).text
    section = text.split(f" Usage: branching {command} ", 1)[1].split(" Usage: ", 1)[0]
    options = options_of(command)
    assert options
    shown = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section))
    assert {option for option in options if option.startswith("--")} <= shown


@pytest.mark.slow
def test_the_reference_has_the_public_names(site: Path) -> None:
    text = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in ("BranchScorer.score_batch", "BranchFilter.fit", "TraceScore.kinds", "StepScore"):
        assert f'id="classifier.{name}"' in text
    assert 'id="classifier.errors.LanguageError"' in text
