"""The two teachers: both end right, and one wanders, mostly in words that no cue list holds."""

import random
import re
from pathlib import Path

import pytest

from training import heuristics
from training.cue_words import WORD_LISTS
from training.study import departure_phrases
from training.study.divergent_teacher import divergent_trace
from training.study.problems import expression_terms
from training.study.teaching import TaughtTrace, convergent_trace

HEURISTICS = Path(heuristics.__file__).parent


def taught(count: int = 400) -> list[tuple[tuple[int, ...], TaughtTrace]]:
    rng = random.Random(3)
    problems = [
        tuple(rng.choice((1, -1)) * rng.randint(0, 99) for _ in range(rng.randint(2, 6)))
        for _ in range(count)
    ]
    return [(terms, divergent_trace(terms, rng)) for terms in problems]


def test_both_teachers_end_at_the_right_answer() -> None:
    rng = random.Random(1)
    for terms, trace in taught():
        for one in (trace, convergent_trace(terms, rng)):
            assert re.findall(r"-?\d+", one.steps[-1].text)[-1] == str(sum(terms))
    assert all(convergent_trace(terms, rng).departures == 0 for terms, _ in taught(20))


def test_the_convergent_teacher_only_writes_what_is_true() -> None:
    rng = random.Random(1)
    for terms, _ in taught(50):
        chains = re.findall(r"-?\d+(?: [+-] \d+)*", convergent_trace(terms, rng).text)
        assert len(chains) == len(terms) + 1
        assert {sum(expression_terms(chain)) for chain in chains} == {sum(terms)}


def test_how_much_the_divergent_teacher_wanders_differs_from_trace_to_trace() -> None:
    counts = [trace.departures for _, trace in taught()]
    assert min(counts) == 0
    assert max(counts) >= 6
    assert len(set(counts)) >= 6


def test_most_departures_hit_none_of_the_cue_lists() -> None:
    departures = [step.text for _, trace in taught() for step in trace.steps if step.kind != "C"]
    free = [text for text in departures if not any(cue.search(text) for cue in WORD_LISTS.values())]
    assert len(departures) > 500
    assert 0.5 <= len(free) / len(departures) < 1
    # Varied words: no sentence, its numbers aside, makes up a large part of them.
    shapes = [re.sub(r"-?\d+", "#", text) for text in departures]
    assert max(shapes.count(shape) for shape in set(shapes)) < 0.06 * len(shapes)


def test_no_labelling_function_was_made_from_the_phrases() -> None:
    sources = {path: path.read_text(encoding="utf-8").lower() for path in HEURISTICS.glob("*.py")}
    assert sources
    kinds = ("ALTERNATIVES", "ABANDONMENTS", "CORRECTIONS", "RESTARTS")
    for path, source in sources.items():
        assert "training.study" not in source, path
        for kind in kinds:
            for phrase in getattr(departure_phrases, kind):
                words = re.sub(r"\{\w+\}|[^\w' ]", " ", phrase.lower()).split()
                if len(words) >= 5:
                    assert " ".join(words) not in source, (path, phrase)


@pytest.mark.parametrize(
    ("expression", "terms"), [("12 - 5 + 3", (12, -5, 3)), ("0 - 10", (0, -10)), ("-4 + 2", (-4, 2))]
)
def test_terms_of_an_expression(expression: str, terms: tuple[int, ...]) -> None:
    assert expression_terms(expression) == terms
