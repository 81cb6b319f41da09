"""Agreement of own steps with labelled steps: the measure, and the figure on the labelled data."""

from pathlib import Path

import pytest

from training.gold import GoldDocument, GoldStep, read_gold
from training.step_agreement import BoundaryAgreement, boundary_agreement


def document(trace: str, *spans: tuple[int, int]) -> GoldDocument:
    steps = tuple(GoldStep(start=start, end=end, branches=False, kind=None) for start, end in spans)
    return GoldDocument(id="d", trace=trace, steps=steps, model="", group="", problem_id="", source="")


def test_equal_steps_agree_fully() -> None:
    assert boundary_agreement([document("Is it? Yes.", (0, 6), (7, 11))]) == BoundaryAgreement(1.0, 1.0, 1.0)


def test_only_the_labelled_region_counts() -> None:
    trace = "Before it. Is it? Yes. After it."
    assert boundary_agreement([document(trace, (11, 17), (18, 22))]) == BoundaryAgreement(1.0, 1.0, 1.0)


def test_missing_and_surplus_boundaries_lower_recall_and_precision() -> None:
    too_fine = boundary_agreement([document("Is it? Yes.", (0, 11))])
    assert too_fine == BoundaryAgreement(precision=0.5, recall=1.0, f1=2 / 3)
    too_coarse = boundary_agreement([document("is it, yes", (0, 5), (7, 10))])
    assert too_coarse == BoundaryAgreement(precision=1.0, recall=0.5, f1=2 / 3)


def test_documents_count_by_their_boundaries() -> None:
    documents = [document("Is it? Yes.", (0, 6), (7, 11)), document("Is it? Yes.", (0, 11))]
    assert boundary_agreement(documents) == BoundaryAgreement(0.75, 1.0, 6 / 7)


def test_nothing_in_common_is_zero() -> None:
    assert boundary_agreement([]) == BoundaryAgreement(0.0, 0.0, 0.0)
    assert boundary_agreement([document("Is it?")]) == BoundaryAgreement(0.0, 0.0, 0.0)
    assert boundary_agreement([document("forward", (1, 3))]) == BoundaryAgreement(0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", ["dev", "train"])
def test_own_steps_agree_with_the_labelled_data(name: str, shared_data: Path) -> None:
    documents = read_gold([shared_data / "gold" / f"{name}.jsonl.gz"])
    assert boundary_agreement(documents).f1 >= 0.97
