"""Runs in bound memory give what plain runs give, and shrink to what the memory holds."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

from benchmarks.windows import make_windows
from classifier.bound_session import BoundSession
from classifier.encoder import window_inputs
from classifier.errors import OptionError
from classifier.model_folder import read_model_folder
from tests.example_traces import BRANCHING


class Small:
    """A session on a device whose memory holds only so many windows."""

    def __init__(self, session: Any, windows: int) -> None:
        self.session = session
        self.windows = windows
        self.sizes: list[int] = []
        self.io_binding = session.io_binding

    def run_with_iobinding(self, binding: Any) -> None:
        size = binding.get_outputs()[0].shape()[0]
        self.sizes.append(size)
        if size > self.windows:
            raise RuntimeError("BFCArena: Failed to allocate memory for requested buffer of size 9")
        self.session.run_with_iobinding(binding)


@pytest.fixture(scope="module")
def session() -> Any:
    return onnxruntime.InferenceSession(
        str(read_model_folder().model_file), providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def inputs() -> dict[str, Any]:
    shortest = read_model_folder().layout.lengths[0]
    windows = [
        window for text in (BRANCHING[:150], "Two and two is four.") for window in make_windows([text])
    ]
    chosen = [window for window in windows if len(window.tokens) == shortest]
    assert len(chosen) == 2
    return window_inputs([chosen[index % 2] for index in range(5)], read_model_folder().layout.max_steps)


def test_same_bits_as_plain_runs_in_few_shapes(session: Any, inputs: dict[str, Any]) -> None:
    (expected,) = session.run(None, inputs)
    watched = Small(session, windows=8)
    bound = BoundSession(watched, 8, may_shrink=True, device="cpu")
    for count in (5, 1, 3, 5):
        part = {name: values[:count] for name, values in inputs.items()}
        np.testing.assert_array_equal(bound.run(part), expected[:count])
    assert watched.sizes == [8, 1, 4, 8]


def test_results_stay_when_the_buffers_are_used_again(session: Any, inputs: dict[str, Any]) -> None:
    bound = BoundSession(session, 1, may_shrink=True, device="cpu")
    first = bound.run({name: values[:1] for name, values in inputs.items()})
    kept = first.copy()
    bound.run({name: values[1:2] for name, values in inputs.items()})
    np.testing.assert_array_equal(first, kept)


def test_batches_shrink_to_what_the_memory_holds(session: Any, inputs: dict[str, Any]) -> None:
    (expected,) = session.run(None, inputs)
    small = Small(session, windows=2)
    bound = BoundSession(small, 8, may_shrink=True, device="cpu")
    np.testing.assert_array_equal(bound.run(inputs), expected)
    assert bound.batch_size == 2
    assert small.sizes == [8, 4, 2, 2, 1]


def test_a_batch_size_that_was_asked_for_is_kept_or_refused(session: Any, inputs: dict[str, Any]) -> None:
    bound = BoundSession(Small(session, windows=2), 4, may_shrink=False, device="cpu")
    with pytest.raises(OptionError, match="does not suffice for 4 windows"):
        bound.run(inputs)
    with pytest.raises(OptionError, match="does not suffice for 1 windows"):
        BoundSession(Small(session, windows=0), 4, may_shrink=True, device="cpu").run(inputs)


def test_other_errors_are_not_taken_for_a_lack_of_memory(session: Any, inputs: dict[str, Any]) -> None:
    bound = BoundSession(session, 4, may_shrink=True, device="cpu")
    with pytest.raises(Exception, match="out of data bounds"):
        bound.run({**inputs, "tokens": inputs["tokens"] + 10**6})
    assert bound.batch_size == 4
