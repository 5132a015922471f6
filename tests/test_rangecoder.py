"""The range coder: golden words, round trips, damage."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.coding.rangecoder import TurnEncoder
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.errors import CorruptError

RangeEncoder = runpy.run_path(str(Path(__file__).parent.parent / "tools" / "aarch64" / "constriction.py"))[
    "RangeEncoder"
]

TURN = st.tuples(st.integers(0, 1), st.one_of(st.sampled_from([1, 2, 32768, 65534, 65535]), st.integers(1, 65535)))


@settings(deadline=None)
@given(calls=st.lists(st.lists(TURN, max_size=70), max_size=12))
def test_round_trip(calls: list[list[tuple[int, int]]]) -> None:
    encoder = TurnEncoder()
    arrays = [(np.array([b for b, _ in c], np.uint8), np.array([p for _, p in c], np.uint16)) for c in calls]
    for bits, probabilities in arrays:
        encoder.encode(bits, probabilities)
    data = encoder.finish()
    assert not data.endswith(b"\0")
    decoder = TurnDecoder(data)
    for bits, probabilities in arrays:
        assert decoder.decode(probabilities).tolist() == bits.tolist()


def test_golden_words(capfd: pytest.CaptureFixture[str]) -> None:
    encoder = TurnEncoder()
    probabilities = (np.arange(1, 401) * 163 % 65535 + 1).astype(np.uint16)
    bits = (np.arange(400) * 7919 % 65536 < probabilities).astype(np.uint8)
    encoder.encode(bits, probabilities)
    assert encoder.finish().hex() == ("ffa0540761512e8672ddbc8cd967831edf52cccce055a5e8b8d54b11f355c8401243194802")
    assert capfd.readouterr().out == ""


def test_length_is_near_the_ideal() -> None:
    generator = np.random.default_rng(1)
    probabilities = generator.integers(1, 65536, 50_000).astype(np.uint16)
    bits = (generator.integers(0, 65536, 50_000) < probabilities).astype(np.uint8)
    encoder = TurnEncoder()
    encoder.encode(bits, probabilities)
    p = probabilities / 65536
    ideal = -np.log2(np.where(bits == 1, p, 1 - p)).sum() / 8
    assert len(encoder.finish()) < ideal * 1.0005 + 8


@settings(max_examples=200)
@given(turns=st.lists(TURN, max_size=200))
def test_the_last_word_is_as_short_as_can_be(turns: list[tuple[int, int]]) -> None:
    bits, probabilities = np.array([b for b, _ in turns], np.uint8), np.array([p for _, p in turns], np.uint16)
    encoder = TurnEncoder()
    encoder.encode(bits, probabilities)
    ideal = -np.log2(np.where(bits, probabilities / 65536, 1 - probabilities / 65536)).sum() / 8
    assert len(encoder.finish()) < ideal + 2.1 + 0.001 * len(turns)  # a carry may cost a byte


@pytest.mark.parametrize("turns", [300, 5_000])
@pytest.mark.parametrize("end", [0, 1])
def test_many_turns_to_the_left_can_be_read(turns: int, end: int) -> None:
    bits, probabilities = np.zeros(turns + 1, np.uint8), np.full(turns + 1, 30_000, np.uint16)
    bits[20], bits[-1] = 1, end
    encoder = TurnEncoder()
    encoder.encode(bits, probabilities)
    assert encoder.finish().endswith(b"\0") == (not end)
    assert TurnDecoder(encoder.finish()).decode(probabilities).tolist() == bits.tolist()


def test_nothing_is_nothing() -> None:
    assert TurnEncoder().finish() == b""
    assert TurnDecoder(b"").decode(np.empty(0, np.uint16)).tolist() == []


def test_damage_is_reported_or_decoded_never_worse() -> None:
    generator = np.random.default_rng(2)
    refused = 0
    for _ in range(300):
        decoder = TurnDecoder(generator.bytes(int(generator.integers(0, 64))))
        try:
            for _ in range(20):
                assert set(decoder.decode(generator.integers(1, 65536, 40).astype(np.uint16)).tolist()) <= {0, 1}
        except CorruptError:
            refused += 1
    assert refused > 0


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="as many"):
        TurnEncoder().encode(b"\0\1", b"\1\0")
    with pytest.raises(ValueError, match="1 to 65535"):
        TurnEncoder().encode(b"\0", b"\0\0")


@settings(deadline=None)
@given(calls=st.lists(st.lists(TURN, max_size=70), max_size=12))
def test_the_encoder_for_emulated_processors_writes_the_same(calls: list[list[tuple[int, int]]]) -> None:
    encoder, other = TurnEncoder(), TurnEncoder()
    other._coder = RangeEncoder()
    for call in calls:
        bits, probabilities = np.array([b for b, _ in call], np.uint8), np.array([p for _, p in call], np.uint16)
        encoder.encode(bits, probabilities)
        other.encode(bits, probabilities)
    assert other.finish() == encoder.finish()
