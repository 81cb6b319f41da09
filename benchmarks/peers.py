"""The rule packages `cotstruct` and `rtsa`, in a process and an environment of their own.

Run: PEER_PYTHON -m benchmarks.peers NAME SAMPLE.jsonl [--seconds 60]
Prints the same lines as `benchmarks.contender`; with --quality the score of every step of a file of steps
instead. Needs nothing but the packages and the standard library.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contender import run

BRANCHING_TYPES = {"cotstruct": ("BCK", "HYP"), "rtsa": ("Backtrack", "Branch")}
"""The packages' own types of step that come closest to our branches."""


def load_cotstruct() -> tuple[Callable[[Sequence[str]], Any], Callable[[str], tuple[str, float]]]:
    """Return what scores traces and what types a step, with its confidence."""
    from cotstruct import StepClassifier, segment_sentences  # type: ignore[import-not-found]

    classify = StepClassifier().classify_sentence

    def score(traces: Sequence[str]) -> Any:
        return [[classify(sentence) for sentence in segment_sentences(trace)] for trace in traces]

    def step_type(step: str) -> tuple[str, float]:
        kind, confidence = classify(step)
        return kind.value, float(confidence)

    return score, step_type


def load_rtsa() -> tuple[Callable[[Sequence[str]], Any], Callable[[str], tuple[str, float]]]:
    """Return what scores traces and what types a step, with its confidence."""
    from rtsa.extractors.rule_based import RuleBasedExtractor  # type: ignore[import-not-found]

    extractor = RuleBasedExtractor()

    def step_type(step: str) -> tuple[str, float]:
        found = extractor.classify_sentence_detailed(step)
        return found.node_type.value, float(found.confidence)

    return lambda traces: [extractor.extract(trace) for trace in traces], step_type


PEERS = {"cotstruct": load_cotstruct, "rtsa": load_rtsa}


def main() -> None:
    """Score traces, or type steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("sample", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--quality", action="store_true")
    options = parser.parse_args()
    score, step_type = PEERS[options.name]()
    if not options.quality:
        run(score, options.sample, options.seconds)
        return
    scores = []
    for line in options.sample.read_text(encoding="utf-8").splitlines():
        kind, confidence = step_type(json.loads(line))
        scores.append(confidence if kind in BRANCHING_TYPES[options.name] else 0.0)
    sys.stdout.write(json.dumps({"scores": scores}) + "\n")


if __name__ == "__main__":
    main()
