"""Probabilities of traces that were scored before, kept in a folder by what the traces hold."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from classifier.errors import OutputFileError, RowError
from classifier.kinds import KINDS
from classifier.scorer import TraceScore
from classifier.steps import split_steps
from classifier.surrogates import without_surrogates
from classifier.version import __version__

if TYPE_CHECKING:
    from classifier.scorer import BranchScorer

_FILE: Final = "scores.sqlite"
_PATIENCE_SECONDS: Final = 60.0
_KEYS_AT_A_TIME: Final = 500


class CachedScorer:
    """Scores traces; those that the same model scored before cost no forward pass.

    What is kept are the kind probabilities of each step, under a hash of the trace, the SHA-256 of model and
    tokenizer, the precision, the provider and the package version. Rates, counts and kinds come from
    them as ever, so that another threshold needs no scoring. Several runs may share a folder.

    Parameters
    ----------
    scorer
        Scores the traces that are new.
    folder
        Where the cache is; made if need be.

    Raises
    ------
    OutputFileError
        If the cache cannot be read or written, here or later.
    """

    def __init__(self, scorer: BranchScorer, folder: Path) -> None:
        self._scorer = scorer
        self._path = folder / _FILE
        self._base = hashlib.blake2b(json.dumps(_identity(scorer)).encode(), digest_size=20)
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._path, timeout=_PATIENCE_SECONDS)
            with self._database:
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS scores (trace BLOB PRIMARY KEY, probabilities BLOB NOT NULL) "
                    "WITHOUT ROWID"
                )

    def score_batch_or_errors(self, traces: Iterable[object]) -> list[TraceScore | RowError]:
        """Score traces; one that cannot be scored gives its error and leaves the others alone.

        Parameters
        ----------
        traces
            The chains of thought, or whatever stands in their place.

        Returns
        -------
        list of TraceScore or RowError
            One a trace, in order.
        """
        given = list(traces)
        keys = [self._key(trace) if isinstance(trace, str) else None for trace in given]
        found = self._read([key for key in keys if key is not None])
        new = [index for index, key in enumerate(keys) if key is None or key not in found]
        scores = dict(
            zip(new, self._scorer.score_batch_or_errors([given[index] for index in new]), strict=True)
        )
        self._write(
            (key, score.probabilities.tobytes())
            for index, score in scores.items()
            if isinstance(score, TraceScore) and (key := keys[index]) is not None
        )
        return [
            scores[index] if index in scores else self._score(trace, found[key or b""])
            for index, (trace, key) in enumerate(zip(given, keys, strict=True))
        ]

    def _key(self, trace: str) -> bytes:
        key = self._base.copy()
        key.update(trace.encode("utf-8", "surrogatepass"))
        return key.digest()

    def _score(self, trace: object, kept: bytes) -> TraceScore | RowError:
        probabilities = np.frombuffer(kept, dtype=np.float32).reshape(-1, len(KINDS))
        spans = split_steps(without_surrogates(str(trace)))
        return TraceScore(spans, probabilities, self._scorer.threshold)

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        with self._explained():
            for start in range(0, len(keys), _KEYS_AT_A_TIME):
                some = keys[start : start + _KEYS_AT_A_TIME]
                places = ", ".join("?" * len(some))
                query = f"SELECT trace, probabilities FROM scores WHERE trace IN ({places})"  # noqa: S608
                found.update(self._database.execute(query, some))
        return found

    def _write(self, kept: Iterable[tuple[bytes, bytes]]) -> None:
        with self._explained(), self._database:
            self._database.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?)", kept)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutputFileError(
                f"The score cache {self._path} cannot be used: {error}. Free some space, delete the file if "
                "it is damaged, or leave --cache out"
            ) from error


def _identity(scorer: BranchScorer) -> list[str]:
    card = scorer.card
    return [
        scorer.model.sha256,
        str(card.get("sha256", {}).get("tokenizer.json")),
        json.dumps([card.get("layout"), card.get("unknown_token_limit")], sort_keys=True),
        scorer.model.precision,
        *scorer.providers,
        __version__,
    ]
