"""A block that is decompressed on one core is parted over others that become free, at any step: the same bytes."""

import io
from unittest.mock import patch

import numpy as np
import pytest
from fakes import FakeEvaluator, FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from test_block import DRIFT, decode, encode
from test_lanes import TEXT
from tiny_models import ARCHITECTURES, tiny_model

from llmzip.codec import evaluation
from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.codec import Codec
from llmzip.codec.evaluation import Session, Steps
from llmzip.codec.head import BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.locate import Found, load
from llmzip.codec.lockstep import LockStep
from llmzip.codec.pipeline import BlockPipeline
from llmzip.errors import LlmzipError
from llmzip.model.base import Window
from llmzip.model.embedded import load_embedded
from llmzip.model.schedule import span_at
from llmzip.model.team import Team

COUNT = len(BlockPipeline(Session(FakeModel()), Coding(Window(32, 4), PORTABLE_TOLERANCE, True)).tokens_of(TEXT)[0])
STEPS = Layout(COUNT, 16).steps


SMALL = DRIFT / 2  # so that log odds of both sides together move by less than the tolerance
NO_PLAIN_CACHE = ("gemma2", "mamba", "rwkv7", "lfm2")  # two in one, or a state of another kind


class Switch:
    """Whether a block is alone, as told."""

    alone = False

    def __call__(self):
        return self.alone


def read(model, payload, alone_at, *, patience=1, worthwhile=1, window=Window(32, 4)):
    """The text of a block that is alone at some steps, and how often it was parted."""
    alone, parted = Switch(), []
    advance, take_over = LockStep.advance, Team.take_over

    def advancing(self, doubts=None):
        alone.alone = alone_at(self.step)
        advance(self, doubts)

    def taking_over(self, other, streams):
        take_over(self, other, streams)
        parted.append(other)

    with (
        patch.object(evaluation, "_PATIENCE", patience),
        patch.object(evaluation, "_WORTHWHILE", worthwhile),
        patch.object(LockStep, "advance", advancing),
        patch.object(Team, "take_over", taking_over),
    ):
        session = Session(model, alone)
        pipeline = BlockPipeline(session, Coding(window, PORTABLE_TOLERANCE, True))
        try:
            return decode(pipeline, payload, TEXT), len(parted)
        finally:
            session.close()


@settings(max_examples=60, deadline=None)
@given(
    step=st.integers(0, STEPS - 1),
    streams=st.integers(16, 40),
    lanes=st.integers(2, 5),
    window=st.sampled_from([Window(2, 1), Window(16, 2), Window(30, 3), Window(32, 4), Window(512, 4)]),
)
def test_a_block_widens_at_any_step(step, streams, lanes, window):
    payload = encode(TEXT, streams, FakeModel(SMALL, 1), window=window)
    model = FakeModel(SMALL, 2, lanes=lanes)
    step %= Layout(COUNT, streams).steps
    assert read(model, payload, lambda at: at >= step, window=window) == (TEXT, 1)
    assert model.open_evaluators == 0


def test_all_steps_of_a_block():
    payload = encode(TEXT, 16)
    for step in range(STEPS):
        assert read(FakeModel(lanes=2), payload, lambda at, step=step: at >= step) == (TEXT, 1)


@pytest.mark.parametrize(
    ("alone_at", "expected"),
    [
        (lambda step: step % 8 < 7, 0),  # a core is never free for long
        (lambda step: 3 <= step < 12, 1),  # and stays parted when others come
        (lambda step: step >= STEPS - 20, 0),  # too late
        (lambda step: step >= STEPS - 40, 1),
    ],
)
def test_only_where_cores_stay_free_and_it_is_worth_it(alone_at, expected):
    assert read(FakeModel(lanes=2), encode(TEXT, 16), alone_at, patience=8, worthwhile=20) == (TEXT, expected)


def test_few_streams_and_one_lane_stay_together():
    assert read(FakeModel(lanes=2), encode(TEXT, 15), lambda step: step > 3) == (TEXT, 0)
    assert read(FakeModel(), encode(TEXT, 16), lambda step: step > 3) == (TEXT, 0)


class Poor(FakeModel):
    """fails: what goes wrong when a block is parted: the n-th evaluator that is made, "save" or "restore"."""

    def __init__(self, fails, error):
        super().__init__(lanes=3)
        self.fails, self.error, self.made = fails, error, 0

    def evaluator(self, streams, context, rows, threads=0):
        self.made += 1
        if self.made == self.fails:
            raise self.error("no")
        self.open_evaluators += 1
        return PoorEvaluator(self, streams, context, rows)


class PoorEvaluator(FakeEvaluator):
    def save_stream(self, stream):
        if (self._model.fails, stream) == ("save", 7):
            raise self._model.error("no")
        return super().save_stream(stream)

    def restore_stream(self, stream, cache):
        if (self._model.fails, stream) == ("restore", 5):
            raise self._model.error("no")
        super().restore_stream(stream, cache)


@pytest.mark.parametrize("fails", [2, 3, 4, "save", "restore"])
@pytest.mark.parametrize("error", [LlmzipError, MemoryError, RuntimeError])
def test_a_block_that_cannot_widen_goes_on(fails, error):
    model = Poor(fails, error)
    assert read(model, encode(TEXT, 24), lambda step: step > 9) == (TEXT, 0)
    assert model.made > 1 and model.open_evaluators == 0


def test_a_signal_meanwhile_ends_it_and_leaves_nothing():
    model = Poor("restore", KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        read(model, encode(TEXT, 24), lambda step: step > 9)
    assert model.open_evaluators == 0


def test_caches_of_blocks_that_are_done_are_freed_first():
    model, alone = FakeModel(lanes=2), Switch()
    session = Session(model)
    with session.branch(alone) as one:
        with session.branch(alone) as other:
            other.team(24, 32, 24)
            one.team(24, 32, 24)
            assert model.open_evaluators == 2
            assert one.widened(24, 32, 24) is one._held and model.open_evaluators == 2  # the other is at work
        alone.alone = True
        made = []
        with patch.object(
            model, "evaluator", side_effect=lambda *shape: made.append(model.open_evaluators) or make(*shape)
        ):
            make = FakeModel.evaluator.__get__(model)
            assert isinstance(one.widened(24, 32, 24), Team)
        assert made == [1, 2] and model.open_evaluators == 2
        assert one.team(24, 32, 24) is one._held and model.open_evaluators == 2  # for the next block
    session.close()
    assert model.open_evaluators == 0


def test_readings_that_go_back_do_not_widen():
    class Widened(Exception):
        pass

    with patch.object(evaluation, "_PATIENCE", 1), patch.object(Session, "widened", side_effect=Widened):
        for keeping in (True, False):
            alone = Switch()
            pipeline = BlockPipeline(
                Session(FakeModel(lanes=2), alone), Coding(Window(32, 4), PORTABLE_TOLERANCE, True)
            )
            head, words = BlockHead.unpack(encode(TEXT, 16), len(TEXT))
            reading = LockStep(pipeline, words, Layout(head.tokens, 16), keeping=keeping)
            alone.alone = True
            if keeping:
                reading.advance()
            else:
                with pytest.raises(Widened):
                    reading.advance()


@pytest.fixture(scope="module")
def model():
    with patch("llmzip.model.llama.usable_cores", return_value=2):
        one = load_embedded()
    yield one
    one.close()


def stepping(model, window, lead, tokens, alone_from):
    """Logits of all steps; alone_from: the step at which a second core becomes free."""
    alone = Switch()
    session = Session(model, alone)
    streams, count = tokens.shape
    steps = Steps(session, streams, count, window, 1, lead, widens=True)
    found = np.empty((count, streams, len(model.pieces)), np.float32)
    for step in range(count):
        alone.alone = step >= alone_from
        span = span_at(step, window, steps.known)

        def use(logits, first, step=step):
            found[step, first : first + len(logits)] = logits

        steps.give(span, np.ascontiguousarray(tokens[:, step]), use)
    parted = isinstance(session._held, Team)
    session.release()
    return found, parted


@pytest.mark.parametrize("alone_from", [70, 89])
def test_the_embedded_model_goes_on_alike(model, monkeypatch, alone_from):
    """Streams move in the middle of a window, and in a step that begins with a slide, between others."""
    monkeypatch.setattr(evaluation, "_PATIENCE", 1)
    monkeypatch.setattr(evaluation, "_WORTHWHILE", 1)
    window, streams = Window(256, 8), 17
    slides = [step for step in range(140) if span_at(step, window, 199).slide]
    assert slides == [57, 89, 121]
    tokens = np.random.default_rng(5).integers(300, 4000, (streams, 140)).astype(np.int32)
    lead = np.random.default_rng(6).integers(300, 4000, 200).astype(np.int32)
    stayed, no = stepping(model, window, lead, tokens, 1000)
    moved, yes = stepping(model, window, lead, tokens, alone_from)
    assert (no, yes) == (False, True)
    assert np.abs(moved - stayed).max() < 6e-5
    assert np.abs(moved[alone_from:, 0] - stayed[alone_from:, 1]).max() > 1  # what any other stream would give


def test_streams_move_between_sets_of_any_size(model):
    rng, count = np.random.default_rng(2), 40
    one, many = model.evaluator(1, 256, 64, 1), model.evaluator(5, 256, 256, 1)
    tokens, places = rng.integers(300, 4000, (5, count)).astype(np.int32), np.arange(count, dtype=np.int32)
    many.evaluate(tokens.ravel(), np.tile(places, 5), np.repeat(np.arange(5, dtype=np.int32), count))
    nothing, caches = one.save_stream(0), [many.save_stream(stream) for stream in range(5)]
    follow, at, first = np.array([77], np.int32), np.array([count], np.int32), np.zeros(1, np.int32)
    for stream in range(5):
        many.restore_stream(4 - stream, caches[stream])
    for stream in range(5):
        one.restore_stream(0, nothing)
        one.evaluate(tokens[stream], places, np.zeros(count, np.int32))
        expected = one.evaluate(follow, at, first).copy()
        one.restore_stream(0, caches[stream])
        assert np.abs(one.evaluate(follow, at, first) - expected).max() < 6e-5
        assert np.abs(many.evaluate(follow, at, first + np.int32(4 - stream)) - expected).max() < 6e-5
    for damaged in (caches[0][: len(caches[0]) // 8 * 4], np.concatenate([caches[0], caches[0]])):
        with pytest.raises(LlmzipError, match="memory back"):
            one.restore_stream(0, damaged)
    one.close(), many.close()


def test_the_last_of_three_blocks_widens(model, monkeypatch, corpora):
    for module in ("codec.ahead", "codec.choice", "model.threads"):
        monkeypatch.setattr(f"llmzip.{module}.usable_cores", lambda: 2)
    monkeypatch.setattr(evaluation, "_PATIENCE", 2)
    monkeypatch.setattr(evaluation, "_WORTHWHILE", 1)
    data = (corpora / "the-lighthouse-ledger.txt").read_bytes()[: 3 * 4096]
    with Codec(model, streams=16, block_size=4096, window=32, threads=1) as codec:
        packed = codec.compress(data)
    take_over, parted = Team.take_over, []
    monkeypatch.setattr(Team, "take_over", lambda *a: parted.append(take_over(*a)))
    with Codec(model, patience=0) as codec:
        for _ in range(5):  # until its neighbour ends early enough, as it nearly always does
            out = io.BytesIO()
            codec.decompress_stream(io.BytesIO(packed), out)
            assert out.getvalue() == data
            if parted:
                break
    assert parted


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_streams_of_any_network_move_rightly_or_not_at_all(architecture, tmp_path):
    model = load(Found(tiny_model(tmp_path / "m.gguf", architecture)), 1)
    three, two = model.evaluator(3, 64, 64, 1), model.evaluator(2, 64, 64, 1)
    tokens = np.random.default_rng(3).integers(3, len(model.pieces), (3, 20)).astype(np.int32)
    places = np.arange(20, dtype=np.int32)
    three.evaluate(tokens.ravel(), np.tile(places, 3), np.repeat(np.arange(3, dtype=np.int32), 20))
    moves = True
    try:
        two.restore_stream(0, three.save_stream(2))
        two.restore_stream(1, three.save_stream(1))
    except LlmzipError:
        moves = False
    assert moves == (architecture not in NO_PLAIN_CACHE)
    follow, at = np.full(2, 5, np.int32), np.full(2, 20, np.int32)
    expected = three.evaluate(follow, at, np.array([1, 2], np.int32)).copy()
    if moves:
        found = two.evaluate(follow, at, np.array([0, 1], np.int32))
        assert np.abs(found[::-1] - expected).max() < 1e-4
    three.close(), two.close(), model.close()
