"""Node odds from logits, against a plain reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.model._masses import Masses


def reference(logits, order, rank, depth):
    """ln(right / left) on the path, by long double sums."""
    mass = np.exp(logits[order].astype(np.longdouble) - logits.max())
    odds = []
    for level in range(depth):
        half = 1 << (depth - level - 1)
        first = rank >> (depth - level) << (depth - level)
        left, right = mass[first : first + half].sum(), mass[first + half : first + 2 * half].sum()
        odds.append(right / left)
    return np.array(odds)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 3000), st.integers(0, 2**32 - 1), st.floats(0, 20))
def test_odds_match_the_reference_and_both_directions_agree(leaves, seed, scale):
    rng = np.random.default_rng(seed)
    order = rng.permutation(leaves).astype(np.int32)
    logits = (rng.normal(size=(3, leaves)) * scale + rng.normal() * 30).clip(-60, 60).astype(np.float32)
    logits = np.maximum(logits, logits.max(axis=1, keepdims=True) - 70)  # beyond that, masses have a floor
    ranks = rng.integers(0, leaves, 3).astype(np.uint32)
    masses = Masses(order, 3)
    depth = masses.depth
    assert depth == (leaves - 1).bit_length()
    path = np.empty((3, depth))
    masses.path_odds(logits, ranks, path)
    for row in range(3):
        expected = reference(logits[row], order, int(ranks[row]), depth)
        forced = expected == 0
        assert (path[row][forced] == 0).all()
        assert np.abs(np.log(path[row][~forced] / expected[~forced])).max(initial=0) < 2e-6
    masses.load(logits)
    for level in range(depth):
        odds = np.empty(3)
        masses.odds(level, (ranks >> np.uint32(depth - level)).astype(np.uint32), odds)
        assert (odds == path[:, level]).all(), "encoder and decoder must read bit-identical odds"


def test_very_unlikely_tokens_keep_a_floor():
    masses, out = Masses(np.arange(4, dtype=np.int32), 1), np.empty((1, 2))
    masses.path_odds(np.array([[0, -500, -np.inf, -900]], np.float32), np.array([3], np.uint32), out)
    assert np.isfinite(out).all() and out[0, 1] == 1 and 0 < out[0, 0] < 1e-30


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(bad):
    masses, logits = Masses(np.arange(300, dtype=np.int32), 1), np.zeros((1, 300), np.float32)
    logits[0, 77] = bad
    with pytest.raises(FloatingPointError):
        masses.path_odds(logits, np.zeros(1, np.uint32), np.empty((1, 9)))
    with pytest.raises(FloatingPointError):
        masses.load(logits)


def test_wrong_shapes_are_refused():
    masses = Masses(np.arange(8, dtype=np.int32), 2)
    logits = np.zeros((2, 8), np.float32)
    for call in (
        lambda: masses.path_odds(logits, np.array([0, 8], np.uint32), np.empty((2, 3))),
        lambda: masses.path_odds(logits, np.zeros(3, np.uint32), np.empty((3, 3))),
        lambda: masses.path_odds(logits, np.zeros(2, np.uint32), np.empty((2, 2))),
        lambda: masses.load(np.zeros((3, 8), np.float32)),
        lambda: masses.odds(3, np.zeros(2, np.uint32), np.empty(2)),
        lambda: masses.odds(1, np.array([2, 0], np.uint32), np.empty(2)),
        lambda: Masses(np.array([0, 9], np.int32), 1),
        lambda: Masses(np.array([0], np.int32), 1),
    ):
        with pytest.raises(ValueError):
            call()
