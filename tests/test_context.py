"""What a model loses without left context."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tests.toy_gold import DOCUMENTS
from training.context import COMPARED, ShortContext, context_figures


class Reader:
    """Knows a step only by what stands before it: it branches if the trace has so many characters there."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def score_steps_kinds(self, trace: str, spans: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
        self.seen.append(trace)
        branch = np.array([min(0.9, start / 1_000) for start, _ in spans], np.float32)
        return np.stack([1 - branch, branch, branch * 0, branch * 0], axis=1)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_only_so_many_steps_are_seen(steps: int) -> None:
    document = DOCUMENTS[0]
    reader = Reader()
    found = ShortContext(reader, steps).probabilities(document)
    assert found.shape == (len(document.steps), 4)
    for index, seen in enumerate(reader.seen):
        first = document.steps[max(0, index - steps)].start
        assert seen == document.trace[first : document.steps[index].end]


def test_losses_are_paired_differences() -> None:
    found = context_figures(Reader(), DOCUMENTS, 0.5, resamples=20)
    assert found["documents"] == len(DOCUMENTS)
    assert set(found["figures"]) == {"whole", "one step", "none"}
    for name in ("one step", "none"):
        for figure in COMPARED:
            whole, other, lost = (
                found["figures"]["whole"][figure]["value"],
                found["figures"][name][figure]["value"],
                found["lost"][name][figure]["value"],
            )
            assert lost == pytest.approx(whole - other)
    # Without context every step looks the same to it, so precision is the share of branching steps.
    share = np.mean([step.branches for document in DOCUMENTS for step in document.steps])
    assert found["figures"]["none"]["average_precision"]["value"] == pytest.approx(share)
