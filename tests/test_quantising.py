"""Cells by several lanes, and the turns that are coded while they still come."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from fakes import FakeEvaluator, FakeModel
from hypothesis import given
from hypothesis import strategies as st
from test_block import encode
from test_lanes import TEXT, codec

from llmzip.codec.layout import Layout
from llmzip.codec.observer import SILENT
from llmzip.codec.quantising import _Arrivals, _GivenUp, quantising
from llmzip.coding.mixing import Mixer


def there(arrivals: _Arrivals, stop: int) -> bool:
    """Whether all rows before `stop` have come. The arrivals are closed."""
    try:
        arrivals.wait(stop)
    except _GivenUp:
        return False
    return True


@given(st.data())
def test_rows_are_there_when_all_before_them_are(data):
    count = data.draw(st.integers(1, 60))
    layout = Layout(count, data.draw(st.integers(1, min(count, 9))))
    arrivals, come = _Arrivals(layout), set()
    arrivals.close()
    left = data.draw(st.permutations(range(count)))
    while left:
        some = data.draw(st.integers(1, len(left)))
        arrivals.add(np.array(left[:some]))
        come.update(left[:some])
        left = left[some:]
        assert arrivals.rows == len(come)
        for run in layout.runs(layout.streams):
            assert there(arrivals, run.stop) is (come >= set(range(run.stop)))
    assert there(arrivals, count)


def lane_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lane")]


@pytest.mark.parametrize("streams", [2, 7, 16])
def test_turns_are_coded_while_cells_come(monkeypatch, streams):
    plain, order = encode(TEXT, streams), []
    runs, coded, evaluate = Layout.runs, Mixer.encode, FakeEvaluator.evaluate
    monkeypatch.setattr(Layout, "runs", lambda self, most=0: runs(self, 32))
    monkeypatch.setattr(Mixer, "encode", lambda *arguments: [order.append("coded"), coded(*arguments)][1])
    monkeypatch.setattr(
        FakeEvaluator, "evaluate", lambda *arguments: [order.append("evaluated"), evaluate(*arguments)][1]
    )
    assert encode(TEXT, streams, FakeModel(lanes=streams, pause=2e-3)) == plain
    assert "evaluated" in order[order.index("coded") :]


def test_what_a_lane_raises_comes_out(monkeypatch):
    evaluate, left = FakeEvaluator.evaluate, [5]

    def failing(*arguments):
        left[0] -= 1
        if not left[0]:
            raise MemoryError("no room")
        return evaluate(*arguments)

    monkeypatch.setattr(FakeEvaluator, "evaluate", failing)
    with pytest.raises(MemoryError, match="no room"):
        encode(TEXT, 7, FakeModel(lanes=3))
    assert not lane_threads()


def test_what_progress_raises_ends_the_lanes():
    pipeline = codec(FakeModel(lanes=3, pause=1e-3))
    text, crlf = pipeline.tokens_of(TEXT)

    def told(share: float) -> None:
        raise EOFError

    with pytest.raises(EOFError):
        pipeline.encode(text, crlf, 7, progress=told)
    assert not lane_threads()


def test_lanes_end_when_nobody_waits_for_them():
    """As after a signal, which the thread that codes the turns gets."""
    model = FakeModel(lanes=2, pause=0.02)
    pipeline = codec(model)
    text, _ = pipeline.tokens_of(TEXT * 20)
    layout, began = Layout(len(text), 2), time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        quantising(pipeline, text.tokens, layout, lead=None, observer=SILENT, progress=lambda share: None),
    ):
        raise KeyboardInterrupt
    assert not lane_threads() and model.evaluated < layout.count
    assert time.monotonic() - began < 60
