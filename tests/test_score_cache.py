"""The score cache: the same scores, without the model where it has seen the trace."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from classifier import BranchScorer, cli
from classifier.debug_encoder import DebugEncoder
from classifier.errors import LanguageError, OutputFileError, RowError
from classifier.model_folder import DEFAULT_FOLDER
from classifier.score_cache import CachedScorer
from classifier.windows import Window
from tests.example_traces import TRACES
from tests.fake_scorer import read_lines, write_lines


class CountingEncoder(DebugEncoder):
    """Counts the windows that it was given."""

    windows = 0

    def submit(self, windows: Sequence[Window]) -> "Future[list[npt.NDArray[np.float32]]]":
        """Count and compute."""
        self.windows += len(windows)
        return super().submit(windows)


def counting(folder: Path, **options: Any) -> tuple[CachedScorer, CountingEncoder]:
    encoder = CountingEncoder()
    return CachedScorer(BranchScorer(encoder=encoder, **options), folder), encoder


def shown(scores: Iterable[Any]) -> list[Any]:
    return [str(one) if isinstance(one, RowError) else (one.branch_rate, one.steps) for one in scores]


ODD = ["", None, "Lone \ud83d surrogate. Wait, no.", "жжж ж жж. " * 40, TRACES[0], *TRACES, TRACES[0]]


def test_scores_are_the_same_and_cost_nothing_the_second_time(tmp_path: Path) -> None:
    expected = shown(BranchScorer(encoder=DebugEncoder()).score_batch_or_errors(ODD))
    first, encoder = counting(tmp_path / "cache")
    assert shown(first.score_batch_or_errors(ODD)) == expected
    assert encoder.windows > 0
    again, encoder = counting(tmp_path / "cache")
    assert shown(again.score_batch_or_errors(reversed(ODD))) == expected[::-1]
    assert isinstance(again.score_batch_or_errors([ODD[3]])[0], LanguageError)
    assert encoder.windows == 0
    mixed = again.score_batch_or_errors(["A new one. Or not.", *TRACES])
    assert encoder.windows == 1
    assert shown(mixed[1:]) == expected[5:-1]


def test_another_threshold_needs_no_scoring_and_another_model_does(tmp_path: Path) -> None:
    scorer, _ = counting(tmp_path / "cache")
    before = scorer.score_batch_or_errors(TRACES)
    model = tmp_path / "model"
    model.mkdir()
    for path in DEFAULT_FOLDER.iterdir():
        if path.is_file():
            (model / path.name).write_bytes(path.read_bytes())
    card = json.loads((model / "card.json").read_text())
    (model / "card.json").write_text(json.dumps({**card, "threshold": 0.01}))
    other, encoder = counting(tmp_path / "cache", model=model)
    after = other.score_batch_or_errors(TRACES)
    assert encoder.windows == 0
    for one, two in zip(before, after, strict=True):
        assert not isinstance(one, RowError)
        assert not isinstance(two, RowError)
        assert (one.branch_rate, one.step_count) == (two.branch_rate, two.step_count)
        assert two.branch_count >= one.branch_count
    (model / "card.json").write_text(json.dumps({**card, "unknown_token_limit": 0.2}))
    other, encoder = counting(tmp_path / "cache", model=model)
    other.score_batch_or_errors(TRACES)
    assert encoder.windows > 0


def test_a_cache_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "scores.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(OutputFileError, match=r"scores\.sqlite cannot be used: file is not a database"):
        counting(tmp_path)
    with pytest.raises(OutputFileError, match=r"cannot be used: .*File exists"):
        counting(tmp_path / "scores.sqlite")


def test_a_cache_without_room(tmp_path: Path) -> None:
    scorer, _ = counting(tmp_path)
    scorer._database.execute("PRAGMA max_page_count = 2")
    with pytest.raises(OutputFileError, match="database or disk is full"):
        scorer.score_batch_or_errors(f"Step {n}. " * 50 for n in range(50))


def test_the_command_takes_scores_from_the_cache(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"trace": trace} for trace in TRACES])
    for name in ("plain", "first", "second"):
        cache = [] if name == "plain" else ["--cache", str(tmp_path / "cache")]
        with pytest.raises(SystemExit) as stop:
            cli.app(["score", str(source), "-o", str(tmp_path / f"{name}.jsonl"), "--steps", *cache])
        assert stop.value.code == 0
    outputs = [(tmp_path / f"{name}.jsonl").read_bytes() for name in ("plain", "first", "second")]
    assert len(set(outputs)) == 1
    assert len(read_lines(tmp_path / "second.jsonl")) == len(TRACES)
    with sqlite3.connect(tmp_path / "cache" / "scores.sqlite") as database:
        assert database.execute("SELECT count(*) FROM scores").fetchone() == (len(set(TRACES)),)
    database.close()
