"""Windows hold every step once, whole, with as much left context as fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.windows import WindowLayout, join_steps, pack_windows

LAYOUT = WindowLayout(
    lengths=(16, 32, 64),
    context_tokens=10,
    max_steps=6,
    max_step_tokens=24,
    pad_id=0,
    start_id=1,
    marker_id=2,
)
STEPS = st.lists(st.lists(st.integers(3, 99), max_size=40), min_size=1, max_size=60)


def test_markers_stand_before_steps() -> None:
    stream = join_steps([[5, 6], [], [7]], LAYOUT)
    assert stream.tokens.tolist() == [2, 5, 6, 2, 2, 7]
    assert stream.offsets.tolist() == [0, 3, 4, 6]


def test_long_step_keeps_its_head_and_tail() -> None:
    stream = join_steps([list(range(100, 200))], LAYOUT)
    assert stream.tokens.tolist() == [2, *range(100, 118), *range(194, 200)]


@given(STEPS)
def test_every_step_is_in_one_window_whole(steps: list[list[int]]) -> None:
    stream = join_steps(steps, LAYOUT)
    windows = list(pack_windows(stream, LAYOUT))
    position = 0
    for window in windows:
        assert window.first_step == position
        assert 1 <= window.step_count <= LAYOUT.max_steps
        assert len(window.tokens) in LAYOUT.lengths
        assert window.tokens[0] == LAYOUT.start_id
        for start, end in zip(window.starts, window.ends, strict=True):
            left, right = stream.offsets[position : position + 2]
            assert window.tokens[start:end].tolist() == stream.tokens[left:right].tolist()
            position += 1
    assert position == len(steps)


@given(STEPS)
def test_context_is_what_stands_before(steps: list[list[int]]) -> None:
    stream = join_steps(steps, LAYOUT)
    for window in pack_windows(stream, LAYOUT):
        begin = int(stream.offsets[window.first_step])
        context = window.tokens[1 : window.starts[0]].tolist()
        assert len(context) >= min(LAYOUT.context_tokens, begin)
        assert context == stream.tokens[begin - len(context) : begin].tolist()


@given(STEPS)
def test_only_the_last_window_is_short(steps: list[list[int]]) -> None:
    windows = list(pack_windows(join_steps(steps, LAYOUT), LAYOUT))
    full = [window for window in windows[:-1] if window.step_count < LAYOUT.max_steps]
    assert all(len(window.tokens) == LAYOUT.lengths[-1] for window in full)


def test_unscored_steps_are_context_only() -> None:
    stream = join_steps([[10], [11], [12], [13]], LAYOUT)
    (window,) = pack_windows(stream, LAYOUT, np.array([False, True, False, True]))
    assert window.tokens[:9].tolist() == [1, 2, 10, 2, 11, 2, 12, 2, 13]
    assert window.starts.tolist() == [3, 7]
    assert window.ends.tolist() == [5, 9]


def test_nothing_scored_gives_no_window() -> None:
    stream = join_steps([[10]], LAYOUT)
    assert list(pack_windows(stream, LAYOUT, np.array([False]))) == []


def test_layout_refuses_what_cannot_fit() -> None:
    with pytest.raises(ValueError, match="does not fit a window of 30 tokens"):
        WindowLayout((30,), 10, 6, 24, 0, 1, 2)
    with pytest.raises(ValueError, match="ascending"):
        WindowLayout((64, 32), 10, 6, 8, 0, 1, 2)
