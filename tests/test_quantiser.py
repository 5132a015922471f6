"""The quantiser: a drift within the tolerance never changes a cell."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmzip.codec.agreement import PORTABLE_TOLERANCE
from llmzip.codec.quantiser import LINE_END, LINE_MARGIN, Quantiser
from llmzip.coding import cells

edges = np.concatenate([cells.BASE_EDGES, cells.SHIFTED_EDGES]) / cells.UNIT
# Log odds all over, and very close to edges of both grids, where it matters.
log_odds = st.floats(-45, 45) | st.tuples(st.sampled_from(list(edges)), st.floats(-1e-4, 1e-4)).map(sum)
paths = st.integers(1, 12).flatmap(
    lambda depth: st.lists(st.lists(log_odds, min_size=depth, max_size=depth), min_size=1, max_size=9)
)


@given(paths, st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_the_decoder_finds_the_encoders_cells_whatever_drifts(paths, tolerance, seed):
    quantiser = Quantiser(tolerance)
    z = np.array(paths)
    states, coded = quantiser.encode(np.exp(z))
    drift = np.random.default_rng(seed).uniform(-1, 1, z.shape).round() * tolerance * 1e-6 * (1 - 1e-9)
    for level in range(z.shape[1]):
        out = np.empty(len(z), np.uint8)
        quantiser.decode(np.exp(z[:, level] + drift[:, level]), states, out)
        assert (out == coded[:, level]).all()


@given(paths, st.integers(1, 300), st.data())
def test_ends_of_lines_keep_a_wider_margin_and_other_tokens_theirs(paths, tolerance, data):
    quantiser = Quantiser(tolerance)
    odds = np.exp(np.array(paths))
    line_ends = np.array(data.draw(st.lists(st.booleans(), min_size=len(odds), max_size=len(odds))))
    states, coded = quantiser.encode(odds, line_ends)
    for of, expected in ((~line_ends, quantiser), (line_ends, Quantiser(LINE_MARGIN * tolerance))):
        for found, wanted in zip((states[of], coded[of]), expected.encode(odds[of]), strict=True):
            assert (found == wanted).all()


@given(paths)
def test_cells_lie_next_to_the_value_they_stand_for(paths):
    z = np.array(paths)
    states, coded = Quantiser(PORTABLE_TOLERANCE).encode(np.exp(z))
    centre = np.array(cells.CENTRES)[coded] / cells.UNIT
    inside = np.abs(z) < 5
    off = np.abs(centre - z)[inside & (states < cells.ESCAPED)[:, None]]
    assert (off < 0.6).all()
    assert (coded[states == cells.SAFE] < cells.SHIFTED).all()
    shifted = coded[states == cells.HALF_SHIFTED]
    assert ((shifted >= cells.SHIFTED) & (shifted < cells.NEUTRAL)).all()
    assert (coded[states == cells.ESCAPED] == cells.NEUTRAL).all()


def test_all_three_states_occur():
    on_base, on_shifted = cells.BASE_EDGES[3] / cells.UNIT, cells.SHIFTED_EDGES[20] / cells.UNIT
    states, _ = Quantiser(PORTABLE_TOLERANCE).encode(np.exp([[1.0, 0.5], [on_base, 0.5], [on_base, on_shifted]]))
    assert states.tolist() == [cells.SAFE, cells.HALF_SHIFTED, cells.ESCAPED]
    states, _ = Quantiser(0).encode(np.exp([[on_base, on_shifted]]))
    assert states.tolist() == [cells.SAFE], "without drift there is nothing to guard against"


def test_forced_turns_are_always_safe():
    states, _ = Quantiser(300).encode(np.zeros((4, 9)))
    assert not states.any()


def test_golden_tables():
    """format: a change here is a change of the bitstream; it needs a new coder version."""
    assert PORTABLE_TOLERANCE == 120
    assert (LINE_END, LINE_MARGIN) == (b"\n", 4)
    assert (cells.BASE, cells.SHIFTED, cells.NEUTRAL, len(cells.CENTRES)) == (0, 32, 65, 66)
    tables = np.concatenate([cells.BASE_EDGES, cells.SHIFTED_EDGES, cells.CENTRES]).astype("<i2").tobytes()
    assert hashlib.sha256(tables).hexdigest()[:16] == "93125568d0ecb543"
    assert (np.diff(cells.BASE_EDGES) > 0).all() and (np.diff(cells.SHIFTED_EDGES) > 0).all()
