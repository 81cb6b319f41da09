"""Runs all blocks of a page, one after the other."""

import contextlib
import io
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.documentation.blocks import Block
from tests.documentation.output import is_output
from tests.documentation.shell import Shell, shell
from tests.documentation.unrun import check_unrun
from tests.service_process import free_port

DEFAULT_PORT = re.compile(r"\b3000\b")


def run_page(blocks: Sequence[Block], folder: Path) -> None:
    """Run the blocks of a page in a folder, which must be the working directory.

    Parameters
    ----------
    blocks
        In the page's order. Python blocks share their names. Port 3000 is replaced by a free one.
    folder
        Where the files are that the page's commands read.

    Raises
    ------
    AssertionError
        If a command fails, or output differs from what the page shows.
    """
    port = free_port()
    with shell(folder, port) as bash:
        run = _Run(bash, port)
        for block in blocks:
            run(block)


class _Run:
    def __init__(self, bash: Shell, port: int) -> None:
        self._bash = bash
        self._port = port
        self._names: dict[str, Any] = {"__name__": "page"}
        self._printed = ""

    def __call__(self, block: Block) -> None:
        if block.needs is not None:
            check_unrun(block)
        elif block.language == "bash":
            self._printed += self._bash.run(block, self._code(block))
        elif block.language == "python":
            self._printed += self._python(block)
        elif block.language == "text":
            shown = block.is_figure or is_output(block.text, self._printed)
            assert shown, f"{block.place}: this is not what the page's commands print:\n{self._printed}"
        else:
            _read(block)

    def _code(self, block: Block) -> str:
        return DEFAULT_PORT.sub(str(self._port), block.text)

    def _python(self, block: Block) -> str:
        # Blank lines before it, so that a traceback names the line of the page.
        code = compile("\n" * (block.line - 1) + self._code(block), block.page, "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self._names)  # noqa: S102 - the project's own pages
        return printed.getvalue()


def _read(block: Block) -> None:
    match block.language:
        case "json":
            json.loads(block.text)
        case "toml":
            tomllib.loads(block.text)
        case "yaml":
            assert list(yaml.safe_load_all(block.text)), block.place
