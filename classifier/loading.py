"""Load the scorer for a run over files, when it is known to be needed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from classifier.errors import EndpointError, RowError
from classifier.row_stream import LoadedScorer
from classifier.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from classifier.columns import ScoresTraces

# Rows come a few hundred at a time (`BatchLimits`): small requests, so that each time several are under way.
_ENDPOINT_TRACES: Final = 32
_ENDPOINT_CHARACTERS: Final = 50_000


def scorer_loader(
    *,
    model: str | None = None,
    provider: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    batch_size: int | None = None,
    schema: str | None = None,
    column: str | None = None,
    steps: bool = False,
    cache: str | None = None,
) -> Callable[[], LoadedScorer]:
    """Make a function that loads a scorer.

    Parameters
    ----------
    model, precision
        The model folder or embedded model, `default` by default, and which of its files.
    provider, threads, batch_size
        Where and how the model runs; see `BranchScorer`.
    schema, column
        Where rows have their traces; found by itself by default.
    steps
        Whether rows get `branch_steps` too.
    cache
        A folder that remembers what traces scored; see `classifier.score_cache`.

    Returns
    -------
    callable
        Loads the scorer. It raises `ModelError` if the model cannot be used, `OutputFileError` if the cache
        cannot, and `OptionError` if there is
        no such schema.
    """

    def load() -> LoadedScorer:
        from classifier.columns import RowScorer
        from classifier.scorer import BranchScorer

        _check_schema(schema, column)
        scorer = BranchScorer(
            model,
            providers=None if provider is None else [provider],
            precision=precision,
            threads=threads,
            batch_size=batch_size,
        )
        # Threads and batch size are left out: scores do not depend on them, and so the output's bytes do not.
        provenance = {
            "model": {
                "name": scorer.model.name,
                "version": scorer.model.version,
                "sha256": scorer.model.sha256,
                "precision": scorer.model.precision,
            },
            "package_version": __version__,
            "threshold": scorer.threshold,
            "provider": scorer.providers[0] if scorer.providers else None,
            "options": {"schema": schema, "column": column, "steps": steps},
        }
        traces: ScoresTraces = scorer
        if cache is not None:
            from classifier.score_cache import CachedScorer

            traces = CachedScorer(scorer, Path(cache))
        return LoadedScorer(RowScorer(traces, column=column, schema=schema, steps=steps), provenance)

    return load


def endpoint_loader(
    url: str, *, schema: str | None = None, column: str | None = None, steps: bool = False
) -> Callable[[], LoadedScorer]:
    """Make a function that reaches a scoring service.

    Parameters
    ----------
    url
        Where the service runs.
    schema, column, steps
        As for `scorer_loader`.

    Returns
    -------
    callable
        Reaches the service. It raises `EndpointError` if there is none, `DependencyError` if the client's
        packages are missing, and `OptionError` if there is no such schema.
    """

    def load() -> LoadedScorer:
        from classifier.client import ScoringClient

        _check_schema(schema, column)
        client = ScoringClient(url, batch_size=_ENDPOINT_TRACES, batch_characters=_ENDPOINT_CHARACTERS)
        info = client.info()
        try:
            provenance = {
                "model": {name: info["model"][name] for name in ("name", "version", "sha256", "precision")},
                "package_version": info["model"]["package_version"],
                "threshold": info["model"]["threshold"],
                "provider": next(iter(info["providers"]), None),
                "options": {"schema": schema, "column": column, "steps": steps},
            }
        except (KeyError, TypeError) as error:
            raise EndpointError(
                f"{url} does not say which model it runs; check that a scoring service (branching serve) of "
                "this version runs there"
            ) from error
        return LoadedScorer(client.columns(column, schema=schema, steps=steps), provenance)

    return load


def _check_schema(schema: str | None, column: str | None) -> None:
    """Find out that a schema does not exist before anything is read or written."""
    from classifier.traces import read_traces

    with suppress(RowError):
        read_traces({}, schema=schema, column=column)
