"""The decoder's loop between odds, cells and turns: the native door between the soft and the hard side."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from llmzip.codec._cells import NONE, Cells, Grids
from llmzip.codec.quantiser import Quantiser
from llmzip.coding import cells
from llmzip.coding.mixing import Mixer
from llmzip.coding.rangecoder import TurnEncoder
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.errors import CorruptError
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
        coder.encode(*mixer.encode(ranks[step], states, of_turns))
    assert seen == {cells.SAFE, cells.HALF_SHIFTED, cells.ESCAPED}
    return logits, ranks, coder.finish()


def records(rows: int = STREAMS):
    """Room for what a source notes: odds, states, cells, and cells instead of those found."""
    turns = rows, 9
    return np.zeros(turns), np.zeros(rows, np.uint8), np.zeros(turns, np.uint8), np.full(turns, NONE, np.uint8)


@pytest.mark.parametrize("mix", [True, False])
def test_steps_come_back_and_every_turn_is_noted(mix):
    logits, ranks, words = coded(mix)
    masses, (odds, states, found, instead) = Masses(ORDER, STREAMS), records()
    source = Cells(masses, Quantiser(TOLERANCE).grids, odds, states, found, instead)
    mixer, coder = Mixer(LEAVES, STREAMS, STEPS * STREAMS, mix=mix), TurnDecoder(words)
    for step in range(STEPS):
        masses.load(logits[step])
        odds.fill(-1)
        assert mixer.decode(coder, STREAMS, source.capsule).tolist() == ranks[step].tolist()
        expected, again = np.empty((STREAMS, 9)), np.empty(STREAMS * 9, np.uint8)
        Masses(ORDER, 1).path_odds(logits[step], ranks[step], expected)
        assert odds == pytest.approx(expected)
        Quantiser(TOLERANCE).decode(odds.ravel(), np.repeat(states, 9), again)
        assert again.tolist() == found.ravel().tolist()


def test_cells_instead_of_those_found_count():
    logits, ranks, words = coded(False)
    masses, (odds, states, found, instead) = Masses(ORDER, STREAMS), records()
    masses.load(logits[0])
    instead[1] = 0
    source = Cells(masses, Quantiser(TOLERANCE).grids, odds, states, found, instead)
    mixer = Mixer(LEAVES, STREAMS, STEPS * STREAMS, mix=False)
    read = mixer.decode(TurnDecoder(words), STREAMS, source.capsule)
    assert read[0] == ranks[0, 0] and read[1] != ranks[0, 1], "every turn of the second token was said to go left"
    assert not found[1].any() and found[0].any()


def test_a_broken_decoder_ends_within_a_token():
    masses, coder = Masses(ORDER, STREAMS), TurnDecoder(b"")
    masses.load(coded(False)[0][0])
    source, mixer = Cells(masses, Quantiser(TOLERANCE).grids), Mixer(LEAVES, STREAMS, 100_000 * STREAMS, mix=False)
    with pytest.raises(CorruptError):
        for _ in range(100_000):
            mixer.decode(coder, STREAMS, source.capsule)
    with pytest.raises(RuntimeError, match="a token is not finished"):
        mixer.decode(coder, 1, source.capsule)


def test_records_of_another_shape_are_refused():
    masses, grids = Masses(ORDER, STREAMS), Quantiser(0).grids
    right = records()
    for at in range(4):
        wrong = [*right]
        wrong[at] = wrong[at][:-1].copy()
        with pytest.raises(ValueError, match="expected"):
            Cells(masses, grids, *wrong)
    with pytest.raises(ValueError, match="expected"):
        Cells(masses, grids, *right[:3])


def test_a_capsule_keeps_its_source_alive():
    source = Cells(Masses(ORDER, STREAMS), Quantiser(0).grids)
    capsule = source.capsule
    del source
    gc.collect()
    mixer = Mixer(LEAVES, STREAMS, STREAMS, mix=False, flags=False)
    assert len(mixer.decode(TurnDecoder(b"abc"), STREAMS, capsule)) == STREAMS


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
