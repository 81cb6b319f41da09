"""One way of scoring traces, in a process of its own.

Run: python -m benchmarks.contender NAME SAMPLE.jsonl [--seconds 60] [--threads 2]
Prints a line after the first trace, and one with what was done at the end; with --long one before it with how
long a trace of 15,000 characters takes.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

THREE_WORDS = re.compile(r"\b(perhaps|another|alternatively)\b", re.IGNORECASE)
PIPELINE_BATCH = 32
_LONG_TRACE = 15_000
_LONG_REPEATS = 7

Score = Callable[[Sequence[str]], Any]


def load_library(threads: int, model: str | None, precision: str) -> Score:
    """Load this project's scorer."""
    from classifier import BranchScorer

    return BranchScorer(model, threads=threads, precision=precision).score_batch


def load_pipeline(threads: int, model: str | None, precision: str) -> Score:
    """Load a MiniLM-L6 sequence classifier in a transformers pipeline, which gets the same steps."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    from classifier.steps import split_steps
    from training.model import minilm_path

    torch.set_num_threads(threads)
    classify = pipeline(
        "text-classification",
        model=AutoModelForSequenceClassification.from_pretrained(minilm_path(), num_labels=2),
        tokenizer=AutoTokenizer.from_pretrained(minilm_path()),
        batch_size=PIPELINE_BATCH,
        device="cpu",
    )

    def score(traces: Sequence[str]) -> Any:
        return [
            classify([trace[start:end] for start, end in split_steps(trace)], truncation=True, max_length=256)
            for trace in traces
        ]

    return score


def load_step_by_step(threads: int, model: str | None, precision: str) -> Score:
    """Load the same MiniLM-L6 sequence classifier in ONNX Runtime, one step a call."""
    import numpy as np
    import onnxruntime
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from classifier.steps import split_steps
    from training.model import minilm_path

    network = AutoModelForSequenceClassification.from_pretrained(minilm_path(), num_labels=2).eval()
    tokenizer = AutoTokenizer.from_pretrained(minilm_path()).backend_tokenizer
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    example = torch.ones((1, 16), dtype=torch.int64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network,
            (example, example),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=({1: torch.export.Dim("length", min=2, max=256)},) * 2,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def score(traces: Sequence[str]) -> Any:
        results = []
        for trace in traces:
            for start, end in split_steps(trace):
                tokens = np.array([tokenizer.encode(trace[start:end]).ids], dtype=np.int64)
                inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
                results.append(session.run(None, inputs)[0])
        return results

    return score


def load_three_words(threads: int, model: str | None, precision: str) -> Score:
    """Count three words with a regular expression: the floor."""
    return lambda traces: [len(THREE_WORDS.findall(trace)) for trace in traces]


CONTENDERS: dict[str, Callable[[int, str | None, str], Score]] = {
    "library": load_library,
    "pipeline": load_pipeline,
    "step_by_step": load_step_by_step,
    "three_words": load_three_words,
}
_ALL_AT_ONCE = {"library"}


def main() -> None:
    """Score the sample, or as much of it as the time allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("sample", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--long", action="store_true", help="time a trace of 15,000 characters too")
    options = parser.parse_args()
    score = CONTENDERS[options.name](options.threads, options.model, options.precision)
    run(score, options.sample, options.seconds, all_at_once=options.name in _ALL_AT_ONCE, long=options.long)


def run(score: Score, sample: Path, seconds: float, *, all_at_once: bool = False, long: bool = False) -> None:
    """Score traces until they or the time are used up, and print what was done.

    Parameters
    ----------
    score
        Scores some traces.
    sample
        A file with one trace a line, as JSON strings.
    seconds
        No further trace is begun after this time.
    all_at_once
        Whether all traces are given in one call.
    long
        Whether a trace of 15,000 characters is timed as well.
    """
    traces = [json.loads(line) for line in sample.read_text(encoding="utf-8").splitlines()]
    score(traces[:1])
    _print({"event": "first"})
    if long:
        _print({"event": "long", "characters": _LONG_TRACE, "seconds": _time_long_trace(score)})
    began, cpu_began, done = time.perf_counter(), time.process_time(), 0
    for group in [traces] if all_at_once else [[trace] for trace in traces]:
        if time.perf_counter() - began > seconds:
            break
        score(group)
        done += len(group)
    _print(
        {
            "event": "done",
            "traces": done,
            "characters": sum(map(len, traces[:done])),
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu_began,
        }
    )


def _time_long_trace(score: Score) -> float:
    """Return the median time of a trace of 15,000 characters in a warm process."""
    from benchmarks.sample import make_traces

    traces = make_traces(1, (_LONG_TRACE, _LONG_TRACE))
    times = []
    for _ in range(_LONG_REPEATS):
        began = time.perf_counter()
        score(traces)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
