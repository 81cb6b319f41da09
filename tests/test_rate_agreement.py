"""Rates by own steps against rates by labelled steps."""

from dataclasses import replace

import pytest

from classifier.errors import OptionError
from tests.toy_gold import DOCUMENTS
from training.baselines import WordList
from training.gold import GoldDocument, GoldStep
from training.rate_agreement import own_spans, rate_agreement


def test_own_steps_are_those_of_the_labelled_text() -> None:
    trace = "Not labelled. First one. Second one. Left out. Third one. Nor this."
    spans = [(14, 24), (25, 36), (47, 57)]
    document = GoldDocument(
        "d", trace, tuple(GoldStep(start, end, False, None) for start, end in spans), "", "", "", ""
    )
    assert own_spans(document) == spans
    assert own_spans(replace(document, steps=())) == []


def test_rate_agreement_compares_both_ways_of_cutting() -> None:
    agreement = rate_agreement(DOCUMENTS, WordList("wide"), resamples=20)
    assert agreement.own_steps == agreement.gold_steps == 240
    assert agreement.rank_correlation.value == pytest.approx(1)
    halves = rate_agreement(
        DOCUMENTS, WordList("wide"), split=lambda text: [(0, len(text) // 2)], resamples=20
    )
    assert halves.own_steps == 20
    assert set(halves.own_rates) <= {0, 1}
    assert halves.rank_correlation.value < 0.95
    with pytest.raises(OptionError, match="no labelled step"):
        rate_agreement([replace(DOCUMENTS[0], steps=())], WordList("wide"))
