"""Cutting streams into blocks."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.codec.cutting import Cutter

PROSE = b"A plain line of plain text, about nothing in particular.\n" * 5000
NOISE = random.Random(9).randbytes(200_000)


def blocks(data, size, piece=1 << 30):
    """All blocks of data that comes in pieces of so many bytes."""
    cutter = Cutter(size)
    for at in range(0, len(data), piece):
        yield from cutter.feed(data[at : at + piece])
    yield from cutter.finish()


pieces = st.lists(
    st.sampled_from([b"a", b"\n", b"\r\n", "é".encode(), "🎉".encode(), b"word " * 30]), max_size=300
).map(b"".join)


@settings(max_examples=60)
@given(pieces)
def test_blocks_join_to_the_input_and_respect_characters(data):
    cut = list(blocks(data, 64))
    assert b"".join(cut) == data
    assert all(0 < len(block) <= 64 for block in cut)
    for block in cut[:-1]:
        block.decode()
        assert not block.endswith(b"\r")


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 120_000)), max_size=5),
    st.sampled_from([4096, 65_536, 100_000, 1 << 22]),
)
def test_any_mixture_comes_back_within_the_size(parts, size):
    data = b"".join((PROSE if text else NOISE)[:length] for text, length in parts)
    cut = list(blocks(data, size))
    assert b"".join(cut) == data
    assert all(0 < len(block) <= size for block in cut)


@settings(max_examples=40)
@given(pieces, st.integers(1, 200))
def test_blocks_do_not_depend_on_the_pieces_that_data_comes_in(data, piece):
    assert list(blocks(data, 64, piece)) == list(blocks(data, 64))


def test_text_and_noise_are_kept_apart():
    cut = list(blocks((PROSE[:100_000] + NOISE + PROSE[:90_000]), 1 << 22))
    assert len(cut) == 3
    assert abs(len(cut[0]) - 100_000) <= 4096 and abs(len(cut[2]) - 90_000) <= 4096


def test_a_kind_that_goes_on_is_not_cut_between_reads():
    """Noise that begins at the end of one read and goes on in the next is one block."""
    cut = list(blocks((PROSE[:100_000] + NOISE[:150_000]), 180_000))
    assert [len(block) // 10_000 for block in cut] in ([9, 15], [10, 14])


@pytest.mark.parametrize(
    "data",
    [
        "漢字かな交じり文。".encode() * 20_000,
        PROSE.replace(b" ", bytes(1)),
        b"\x1b[1mbold\x1b[0m\n" * 30_000,
        b"\t\f\r\n" * 50_000,
    ],
    ids=["Chinese", "NUL", "terminal", "white space"],
)
def test_these_are_texts(data):
    noise = NOISE[: 1 << 17]
    cut = list(blocks((data + noise), 1 << 23))
    assert len(cut) == 2 and abs(len(cut[0]) - len(data)) <= 4096


def test_short_intrusions_do_not_cut():
    data = PROSE[:100_000] + NOISE[:8_000] + PROSE[:100_000]
    assert list(blocks(data, 1 << 22)) == [data]
