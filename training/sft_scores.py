"""Branch rates of the rows to fine-tune on, kept in the run folder as they come."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from classifier.errors import EndpointError, OptionError, RowError
from training.json_files import read_rows, write_rows

logger = logging.getLogger(__name__)

CHUNK: Final = 256
"""Traces whose scores are written down together."""

_MODEL: Final = "model_sha256"


class Scorer(Protocol):
    """What scores traces: `BranchScorer` or `ScoringClient`."""

    def score_batch_or_errors(self, traces: Sequence[str], /) -> Sequence[Any]:
        """Score traces; one that cannot be scored gives its error."""


def open_scorer(endpoint: str | None = None, threads: int | None = None) -> Scorer:
    """Open the embedded model, or the client of a running service.

    Parameters
    ----------
    endpoint
        The address of the service.
    threads
        Threads of the embedded model.
    """
    if endpoint is not None:
        from classifier.client import ScoringClient

        return ScoringClient(endpoint)
    from classifier.scorer import BranchScorer

    return BranchScorer(threads=threads)


def scored_columns(traces: Sequence[str], scorer: Scorer, store: Path) -> list[dict[str, Any]]:
    """Score traces, or go on where scoring was stopped.

    Parameters
    ----------
    traces
        The chains of thought.
    scorer
        What scores them.
    store
        A JSONL file of the scores so far, found by the hash of the trace, each with the hash of the model.

    Returns
    -------
    list of dict
        `branch_rate`, `branch_count`, `step_count` and `branch_error` of each, in order.

    Raises
    ------
    OptionError
        If the scores so far are another model's.
    EndpointError
        If a service stays away after retries; what it has scored is kept.
    """
    keys = [hashlib.sha256(trace.encode("utf-8", "surrogatepass")).hexdigest() for trace in traces]
    known = {row["sha256"]: row for row in read_rows(store)} if store.is_file() else {}
    missing = {key: trace for key, trace in zip(keys, traces, strict=True) if key not in known}
    todo = list(missing)
    write_rows(store, known.values())  # without a last line that was cut off
    before = scored_by(store)
    model = ""
    with store.open("a", encoding="utf-8") as file:
        for start in range(0, len(todo), CHUNK):
            chunk = todo[start : start + CHUNK]
            try:
                model = model or _one_model(scorer, before, store)
                scores = scorer.score_batch_or_errors([missing[key] for key in chunk])
            except EndpointError as error:
                raise EndpointError(
                    f"{error}. {len(known):,} of {len(known) + len(todo) - start:,} traces are scored and "
                    f"kept in {store}; start the service and run the same command again to go on"
                ) from error
            for key, score in zip(chunk, scores, strict=True):
                known[key] = {"sha256": key, _MODEL: model, **_columns(score)}
                file.write(json.dumps(known[key]) + "\n")
            file.flush()
            logger.info("Scored %s of %s traces", f"{start + len(chunk):,}", f"{len(todo):,}")
    return [
        {name: value for name, value in known[key].items() if name not in ("sha256", _MODEL)} for key in keys
    ]


def scored_by(store: Path) -> str | None:
    """Return the SHA-256 of the model whose scores a file holds, None where it holds none."""
    if not store.is_file():
        return None
    with store.open(encoding="utf-8") as lines:
        first = lines.readline()
    # A line without an end was cut off when its run was stopped.
    return str(json.loads(first).get(_MODEL, "unknown")) if first.endswith("\n") else None


def _one_model(scorer: Any, before: str | None, store: Path) -> str:
    """Return the SHA-256 of a scorer's model; it must be that of the scores so far."""
    # `BranchScorer` knows its model; a client asks the service for its own.
    sha256 = str(scorer.model.sha256 if hasattr(scorer, "model") else scorer.info()["model"]["sha256"])
    if before is not None and before != sha256:
        raise OptionError(
            f"{store} holds scores of the model {before[:12]}, and the scorer has the model {sha256[:12]}; "
            "rates of two models cannot be compared: score with the first again, or delete the file"
        )
    return sha256


def _columns(score: Any) -> dict[str, Any]:
    if isinstance(score, RowError):
        return {
            "branch_rate": None,
            "branch_count": None,
            "step_count": None,
            "branch_error": score.column_text,
        }
    return {
        "branch_rate": score.branch_rate,
        "branch_count": score.branch_count,
        "step_count": score.step_count,
        "branch_error": None,
    }
