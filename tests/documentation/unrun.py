"""Checks blocks that cannot be run here as far as that goes: their syntax, and the options that they use."""

import re
import shlex
import subprocess

import typer

from classifier.cli import app
from tests.documentation.blocks import Block

COMMAND = typer.main.get_group(app)


def check_unrun(block: Block) -> None:
    """Check the syntax of a block, and every call of `branching` in it against the command's options.

    Raises
    ------
    AssertionError
        If something is wrong with it.
    """
    if block.language == "python":
        compile(block.text, block.place, "exec")
        return
    assert block.language == "bash", f"{block.place}: a block of {block.language} needs nothing"
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.place}: {done.stderr}"
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["branching"]:
            _check_call(block, words[1:])


def options_of(command: str) -> set[str]:
    """Return the options of a command of `branching`."""
    assert command in COMMAND.commands, f"branching has no command {command}"
    _, found, _ = COMMAND.resolve_command(typer.Context(COMMAND), [command])
    assert found is not None
    return {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}


def _check_call(block: Block, words: list[str]) -> None:
    known = options_of(words[0]) | {"--help"}
    given = {re.sub("=.*", "", word) for word in words[1:] if word.startswith("-") and word != "-"}
    assert given <= known, f"{block.place}: branching {words[0]} has no {sorted(given - known)}"
