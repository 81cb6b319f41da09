"""The options that the benchmarks of the service share."""

import argparse
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """How to run the service, and what else was given.

    Parameters
    ----------
    model
        A model folder, or None for the embedded model.
    clients
        How many send at a time.
    settings
        Settings of the service, the model among them.
    others
        The benchmark's own options, by their names.
    """

    model: str | None
    clients: int
    settings: dict[str, Any]
    others: argparse.Namespace


def service_parser(about: str | None, *, clients: int) -> argparse.ArgumentParser:
    """Return a parser that knows `--model`, `--clients` and `--set`.

    Parameters
    ----------
    about
        What the benchmark does.
    clients
        How many send at a time, unless told otherwise.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--model", help="a model folder; the embedded model by default")
    parser.add_argument("--clients", type=int, default=clients)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the service")
    return parser


def parse_service_options(parser: argparse.ArgumentParser) -> ServiceOptions:
    """Parse the command line with a parser of `service_parser`."""
    others = parser.parse_args()
    settings: dict[str, Any] = dict(one.split("=", 1) for one in others.set)
    if others.model:
        settings["model"] = others.model
    return ServiceOptions(others.model, others.clients, settings, others)
