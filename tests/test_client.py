"""The client: the library's scores through a service that runs."""

import asyncio
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from classifier import BranchScorer
from classifier.cli import app
from classifier.client import AsyncScoringClient, ScoringClient, ServedScore
from classifier.columns import RowScorer
from classifier.debug_encoder import DebugEncoder
from classifier.errors import (
    EmptyTraceError,
    EndpointError,
    LanguageError,
    RowError,
    TraceLengthError,
)
from tests.example_traces import BRANCHING, CONVERGING, TRACES
from tests.service_process import running_service

ODD = ["", None, 7, "Сложим оба числа и получим двенадцать.", "A lone \ud800 surrogate."]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("service")
    keys = folder / "keys"
    keys.write_text("the-key\n")
    with running_service(
        folder, encoder="debug", max_items=8, max_body_bytes=60_000, api_keys_file=keys
    ) as service:
        yield service.url
        assert "the-key" not in service.text()


@pytest.fixture(scope="module")
def library() -> BranchScorer:
    return BranchScorer(encoder=DebugEncoder())


def check(found: ServedScore | RowError, library: BranchScorer, trace: object, *, steps: bool) -> None:
    (expected,) = library.score_batch_or_errors([trace])
    if isinstance(expected, RowError):
        assert type(found) is type(expected)
        assert isinstance(found, RowError)
        assert found.column_text == expected.column_text
        return
    assert isinstance(found, ServedScore)
    for name in ("branch_rate", "branch_count", "step_count", "kinds"):
        assert getattr(found, name) == getattr(expected, name)
    assert list(found.steps) == (expected.steps if steps else [])


@pytest.mark.parametrize("steps", [False, True])
def test_scores_are_those_of_the_library(url: str, library: BranchScorer, steps: bool) -> None:
    # More than one request, and more traces and longer ones in a request than the service takes.
    traces = [*TRACES, *ODD, f"<think>{BRANCHING}</think>Two.", *[f"{CONVERGING} {n}." for n in range(50)]]
    traces += [BRANCHING * 60, BRANCHING * 60, BRANCHING * 60]
    with ScoringClient(url, api_key="the-key", steps=steps, batch_size=16) as client:
        for found, trace in zip(client.score_batch_or_errors(traces), traces, strict=True):
            check(found, library, trace, steps=steps)
        check(client.score(BRANCHING), library, BRANCHING, steps=steps)
        assert client.score_batch([]) == []
        assert client.info()["model"]["sha256"] == library.model.sha256


def test_scores_from_an_event_loop(url: str, library: BranchScorer) -> None:
    traces = [*TRACES, *ODD, *[f"{CONVERGING} {n}." for n in range(40)]]

    async def score() -> None:
        async with AsyncScoringClient(url, api_key="the-key", batch_size=9, connections=3) as client:
            found = await client.score_batch_or_errors(traces)
            for one, trace in zip(found, traces, strict=True):
                check(one, library, trace, steps=False)
            check(await client.score(BRANCHING), library, BRANCHING, steps=False)
            with pytest.raises(EmptyTraceError):
                await client.score_batch([BRANCHING, ""])
            assert (await client.info())["version"]

    asyncio.run(score())


def test_trace_that_is_too_long_for_the_service(url: str) -> None:
    with ScoringClient(url, api_key="the-key") as client:
        good, bad = client.score_batch_or_errors([BRANCHING, "x" * 70_000])
        assert isinstance(good, ServedScore)
        assert isinstance(bad, TraceLengthError)

    async def score() -> list[ServedScore | RowError]:
        async with AsyncScoringClient(url, api_key="the-key") as client:
            return await client.score_batch_or_errors([BRANCHING, "x" * 70_000])

    assert asyncio.run(score())[0] == good


def test_first_bad_trace_is_raised(url: str) -> None:
    with ScoringClient(url, api_key="the-key") as client, pytest.raises(LanguageError) as raised:
        client.score_batch([BRANCHING, ODD[3], ""])  # type: ignore[list-item]
    assert raised.value.__notes__ == ["This was trace 1 of the batch."]


def test_key_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScoringClient(url) as client, pytest.raises(EndpointError, match="401"):
        client.score(BRANCHING)
    monkeypatch.setenv("BRANCHING_API_KEY", "the-key")
    with ScoringClient(url) as client:
        assert client.score(BRANCHING).step_count


def test_columns_are_those_of_the_library(url: str, library: BranchScorer) -> None:
    rows = [
        {"messages": [{"role": "assistant", "content": f"<think>{BRANCHING}</think>Two hours."}]},
        {"trace": CONVERGING},
        {"generations": [f"<think>{BRANCHING}</think>", f"<think>{CONVERGING}</think>"]},
        {"trace": None},
        {"generations": [f"<think>{BRANCHING}</think>", "<think>\ud800</think>"]},
    ]
    client = ScoringClient(url, api_key="the-key")
    for steps in (False, True):
        served = pickle.loads(pickle.dumps(client.columns(steps=steps)))  # noqa: S301
        assert served.score_rows(rows) == RowScorer(library, steps=steps).score_rows(rows)


def test_in_datasets_map(url: str, library: BranchScorer) -> None:
    datasets = pytest.importorskip("datasets")
    traces = [f"{trace} {number}." for number in range(5) for trace in TRACES]
    data = datasets.Dataset.from_dict({"trace": traces})
    columns = ScoringClient(url, api_key="the-key").columns("trace")
    mapped = data.map(columns, batched=True, batch_size=7, num_proc=2, load_from_cache_file=False)
    assert mapped["branch_rate"] == [score.branch_rate for score in library.score_batch(traces)]


def test_from_the_command_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRANCHING_API_KEY", "the-key")
    source = tmp_path / "traces.jsonl"
    source.write_text("".join(json.dumps({"trace": trace}) + "\n" for trace in [*TRACES, None]))

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as stop:
            app(["score", str(source), *arguments], prog_name="branching")
        return int(str(stop.value.code or 0))

    served, local = tmp_path / "served.jsonl", tmp_path / "local.jsonl"
    assert run("-o", str(served), "--endpoint", url, "--steps") == 1
    monkeypatch.setattr("classifier.scorer.OnnxEncoder", lambda *_, **__: DebugEncoder())
    assert run("-o", str(local), "--steps") == 1
    assert served.read_bytes() == local.read_bytes()

    assert run("-o", str(tmp_path / "none.jsonl"), "--endpoint", url, "--threads", "2") == 2
    assert "--endpoint scores elsewhere: leave out --threads" in capfd.readouterr().err
    monkeypatch.setenv("BRANCHING_API_KEY", "wrong")
    assert run("-o", str(tmp_path / "none.jsonl"), "--endpoint", url) == 2
    assert "401" in capfd.readouterr().err
    assert not (tmp_path / "none.jsonl").exists()
