"""The code blocks of a page.

The line that opens a block says what becomes of it:

- ``bash`` and ``python`` blocks are run, in the page's order, in one folder;
- ``text`` blocks are output: it must be what the page's commands have printed; ``...`` stands for anything;
- ``text figure`` blocks are drawings;
- ``json``, ``toml`` and ``yaml`` blocks are read;
- ``bash needs=docker`` (or another reason of `REASONS`) is not run here, only checked; `UNRUN` in
  `tests/test_documentation.py` counts such blocks, so that none is passed over unseen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

REASONS: Final = {
    "cluster": "more machines than one",
    "data": "data that does not come with the project",
    "docker": "a container engine",
    "gpu": "a GPU",
    "hub": "a model or data set from a hub",
    "kubernetes": "a Kubernetes cluster",
    "package": "a package that the tests do not install",
    "time": "more time than a test has",
}
LANGUAGES: Final = {"bash", "python", "text", "json", "toml", "yaml"}


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page, and the line of the page on which its text begins."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def needs(self) -> str | None:
        """What it needs that is not here, or None for a block that can be run."""
        return next((word.removeprefix("needs=") for word in self.words if word.startswith("needs=")), None)

    @property
    def is_figure(self) -> bool:
        """Whether it is a drawing."""
        return self.language == "text" and "figure" in self.words


def blocks_of(page: str, text: str) -> list[Block]:
    """Return the code blocks of a page of Markdown.

    Parameters
    ----------
    page
        The page's name, for messages.
    text
        What stands on it.

    Raises
    ------
    ValueError
        If a block does not say what it is.
    """
    blocks = []
    for token in MarkdownIt("commonmark").parse(text):
        if token.type not in {"fence", "code_block"} or token.info.startswith("{"):
            continue  # {…} is a directive: the site's builder runs it
        assert token.map is not None
        language, *words = token.info.split() or [""]
        block = Block(page, token.map[0] + 2, language, tuple(words), token.content)
        _check(block)
        blocks.append(block)
    return blocks


def pages(root: Path) -> list[Path]:
    """Return the project's pages of documentation."""
    folders = ("docs", "examples", "benchmarks")
    return sorted([*root.glob("*.md"), *(path for name in folders for path in (root / name).rglob("*.md"))])


def _check(block: Block) -> None:
    if block.language not in LANGUAGES:
        raise ValueError(
            f"{block.place}: a block of {block.language or 'no language'!r}; known are {sorted(LANGUAGES)}, "
            "and drawings are 'text figure'"
        )
    if block.needs is not None and block.needs not in REASONS:
        raise ValueError(
            f"{block.place}: needs={block.needs} is no known reason; known are {sorted(REASONS)}"
        )
    unknown = [word for word in block.words if word != "figure" and not word.startswith("needs=")]
    if unknown:
        raise ValueError(f"{block.place}: unknown words {unknown} after the language")
