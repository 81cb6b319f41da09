"""The group of `branching` commands: finds those of other packages, and turns errors into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer
import typer.main
from typer.core import TyperGroup

from classifier.console import printable
from classifier.errors import BranchingError, DependencyError, RowError

if TYPE_CHECKING:
    # Typer has carried its own copy of Click since 0.26, so neither is named at run time.
    Context = Any
    Command = Any

ENTRY_POINTS: Final = "branching.commands"
"""The entry-point group in which packages register commands."""

SOME_ROWS_FAILED: Final = 1
WRONG_CALL: Final = 2
INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141


@dataclass(frozen=True, slots=True)
class PluginCommand:
    """A command that another package registers.

    Parameters
    ----------
    name
        What it is called.
    extra
        The extra that installs what it needs.
    summary
        What it does, in one line.
    """

    name: str
    extra: str
    summary: str

    @property
    def advice(self) -> str:
        """Return how to install what it needs."""
        return f"pip install 'branching-classifier[{self.extra}]'"


PLUGIN_COMMANDS: Final = (
    PluginCommand("label", "train", "Label the steps of traces by heuristics."),
    PluginCommand("train", "train", "Train a model from traces and labelled steps."),
    PluginCommand("export", "train", "Export a trained model to ONNX."),
    PluginCommand("evaluate", "train", "Measure a model on labelled steps, beside baselines."),
    PluginCommand("sft", "sft", "Fine-tune a language model on selected traces."),
    PluginCommand("study", "study", "Compare fine-tuning on filtered and unfiltered traces."),
    PluginCommand("serve", "serve", "Serve scores over HTTP."),
)
_PLUGINS: Final = {command.name: command for command in PLUGIN_COMMANDS}


class CommandGroup(TyperGroup):
    """Loads the commands of other packages only when they are called."""

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Find the command that arguments name, and load it if it is another package's."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in _PLUGINS:
            try:
                return name, load_command(_PLUGINS[name]), rest
            except BranchingError:
                # While a shell asks what could be typed, there is no one to tell.
                if not ctx.resilient_parsing:
                    raise
        return name, command, rest

    def invoke(self, ctx: Context) -> Any:
        """Run a command; its errors end the process with a message and an exit code."""
        with exit_codes(ctx):
            return super().invoke(ctx)


def add_plugin_commands(app: typer.Typer) -> None:
    """Add a place-holder for each command of another package, so that help can name it without loading it."""
    for command in PLUGIN_COMMANDS:
        app.command(command.name, help=command.summary)(_placeholder)


def load_command(plugin: PluginCommand) -> Command:
    """Load a command of another package.

    Parameters
    ----------
    plugin
        Which one.

    Raises
    ------
    DependencyError
        If it or what it needs is not installed.
    """
    from importlib.metadata import entry_points

    found = next(iter(entry_points(group=ENTRY_POINTS, name=plugin.name)), None)
    if found is None:
        raise DependencyError(f"branching {plugin.name} is not installed. Install it: {plugin.advice}")
    try:
        function: Callable[..., Any] = found.load()
    except ModuleNotFoundError as error:
        raise _missing(plugin, error) from error
    app = typer.Typer(add_completion=False)
    app.command(plugin.name)(function)
    return typer.main.get_command(app)


@contextmanager
def exit_codes(ctx: Context) -> Iterator[None]:
    """Turn errors into a message on standard error and an exit code."""
    try:
        yield
    except RowError as error:
        raise _failure(str(error), SOME_ROWS_FAILED) from error
    except BranchingError as error:
        raise _failure(_with_notes(str(error), error), WRONG_CALL) from error
    except ModuleNotFoundError as error:
        plugin = _PLUGINS.get(ctx.invoked_subcommand or "")
        if plugin is None:
            raise
        raise _failure(str(_missing(plugin, error)), WRONG_CALL) from error
    except KeyboardInterrupt as error:
        message = "Stopped before the end"
        # Training keeps what it needs to go on, and libraries that write models may stop within a file.
        if ctx.invoked_subcommand not in _PLUGINS:
            message += "; no file was left half-written"
        raise _failure(_with_notes(message, error), INTERRUPTED) from error
    except BrokenPipeError as error:
        # Whoever read standard output wants no more, as `head` does: no reason to complain.
        raise typer.Exit(_BROKEN_PIPE) from error


def _missing(plugin: PluginCommand, error: ModuleNotFoundError) -> DependencyError:
    return DependencyError(
        f"branching {plugin.name} needs the package {error.name}, which is not installed. Install it: "
        f"{plugin.advice}"
    )


def _with_notes(message: str, error: BaseException) -> str:
    return ". ".join([message, *getattr(error, "__notes__", [])])


def _failure(message: str, code: int) -> typer.Exit:
    sys.stderr.write(f"Error: {printable(message)}\n")
    return typer.Exit(code)


def _placeholder() -> None:
    raise AssertionError("a place-holder is replaced before it runs")
