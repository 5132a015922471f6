"""Blocks that drift beyond the tolerance has misled: which readings are tried, and that the right one is found."""

import io
import random

import numpy as np
import pytest
from fakes import FakeEvaluator, FakeModel
from hypothesis import given
from hypothesis import strategies as st
from test_codec import FakeCodec

from llmzip.codec.agreement import Coding
from llmzip.codec.codec import Codec
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantiser import Quantiser
from llmzip.codec.repair import DOUBTFUL, FAR, Astray, readings
from llmzip.coding import cells
from llmzip.container import BlockKind, read_members
from llmzip.errors import ArithmeticMismatchError, CorruptError
from llmzip.model.base import Window

TOLERANCE = 4000  # large, so that a short text meets drift beside an edge
# No stretch twice: streams in the same state would be misled together.
TEXT = " ".join(
    random.Random(3).choices(
        [
            "it",
            "is",
            "a",
            "truth",
            "of",
            "the",
            "sea",
            "that",
            "what",
            "goes",
            "in",
            "comes",
            "out",
            "and",
            "then",
            "other",
            "thing",
        ],
        k=220,
    )
).encode()


class LongTailed(FakeModel):
    """Drifts as machines do: the same wherever the same is evaluated; mostly little, now and then beyond the tolerance."""

    def __init__(self, tail, size=1.3, rare=0.05):
        super().__init__()
        self.tail, self.size, self.rare = tail, size, rare

    def evaluator(self, streams, context, rows):
        self.open_evaluators += 1
        return LongTailedEvaluator(self, streams, context, rows)


class LongTailedEvaluator(FakeEvaluator):
    def evaluate(self, tokens, positions, streams):
        logits = super().evaluate(tokens, positions, streams)
        for row, stream in enumerate(streams.tolist()):
            held = self._held[stream]
            noise = np.random.default_rng([self._model.tail, len(held), *held[-8:]])
            size = TOLERANCE * 1e-6 * self._model.size * (1 if noise.random() < self._model.rare else 0.01)
            logits[row] += noise.uniform(-size, size, logits.shape[1])
        return logits


def codec(model, tolerance=TOLERANCE):
    return BlockPipeline(Session(model), Coding(Window(32, 4), tolerance, True))


def reads(decoder, payload):
    """Whether the block is read rightly at once."""
    try:
        return decode_block(decoder, payload, len(TEXT), TEXT.__eq__, repairing=False) == (TEXT, False)
    except CorruptError:
        return False


@pytest.mark.parametrize("streams", [1, 7])
def test_what_drift_misled_is_put_right(streams):
    coder = codec(FakeModel())
    payload = coder.encode(*coder.tokens_of(TEXT), streams)
    misled = [d for d in (codec(LongTailed(tail)) for tail in range(40)) if not reads(d, payload)]
    assert misled, "nothing to put right: the test shows nothing"
    for decoder in misled:
        assert decode_block(decoder, payload, len(TEXT), TEXT.__eq__) == (TEXT, True)


@pytest.fixture
def packed(monkeypatch):
    """A file of one model block that tolerates the drift of these tests."""
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda by_zstd, by_model: True)
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda *known: False)
    monkeypatch.setattr("llmzip.codec.choice.PORTABLE_TOLERANCE", TOLERANCE)
    monkeypatch.setattr("llmzip.codec.arithmetic.PORTABLE_TOLERANCE", TOLERANCE)
    packed = FakeCodec(streams=2).compress(TEXT)
    (block,) = (event for event in read_members(io.BytesIO(packed), payloads=False) if hasattr(event, "kind"))
    assert block.kind is BlockKind.MODEL
    return packed


def test_files_are_put_right(packed):
    repaired = 0
    for tail in range(40):
        reader, sink = Codec(LongTailed(tail)), io.BytesIO()
        repaired += reader.decompress_stream(io.BytesIO(packed), sink).repaired
        assert sink.getvalue() == TEXT
    assert repaired, "nothing to put right: the test shows nothing"


def test_files_that_cannot_be_read_here_are_not_called_damaged(packed):
    reader, sink = Codec(LongTailed(0, size=100.0, rare=1.0)), io.BytesIO()
    with pytest.raises(ArithmeticMismatchError, match="block 1 at byte .* drifts by far more"):
        reader.decompress_stream(io.BytesIO(packed), sink)
    assert not sink.getvalue()


def test_a_damaged_check_costs_one_more_reading(packed):
    end = len(packed) - 2 - packed[-1]
    damaged = packed[: end - 2] + bytes([packed[end - 2] ^ 1]) + packed[end - 1 :]
    reader = FakeCodec()
    with pytest.raises(CorruptError, match="check does not match"):
        reader.decompress(damaged)
    once = FakeCodec()
    once.decompress(packed)
    assert reader.fake.evaluated == 2 * once.fake.evaluated


def test_drift_beyond_repair_is_named():
    payload = codec(FakeModel()).encode(*codec(FakeModel()).tokens_of(TEXT), 2)
    hopeless = codec(LongTailed(0, size=100.0, rare=1.0))
    assert not reads(hopeless, payload)
    with pytest.raises(ArithmeticMismatchError, match="drifts by far more"):
        decode_block(hopeless, payload, len(TEXT), TEXT.__eq__)


def test_exact_blocks_have_one_reading():
    coder = codec(model := FakeModel(), tolerance=0)
    payload = coder.encode(*coder.tokens_of(TEXT), 2)
    once = model.evaluated
    with pytest.raises(CorruptError, match="check does not match"):
        decode_block(coder, payload, len(TEXT), lambda data: False)
    assert model.evaluated == 2 * once


edges = st.sampled_from(sorted({*cells.BASE_EDGES, *cells.SHIFTED_EDGES})).map(lambda edge: edge / cells.UNIT)
near_edges = st.tuples(edges, st.floats(-3e-4, 3e-4)).map(sum)


@pytest.mark.parametrize("reach", [DOUBTFUL, FAR])
@given(z=st.lists(st.floats(-30, 30) | near_edges, min_size=1, max_size=9), share=st.floats(-0.99, 0.99))
def test_the_cell_beyond_the_edge_is_the_encoders(reach, z, share):
    quantiser = Quantiser(100)
    z = np.array(z)
    states, coded = quantiser.encode(np.exp(z)[:, None])
    coded = coded[:, 0]
    assert (quantiser.alternatives(np.exp(z), states, coded, DOUBTFUL) == coded).all(), (
        "no encoder writes a doubtful turn"
    )
    drifted, found = np.exp(z + share * (1 + reach) * 100e-6), np.empty(len(z), np.uint8)
    quantiser.decode(drifted, states, found)
    others = quantiser.alternatives(drifted, states, found, reach)
    assert (others[found != coded] == coded[found != coded]).all()


STEPS, INTERVAL = 4000, 40


class Track:
    """A scripted block of one stream with a turn a step: some are misread, some doubtful or far though they are right. Once
    a turn has been taken wrongly, and from `lost` on whatever is taken, doubtful ones come at an even interval."""

    def __init__(self, misread, harmless, lost=STEPS, far=frozenset()):
        self.misread, self.harmless, self.lost, self.steps, self.far = misread, harmless, lost, 0, far

    def alternatives(self, odds, states, found, reach):
        return found + (odds <= reach).astype(np.uint8)

    def read(self, doubts):
        right = True
        for step in range(STEPS):
            self.steps += 1
            right &= step < self.lost
            doubtful = step in (self.misread | self.harmless) - self.far if right else step % INTERVAL == 0
            taken = np.zeros(1, np.uint8)
            nearness = DOUBTFUL if doubtful else FAR if step in self.far else FAR + 1
            doubts.review(step, 0, np.array([nearness]), np.zeros(1, np.uint8), taken)
            right &= bool(taken[0]) == (step in self.misread)
        return right


far_apart = st.sets(st.integers(0, 5).map(lambda i: 650 * i + 7), min_size=1, max_size=3)


@given(far_apart, st.sets(st.integers(0, STEPS - 1), max_size=2))
def test_the_first_doubts_are_tried_and_further_ones_where_they_lead_on(misread, harmless):
    track = Track(misread, harmless - misread)
    assert any(readings(track.read, track))


@given(st.integers(0, STEPS - 1 - INTERVAL), st.sets(st.integers(0, 10), max_size=10))
def test_far_turns_before_the_noise_are_tried(misread, others):
    track = Track({misread}, set(), far={misread} | {misread + 3 * other for other in others})
    assert any(readings(track.read, track))


def test_noise_is_given_up():
    track = Track(set(), {5}, lost=100)
    with pytest.raises(Astray):
        assert not any(readings(track.read, track))
    assert track.steps < 8 * (100 + 7 * INTERVAL)
