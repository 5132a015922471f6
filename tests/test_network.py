"""The mixer's network: loops for this processor give the integers of those for any, or files would not open elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_mixing import make_block

from llmzip.codec.codec import Codec
from llmzip.coding import _mixer
from llmzip.coding.mixing import Mixer

GOLDEN = Path(__file__).parent / "golden" / "model"
LOOPS = (True, False)
LIMIT, LOGIT, STEP, OUTPUTS = 4095, 2839, 16, 16

needs_other_loops = pytest.mark.skipif(_mixer.use_loops(False) == "plain", reason="this processor has the plain ones")


@pytest.fixture(autouse=True)
def _own_loops() -> Iterator[None]:
    yield
    _mixer.use_loops(False)


Turn = tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int32], NDArray[np.int32], int]


def exact(turn: Turn) -> tuple[list[int], int, list[list[int]], list[int]]:
    """Outputs, their mix, and the weights of both layers afterwards, as network.h has them, in Python's integers."""
    weights, inputs, errors, mix_weights, error = turn
    x = inputs.tolist()
    outputs = []
    for row in weights.tolist():
        lanes = [0] * 8
        for i, (w, a) in enumerate(zip(row, x, strict=True)):
            lanes[i // 2 % 8] += w * a
        outputs.append(max(-LOGIT, min(LOGIT, sum(lane >> 8 for lane in lanes) >> 5)))
    heard = (outputs + [0] * OUTPUTS)[:OUTPUTS]
    mixed = sum(w * o >> 8 for w, o in zip(mix_weights.tolist(), heard, strict=True)) >> 8
    learnt = [
        [max(-32768, min(32767, w + (a * e + 16384 >> 15))) for w, a in zip(row, x, strict=True)]
        for row, e in zip(weights.tolist(), errors.tolist(), strict=True)
    ]
    mix_learnt = [
        max(-(1 << 18), min(1 << 18, w + (o * error + 2048 >> 12)))
        for w, o in zip(mix_weights.tolist(), heard, strict=True)
    ]
    return outputs, max(-LOGIT, min(LOGIT, mixed)), learnt, mix_learnt


def by_loops(turn: Turn, plain: bool) -> tuple[list[int], int, list[list[int]], list[int]]:
    weights, inputs, errors, mix_weights, error = turn
    weights, mix_weights = weights.copy(), mix_weights.copy()
    _mixer.use_loops(plain)
    outputs, mixed = _mixer.network_turn(weights, inputs, errors, mix_weights, error)
    return np.frombuffer(outputs, np.int32).tolist(), mixed, weights.tolist(), mix_weights.tolist()


def bounded(limit: int, low: int | None = None) -> st.SearchStrategy[int]:
    """Numbers up to a limit on either side, often the limits themselves."""
    low = -limit if low is None else low
    return st.one_of(st.sampled_from([low, limit, -1, 0, 1]), st.integers(low, limit))


@st.composite
def turns(draw: st.DrawFn) -> Turn:
    n, rows = STEP * draw(st.integers(1, 8)), draw(st.integers(1, 17))

    def many(strategy: st.SearchStrategy[int], count: int, dtype: Any) -> NDArray[Any]:
        """Few different ones, so that all may be extreme, or any."""
        some = draw(st.lists(strategy, min_size=1, max_size=24))
        return np.random.default_rng(draw(st.integers(0, 1 << 32))).choice(np.array(some, dtype), count)

    return (
        many(bounded(32767, -32768), rows * n, np.int16).reshape(rows, n),
        many(bounded(LIMIT), n, np.int16),
        many(bounded(32767), rows, np.int32),
        many(bounded(1 << 18), OUTPUTS, np.int32),
        draw(bounded((1 << 18) - 1)),
    )


@given(turns())
def test_any_turn_is_exact(turn: Turn) -> None:
    for plain in LOOPS:
        assert by_loops(turn, plain) == exact(turn)


@pytest.mark.parametrize(("weight", "sign"), [(-32768, 1), (-32768, -1), (32767, 1), (32767, -1)])
def test_the_largest_sums_stay_whole(weight: int, sign: int) -> None:
    for error, mix in itertools.product((32767, -32767), (1 << 18, -(1 << 18))):
        turn = (
            np.full((16, 128), weight, np.int16),
            np.full(128, sign * LIMIT, np.int16),
            np.full(16, error, np.int32),
            np.full(OUTPUTS, mix, np.int32),
            error,
        )
        for plain in LOOPS:
            assert by_loops(turn, plain) == exact(turn)


def test_steps_are_rounded_alike() -> None:
    """Every product near a half of a step, which instructions round in ways of their own."""
    inputs = np.arange(-64, 64, dtype=np.int16) * 33
    for error in range(-1200, 1200, 7):
        turn = np.zeros((1, 128), np.int16), inputs, np.array([error], np.int32), np.zeros(OUTPUTS, np.int32), error
        for plain in LOOPS:
            assert by_loops(turn, plain) == exact(turn)


@needs_other_loops
@pytest.mark.parametrize("streams", [1, 6])
def test_probabilities_do_not_depend_on_the_loops(streams: int) -> None:
    for seed in (3, 4):
        ranks, states, cells = make_block(3000, 1500, seed, True)
        coded = []
        for plain in LOOPS:
            _mixer.use_loops(plain)
            mixer = Mixer(3000, streams, len(ranks))
            coded.append(mixer.encode(ranks, states, cells))
        assert coded[0] == coded[1]


@needs_other_loops
@pytest.mark.parametrize("name", ["manual.rst", "server.log", "gezeiten.txt", "parser.c", "records.json"])
def test_files_do_not_depend_on_the_loops(corpora: Path, name: str) -> None:
    text = (corpora / name).read_bytes()[:24000]
    packed = []
    for plain in LOOPS:
        _mixer.use_loops(plain)
        with Codec(level=1) as codec:
            packed.append(codec.compress(text))
    assert packed[0] == packed[1]
    for plain in LOOPS:
        _mixer.use_loops(plain)
        with Codec(level=1) as codec:
            assert codec.decompress(packed[0]) == text


@pytest.mark.parametrize("plain", LOOPS)
@pytest.mark.parametrize("name", ["fast.txt", "lines.log"])
def test_golden_bytes_by_all_loops(name: str, plain: bool) -> None:
    """format: nothing in these files depends on the machine."""
    _mixer.use_loops(plain)
    text, packed = (GOLDEN / name).read_bytes(), (GOLDEN / f"{name}.llmz").read_bytes()
    with Codec(level=1) as codec:
        assert codec.compress(text) == packed and codec.decompress(packed) == text


def test_turns_beyond_the_bounds_are_refused() -> None:
    fine: Turn = (
        np.zeros((2, 16), np.int16),
        np.zeros(16, np.int16),
        np.zeros(2, np.int32),
        np.zeros(OUTPUTS, np.int32),
        0,
    )
    assert by_loops(fine, True)[1] == 0
    for at, wrong, match in (
        (0, np.zeros((2, 15), np.int16), "number"),
        (1, np.zeros(15, np.int16), "number"),
        (1, np.full(16, LIMIT + 1, np.int16), "inputs"),
        (2, np.full(2, 32768, np.int32), "errors"),
        (3, np.full(OUTPUTS, (1 << 18) + 1, np.int32), "mix_weights"),
        (4, 1 << 18, "errors"),
    ):
        turn: Any = [*fine]
        turn[at] = wrong
        with pytest.raises(ValueError, match=match):
            _mixer.network_turn(*turn)
