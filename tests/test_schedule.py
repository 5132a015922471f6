"""The schedule: prefill and lock step see the same windows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.codec.layout import Layout
from llmzip.model.base import Window
from llmzip.model.schedule import spans

windows = st.tuples(st.integers(1, 6), st.integers(2, 40)).map(lambda pair: Window(pair[0] * pair[1], pair[0]))


def visible(length, window, most):
    """For every row the rows that its cache holds when it is evaluated, and its position."""
    held, seen = [], []
    for span in spans(length, window, most):
        if span.slide:
            del held[: window.drop]
        assert span.position == len(held)
        assert 0 < span.stop - span.start <= most
        for row in range(span.start, span.stop):
            held.append(row)
            seen.append(tuple(held))
        assert len(held) <= window.context
    return seen


@given(st.integers(0, 300), windows, st.integers(1, 70))
def test_every_chunking_sees_the_same_windows(length, window, most):
    steps = visible(length, window, 1)
    assert visible(length, window, most) == steps
    assert [rows[-1] for rows in steps] == list(range(length)), "every row once, in order"


def test_a_window_never_falls_below_what_is_kept():
    window = Window(16, 4)
    assert min(len(rows) for rows in visible(200, window, 1)[16:]) == 16 - window.drop + 1


@given(st.integers(0, 1000), st.integers(1, 40))
def test_streams_are_even_and_longer_ones_come_first(tokens, streams):
    lengths = Layout(tokens, streams).lengths.tolist()
    assert sum(lengths) == tokens and len(lengths) == streams
    assert lengths == sorted(lengths, reverse=True) and lengths[0] - lengths[-1] <= 1


@pytest.mark.parametrize(("context", "parts"), [(0, 4), (4, 4), (7, 4), (512, 0), (1, 1)])
def test_impossible_windows_are_refused(context, parts):
    with pytest.raises(ValueError, match="window"):
        Window(context, parts)
