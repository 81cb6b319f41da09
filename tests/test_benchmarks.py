"""The benchmarks measure what they say, and their pages hold nothing but what was measured."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from benchmarks import contender
from benchmarks.document import make_pages
from benchmarks.layouts import with_layout
from benchmarks.load import OtherLoad
from benchmarks.processes import run_process
from benchmarks.sample import load_sample, make_traces
from benchmarks.scale import former_note
from benchmarks.tables import number, table
from benchmarks.variants import Variant, parse_variants
from benchmarks.vocabularies import measure
from benchmarks.windows import bare_forward, count_windows, make_windows
from classifier.errors import OptionError
from classifier.model_folder import read_model_folder
from tests.example_traces import BRANCHING, TRACES
from training.prune import bert_layers
from training.vocabulary import cut_vocabulary


def run_of(characters: int, seconds: float) -> dict[str, float]:
    return {
        "traces": 2,
        "characters": characters,
        "seconds": seconds,
        "cpu_seconds": seconds,
        "first_score_seconds": 0.5,
        "peak_megabytes": 100.0,
    }


def variant_of(tokens: int) -> dict[str, Any]:
    return {
        "model": {"name": "m", "version": "1", "sha256": "0" * 64, "precision": "fp32"},
        "windows": 4,
        "slots": 400,
        "tokens": tokens,
        "ceiling": [{"slots": 1_000.0, "seconds": 4.0, "cpu_seconds": 8.0}],
    }


COMPARE: dict[str, Any] = {
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
    "load": {"others_share": 0.01, "load_averages": [1.0, 1.0, 1.0]},
    "sample": {"source": "made", "traces": 2, "characters": 1_000},
    "variants": {"default": variant_of(300), "fast": variant_of(320)},
    "threads": 2,
    "rounds": 1,
    "contenders": {
        "command_default": [run_of(1_000, 2.0)],
        "command_fast": [run_of(1_000, 0.5)],
        "library_fast": [{**run_of(1_000, 0.5), "long_trace_seconds": 0.1234}],
        "pipeline": [run_of(500, 4.0)],
        "three_words": [run_of(1_000, 0.001)],
    },
    "quality": None,
}


def test_pages_show_the_measured_figures(tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text(json.dumps(COMPARE))
    pages = make_pages(tmp_path)
    text = pages["benchmarks.md"]
    # 400 slots in 2 and in half a second, against 250 a second.
    assert "| window slots a second, end to end ÷ bare forward pass | 0.8 | 3.2 | ≥ 0.85 |" in text
    assert "| distinct trace tokens ÷ window slots | 0.75 | 0.8 | ≥ 0.80 |" in text
    assert "| **the product of both** | 0.6 | 2.56 |  |" in text
    # 8 CPU-seconds for 1,000 slots, against 2 and 0.5 for 400.
    assert "| CPU-seconds a slot, bare forward pass ÷ end to end | 1.6 | 6.4 |  |" in text
    assert "| trace tokens a second, end to end | 150 | 640 | fast: ≥ 38,000 |" in text
    assert (
        "| one trace of 15,000 characters in a warm process (library call), milliseconds |  | 123 |" in text
    )
    assert "÷ those of MiniLM-L6 in a transformers pipeline, batch 32 | 4 × | 16 × |" in text
    assert "÷ those of compiled regular expression, three words | 1/2,000 | 1/500 |" in text
    assert "| library call, fast | 4 | 2,000 | 600 |" in text
    # 300 tokens in 2 seconds on 2 threads are 75 a second and core; 8e9 tokens then take 1,235 core-days.
    assert "÷ 75 tokens a second and core = 29,630 core-hours = 1,235 core-days" in pages["scale.md"]
    assert "| default | 2 cores, as measured | 617 days | 617,284 days |" in pages["scale.md"]


def test_a_section_of_another_measurement_says_so(tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text(json.dumps(COMPARE))
    memory = {
        "machine": COMPARE["machine"],
        "load": COMPARE["load"],
        "model": "fast",
        "gigabytes": 1.0,
        "threads": 1,
        "minutes": 2.0,
        "peak_megabytes": 90.0,
        "megabytes_a_minute": 0.1,
    }
    (tmp_path / "memory.json").write_text(json.dumps(memory))
    assert "Measured apart" not in make_pages(tmp_path)["benchmarks.md"]
    other = {**memory, "machine": {**COMPARE["machine"], "commit": "def", "processor": "another"}}
    (tmp_path / "memory.json").write_text(json.dumps(other))
    said = "on 2026-01-01 at commit def with the models of that commit, on another, cores: 2."
    assert f"Measured apart from the comparison, {said}" in make_pages(tmp_path)["benchmarks.md"]


def test_pages_of_a_shared_machine_claim_no_target(tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text(json.dumps(COMPARE))
    assert "No target counts as met" not in make_pages(tmp_path)["benchmarks.md"]
    shared = {**COMPARE, "load": {"others_share": 0.4, "load_averages": [3.0, 2.0, 1.0]}}
    (tmp_path / "compare.json").write_text(json.dumps(shared))
    text = make_pages(tmp_path)["benchmarks.md"]
    assert "other processes took 40% of the processor time" in text
    assert "No target counts as met" in text


def test_pages_without_results_hold_no_figures(tmp_path: Path) -> None:
    pages = make_pages(tmp_path)
    assert set(pages) == {"benchmarks.md"}
    assert "not been run on hardware" in pages["benchmarks.md"]
    assert "|" not in pages["benchmarks.md"]


def test_pages_show_what_a_gpu_did(tmp_path: Path) -> None:
    one = {
        "precision": "fp16",
        "sha256": "0" * 64,
        "traces": 600,
        "traces_per_second": 500.0,
        "trace_tokens_per_second": 1_000_000.0,
        "slots_per_second": 1_500_000.0,
        "hours_per_million_traces": 8e9 / 1e6 / 3_600,
        "bare_slots_per_second": 3_000_000.0,
        "torch_slots_per_second": 4_000_000.0,
        "largest_difference_from_cpu": 0.0012,
    }
    gpu = {
        "device": "Some GPU",
        "onnxruntime": "1",
        "torch": "2",
        "sample": "traces",
        "variants": {"default-fp16": one},
    }
    (tmp_path / "compare.json").write_text(json.dumps(COMPARE))
    (tmp_path / "gpu.json").write_text(json.dumps(gpu))
    pages = make_pages(tmp_path)
    row = "| default-fp16 | fp16 | 500 | 1,000,000 | 2.22 | 3,000,000 | 4,000,000 | 0.75 | 0.50 | 0.0012 |"
    assert row in pages["benchmarks.md"]
    assert "on one Some GPU" in pages["benchmarks.md"]
    # 8e9 tokens at a million a second are 2.22 hours, and a thousand times that is 92.6 days.
    assert "| default-fp16 | 1,000,000 | 2.22 h | 92.6 days |" in pages["scale.md"]
    assert "A GPU has not been measured" not in pages["scale.md"]
    assert (
        "`python -m benchmarks.gpu --variants default-fp16=FOLDER:fp16 --traces 600`"
        in pages["benchmarks.md"]
    )


def test_figures_of_a_former_model_say_so(tmp_path: Path) -> None:
    memory = {
        "machine": {**COMPARE["machine"], "commit": "def"},
        "load": COMPARE["load"],
        "model": "fast",
        "sha256": "1" * 64,
        "gigabytes": 1.0,
        "threads": 1,
        "minutes": 2.0,
        "peak_megabytes": 90.0,
        "megabytes_a_minute": 0.1,
    }
    (tmp_path / "compare.json").write_text(json.dumps(COMPARE))
    (tmp_path / "memory.json").write_text(json.dumps(memory))
    text = make_pages(tmp_path)["benchmarks.md"]
    assert "model fast (SHA-256 111111111111), threads" in text
    assert "at commit def with the fast model before this one, on" in text
    (tmp_path / "memory.json").write_text(json.dumps({**memory, "sha256": "0" * 64}))
    assert "at commit def with the models of that commit, on" in make_pages(tmp_path)["benchmarks.md"]
    measured = {"variants": {"default": {"sha256": "1" * 64}, "fast": {"sha256": "0" * 64}}}
    assert former_note(measured, COMPARE) == " with the default model before this one"
    measured["variants"]["fast"]["sha256"] = "2" * 64
    assert former_note(measured, COMPARE) == " with the default and fast models before these ones"
    assert former_note(measured, None) == ""


@pytest.mark.parametrize("name", ["default", "fast"])
def test_torch_runs_a_model_of_the_embedded_shape(name: str) -> None:
    from benchmarks.gpu import SHAPES, untrained_encoder

    config = read_model_folder(name).card["config"]
    heads, units = SHAPES[name]
    assert (config.get("heads") or 12, config.get("feed_forward_units") or 1_536) == (heads, units)
    encoder = untrained_encoder(heads, units)
    for layer in bert_layers(encoder):
        assert layer.attention.self.query.weight.shape == (heads * 32, 384)
        assert layer.output.dense.weight.shape == (384, units)
    assert encoder(torch.ones(1, 8, dtype=torch.long)).last_hidden_state.shape == (1, 8, 384)


def test_variants_are_read_from_the_command_line() -> None:
    default, fast, int8 = parse_variants(["default", "fast=some/folder", "int8=runs/int8:int8"])
    assert (default, default.arguments) == (Variant("default"), ["--precision", "fp32"])
    assert fast == Variant("fast", "some/folder")
    assert int8.arguments == ["--model", "runs/int8", "--precision", "int8"]
    assert parse_variants(["fast"]) == [Variant("fast", "fast")]
    with pytest.raises(OptionError, match="a name of its own"):
        parse_variants(["fast", "fast=elsewhere"])


def test_other_processes_are_told_from_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {"monotonic": 10.0, "busy": 100.0, "own": 5.0}
    monkeypatch.setattr("time.monotonic", lambda: clocks["monotonic"])
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("benchmarks.load._busy_seconds", lambda: clocks["busy"])
    monkeypatch.setattr("benchmarks.load._own_seconds", lambda: clocks["own"])
    load = OtherLoad()
    # Of 20 seconds that two cores had in ten, 15 were used, 12 of them by us.
    clocks.update(monotonic=20.0, busy=115.0, own=17.0)
    assert load.describe()["others_share"] == pytest.approx(3 / 20)


def test_a_layout_is_tried_with_the_same_model(tmp_path: Path) -> None:
    folder = with_layout(Variant("default"), 256, 64, tmp_path)
    original, changed = read_model_folder(), read_model_folder(folder)
    assert (changed.layout.lengths[-1], changed.layout.context_tokens) == (256, 64)
    assert changed.info == original.info
    text = BRANCHING * 20
    more, own = count_windows(make_windows([text], str(folder))), count_windows(make_windows([text]))
    assert more.tokens == own.tokens
    assert more.slots > own.slots


def test_larger_vocabularies_take_fewer_tokens() -> None:
    tokenizer = Tokenizer.from_file(str(read_model_folder().tokenizer_file))
    small, _ = cut_vocabulary(tokenizer, Counter(), 3_000)
    less, more = measure(small, TRACES), measure(tokenizer, TRACES)
    assert less["tokens"] == 3_000
    assert 1 < less["characters_a_token"] < more["characters_a_token"] < 6
    assert less["megabytes"]["192"] == pytest.approx(3_000 * 192 * 2 / 1e6)


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
    run = bare_forward(make_windows([BRANCHING * 5]), Variant("default"), batch_size=2, seconds=0.1)
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
