"""The benchmarks measure what they say, and their pages hold nothing but what was measured."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import contender
from benchmarks.document import make_pages
from benchmarks.processes import run_process
from benchmarks.sample import load_sample, make_traces
from benchmarks.tables import number, table
from benchmarks.windows import bare_forward, count_windows, make_windows
from classifier.model_folder import read_model_folder
from tests.example_traces import BRANCHING, TRACES


def run_of(characters: int, seconds: float) -> dict[str, float]:
    return {
        "traces": 2,
        "characters": characters,
        "seconds": seconds,
        "cpu_seconds": seconds,
        "first_score_seconds": 0.5,
        "peak_megabytes": 100.0,
    }


COMPARE = {
    "machine": {
        "processor": "a processor",
        "cores": 2,
        "gigabytes": 8.0,
        "system": "Linux",
        "python": "3.11",
        "onnxruntime": "1.20",
        "date": "2026-01-01",
        "commit": "abc",
    },
    "model": {"name": "m", "version": "1", "sha256": "0" * 64, "precision": "fp32"},
    "sample": {
        "source": "made",
        "traces": 2,
        "characters": 1_000,
        "windows": 4,
        "slots": 400,
        "tokens": 300,
    },
    "threads": 2,
    "rounds": 1,
    "contenders": {
        "command_fp32": [run_of(1_000, 2.0)],
        "pipeline": [run_of(500, 4.0)],
        "three_words": [run_of(1_000, 0.001)],
    },
    "ceiling": [{"slots": 1_000.0, "seconds": 4.0}],
    "quality": None,
}


def test_pages_show_the_measured_figures(tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text(json.dumps(COMPARE))
    pages = make_pages(tmp_path)
    text = pages["benchmarks.md"]
    assert "| window slots a second, end to end ÷ bare forward pass | 0.8 |" in text
    assert "| distinct trace tokens ÷ window slots | 0.75 |" in text
    assert "| the product of both | 0.6 |" in text
    assert "÷ MiniLM-L6 in a transformers pipeline, batch 32 | 4 × |" in text
    assert "÷ compiled regular expression, three words | 1/2,000 |" in text
    # 300 tokens in 2 seconds on 2 threads are 75 a second and core; 8e9 tokens then take 1,235 core-days.
    assert "÷ 75 tokens a second and core = 29,630 core-hours = 1,235 core-days" in pages["scale.md"]
    assert "| fp32 | 2 | 617 days | 617,284 days |" in pages["scale.md"]


def test_pages_without_results_hold_no_figures(tmp_path: Path) -> None:
    pages = make_pages(tmp_path)
    assert set(pages) == {"benchmarks.md"}
    assert "not been run on hardware" in pages["benchmarks.md"]
    assert "|" not in pages["benchmarks.md"]


def test_numbers_and_tables() -> None:
    assert [number(value) for value in (0, 0.00012, 0.1234, 12.34, 1_234.5)] == [
        "0",
        "0.000120",
        "0.123",
        "12.3",
        "1,234",
    ]
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_sample_is_the_same_on_every_call(tmp_path: Path) -> None:
    first, again = (load_sample(5, tmp_path / "absent") for _ in range(2))
    assert first == again
    assert "self-made" in first.source
    assert [len(trace) for trace in make_traces(3, (500, 500))] == pytest.approx([500] * 3, abs=2)


def test_windows_are_those_of_the_scorer() -> None:
    windows = make_windows(TRACES)
    counts = count_windows(windows)
    assert counts.windows == len(windows)
    assert counts.tokens < counts.slots == sum(len(window.tokens) for window in windows)
    assert counts.tokens > sum(map(len, TRACES)) / 10


@pytest.mark.slow
def test_bare_forward_counts_full_windows() -> None:
    run = bare_forward(make_windows([BRANCHING * 5]), batch_size=2, seconds=0.1)
    length = read_model_folder().layout.lengths[-1]
    assert run["slots"] > 0
    assert run["slots"] % (2 * length) == 0
    assert run["seconds"] >= 0.1


def test_process_is_measured_from_outside() -> None:
    code = (
        "import json, time; held = bytearray(60_000_000); "
        "print(json.dumps({'a': 1}), flush=True); time.sleep(0.2)"
    )
    run = run_process([sys.executable, "-c", code])
    assert run.lines == [{"a": 1}]
    assert run.first_seconds is not None
    assert run.seconds >= run.first_seconds + 0.15
    assert 60 <= run.peak_megabytes <= 120
    with pytest.raises(RuntimeError, match="ended with 3"):
        run_process([sys.executable, "-c", "raise SystemExit(3)"])


def test_contender_stops_when_the_time_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text('"perhaps another"\n"wait"\n')
    contender.run(contender.load_three_words(1, None, "fp32"), sample, seconds=10)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["first", "done"]
    assert (lines[1]["traces"], lines[1]["characters"]) == (2, 19)
    contender.run(contender.load_three_words(1, None, "fp32"), sample, seconds=-1)
    assert json.loads(capsys.readouterr().out.splitlines()[1])["traces"] == 0
