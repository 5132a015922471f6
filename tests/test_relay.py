"""Streams parted over evaluators: each goes on by itself, and they take turns at mixer and range coder."""

import threading
import time

import pytest
from fakes import FakeEvaluator, FakeModel
from test_block import encode
from test_lanes import TEXT, codec

from llmzip.codec.head import BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.lockstep import LockStep
from llmzip.codec.relay import Baton
from llmzip.coding.mixing import Mixer
from llmzip.errors import CorruptError

STREAMS, WAIT = 24, 20.0
PAYLOAD = encode(TEXT, STREAMS)


def reading(lanes=3):
    head, words = BlockHead.unpack(PAYLOAD, len(TEXT))
    return LockStep(codec(FakeModel(lanes=lanes)), words, Layout(head.tokens, STREAMS))


def test_a_share_is_at_its_next_step_while_others_are_decoded(monkeypatch):
    """The last share is not decoded before the first one is being evaluated again."""
    again, steps, decoded, evaluated = threading.Event(), [0], [], FakeEvaluator.evaluate
    decode = Mixer.decode

    def evaluate(self, tokens, positions, streams):
        if threading.current_thread() is threading.main_thread():
            steps[0] += 1
            if steps[0] == 2:
                again.set()
        return evaluated(self, tokens, positions, streams)

    def waits(self, coder, count, cells=None):
        decoded.append(count)
        if len(decoded) == 3:
            assert again.wait(WAIT), "the first share waits for the last one"
        return decode(self, coder, count, cells)

    monkeypatch.setattr(FakeEvaluator, "evaluate", evaluate)
    monkeypatch.setattr(Mixer, "decode", waits)
    one = reading()
    one.read(lambda step: None)
    assert decoded[:4] == [8] * 4 and again.is_set()


@pytest.mark.parametrize("share", [0, 1, 2])
@pytest.mark.parametrize("error", [CorruptError, MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["evaluate", "decode"])
def test_when_one_share_fails_all_end_and_its_error_comes_out(monkeypatch, share, error, where):
    done = {"evaluate": [], "decode": []}

    def failing(kind, do, in_turn):
        def call(*arguments, **named):
            mine = in_turn(*arguments)
            done[kind].append(mine)
            if kind == where and mine == share and done[kind].count(mine) == 3:
                raise error("as wanted")
            return do(*arguments, **named)

        return call

    numbers = {}
    decode = Mixer.decode
    monkeypatch.setattr(
        FakeEvaluator,
        "evaluate",
        failing("evaluate", FakeEvaluator.evaluate, lambda self, *_: numbers.setdefault(self, len(numbers))),
    )
    monkeypatch.setattr(Mixer, "decode", failing("decode", decode, lambda *_: len(done["decode"]) % 3))
    one = reading()
    for evaluator in one._evaluation._evaluator._members:
        numbers[evaluator] = len(numbers)
    with pytest.raises(error, match="as wanted"):
        one.read(lambda step: None)
    came = len(done["decode"])
    time.sleep(0.02)
    assert len(done["decode"]) == came and came < 12, "nobody is at work any more"
    one._pipeline.session.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("streams")]


def test_who_watches_may_end_it():
    one = reading()

    def told(step):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.read(told)
    assert 3 <= one.step <= 5
    one._pipeline.session.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("streams")]


def test_progress_is_told_step_by_step_once():
    one, seen = reading(), []
    one.read(seen.append)
    assert seen == list(range(1, Layout(len(one.tokens), STREAMS).steps + 1))


def test_the_baton_goes_to_who_waits_for_it():
    baton, order = Baton(3), []

    def leg(first):
        with baton.held(first, first + 1):
            order.append(first)

    legs = [threading.Thread(target=baton.run, args=(leg, first)) for first in (5, 4, 6, 3)]
    for thread in legs:
        thread.start()
    for thread in legs:
        thread.join(WAIT)
    assert order == [3, 4, 5, 6]


def test_a_signal_before_the_first_leg_begins_ends_the_others(monkeypatch):
    """They wait for what it would have passed on."""
    one, submitted = reading(), []
    team = one._evaluation._evaluator
    submit = team._pool.submit

    def interrupted(job):
        if submitted:
            raise KeyboardInterrupt
        submitted.append(submit(job))
        return submitted[0]

    monkeypatch.setattr(team._pool, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.read(lambda step: None)
    assert submitted[0].done()
    one._pipeline.session.close()
