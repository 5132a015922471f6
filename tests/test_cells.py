"""The decoder's loop between odds, cells and turns: the native door between the soft and the hard side."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from llmzip.codec._cells import Cells, Grids
from llmzip.codec.quantiser import Quantiser
from llmzip.coding import cells
from llmzip.coding.mixing import Mixer
from llmzip.coding.rangecoder import TurnEncoder
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.model._masses import Masses

LEAVES, STREAMS, STEPS = 300, 3, 20
ORDER = np.random.default_rng(7).permutation(LEAVES).astype(np.int32)
TOLERANCE = 3000  # so large that all states come up


def coded(mix: bool):
    """Logits (steps, streams, V), ranks (steps, streams) and the words that stand for them."""
    random = np.random.default_rng(3)
    logits = (4 * random.standard_normal((STEPS, STREAMS, LEAVES))).astype(np.float32)
    ranks = random.integers(0, LEAVES, (STEPS, STREAMS)).astype(np.uint32)
    masses, quantiser = Masses(ORDER, 1), Quantiser(TOLERANCE)
    mixer, coder = Mixer(LEAVES, STREAMS, STEPS * STREAMS, mix=mix), TurnEncoder()
    seen = set()
    for step in range(STEPS):
        odds = np.empty((STREAMS, 9))
        masses.path_odds(logits[step], ranks[step], odds)
        states, of_turns = quantiser.encode(odds)
        seen |= set(states.tolist())
        coder.encode(*mixer.encode_steps(ranks[step], states, of_turns, STREAMS))
    assert seen == {cells.SAFE, cells.HALF_SHIFTED, cells.ESCAPED}
    return logits, ranks, coder.finish()


@pytest.mark.parametrize("mix", [True, False])
def test_steps_come_back_and_a_reviewer_sees_every_turn(mix):
    logits, ranks, words = coded(mix)
    masses, looked = Masses(ORDER, STREAMS), []

    def review(level, odds, states, found):
        odds, states, found = np.frombuffer(odds), np.frombuffer(states, np.uint8), np.frombuffer(found, np.uint8)
        again = np.empty(len(odds), np.uint8)
        Quantiser(TOLERANCE).decode(odds, states, again)
        assert again.tolist() == found.tolist() and len(odds) == STREAMS
        looked.append(level)

    source = Cells(masses, Quantiser(TOLERANCE).grids, review)
    mixer, coder = Mixer(LEAVES, STREAMS, STEPS * STREAMS, mix=mix), TurnDecoder(words)
    for step in range(STEPS):
        masses.load(logits[step])
        assert mixer.decode_steps(coder, STREAMS, source.capsule).tolist() == ranks[step].tolist()
    assert looked == list(range(9)) * STEPS


def test_what_a_reviewer_writes_counts_and_what_it_raises_comes_out():
    logits, ranks, words = coded(False)
    masses = Masses(ORDER, STREAMS)
    masses.load(logits[0])

    def certain(level, odds, states, found):
        np.frombuffer(found, np.uint8)[:] = 0

    source = Cells(masses, Quantiser(TOLERANCE).grids, certain)
    mixer = Mixer(LEAVES, STREAMS, STEPS * STREAMS, mix=False)
    left = mixer.decode_steps(TurnDecoder(words), STREAMS, source.capsule)
    assert left.tolist() != ranks[0].tolist() and not all(left), "every turn was said to go left"

    def fails(level, odds, states, found):
        if level == 4:
            raise ZeroDivisionError("as wanted")

    source, mixer = Cells(masses, Quantiser(TOLERANCE).grids, fails), Mixer(LEAVES, STREAMS, STEPS * STREAMS, mix=False)
    with pytest.raises(ZeroDivisionError, match="as wanted"):
        mixer.decode_steps(TurnDecoder(words), STREAMS, source.capsule)
    with pytest.raises(RuntimeError, match="a step is not finished"):
        mixer.decode_steps(TurnDecoder(words), STREAMS, source.capsule)


def test_a_capsule_keeps_its_source_alive():
    source = Cells(Masses(ORDER, STREAMS), Quantiser(0).grids)
    capsule = source.capsule
    del source
    gc.collect()
    mixer = Mixer(LEAVES, STREAMS, STREAMS, mix=False, flags=False)
    assert len(mixer.decode_steps(TurnDecoder(b"abc"), STREAMS, capsule)) == STREAMS


def test_a_source_is_freed_though_its_reviewer_knows_it():
    class Watch:
        def __call__(self, *turns):
            return None

    watch = Watch()
    watch.source = Cells(Masses(ORDER, 1), Quantiser(0).grids, watch)
    gone = weakref.ref(watch)
    del watch
    gc.collect()
    assert gone() is None


def test_values_on_edges_belong_above_them():
    grids, out = Grids(0, np.array([0.5, 2.0]), 3, np.array([1.0]), 9), np.empty(5, np.uint8)
    odds, states = np.array([0.5, 0.4, 2.0, 1.0, 7.0]), np.array([0, 0, 0, 1, 2], np.uint8)
    grids.decode(odds, states, out)
    assert out.tolist() == [1, 0, 2, 4, 9]


def test_wrong_arguments_are_refused():
    good = np.array([0.5, 2.0])
    for edges in (np.array([2.0, 0.5]), np.array([]), np.arange(200.0), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="edges"):
            Grids(0, edges, 3, good, 9)
    with pytest.raises(ValueError, match="edges"):
        Grids(0, good, 254, good, 9)
    with pytest.raises(TypeError):
        Cells(object(), Grids(0, good, 3, good, 9))
    with pytest.raises(ValueError, match="expected"):
        Grids(0, good, 3, good, 9).decode(good, np.zeros(1, np.uint8), np.zeros(1, np.uint8))
