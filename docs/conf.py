"""The documentation site: `make docs` builds it from these pages, docstrings and the help of commands."""

import os
import sys
from pathlib import Path

import typer.main
from sphinx.application import Sphinx

from classifier.cli import app as branching
from classifier.version import __version__

project = "branching-classifier"
author = "The branching-classifier authors"
project_copyright = "2026, the branching-classifier authors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.programoutput",
]
html_theme = "furo"
html_title = f"branching-classifier {__version__}"
html_show_sourcelink = False
html_copy_source = False

myst_heading_anchors = 3
# Names in docstrings stand in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = False

COMMANDS_PAGE = "reference/commands"
MEASURED_PAGES = ("benchmarks", "scale")
"""Pages that `make bench` writes: the navigation names them, and leaves them out while they are not there."""

# The commands of this very environment, in colours and a width that the page has room for.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ |= {"NO_COLOR": "1", "COLUMNS": "88", "TERMINAL_WIDTH": "88", "TERM": "dumb"}


def add_commands(app: Sphinx, page: str, source: list[str]) -> None:
    """Give every command of `branching` a section with what its `--help` prints."""
    if page == COMMANDS_PAGE:
        source[0] += "".join(
            f"\n## branching {name}\n\n```{{program-output}} branching {name} --help\n```\n"
            for name in typer.main.get_group(branching).commands
        )


def leave_out_absent(app: Sphinx, page: str, source: list[str]) -> None:
    """Take the pages that were not written yet out of the navigation."""
    if page == "index":
        absent = [name for name in MEASURED_PAGES if name not in app.env.found_docs]
        source[0] = "".join(line for line in source[0].splitlines(True) if line.strip() not in absent)


def read_again(app: Sphinx, *_: object) -> list[str]:
    """Have the navigation read at every build, as a page may have come since the last one."""
    return ["index"]


def setup(app: Sphinx) -> None:
    """Connect this file's steps to the build."""
    app.connect("source-read", add_commands)
    app.connect("source-read", leave_out_absent)
    app.connect("env-get-outdated", read_again)
