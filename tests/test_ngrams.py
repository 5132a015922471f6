"""The table of n-grams: what it says of a turn, beside an exact reference; tables that are wrong."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.coding import _mixer
from llmzip.coding.table_file import FILE, IDENTITY, TABLE_IDENTITY, embedded_table, find_table, open_table
from llmzip.errors import ModelError
from training.ngrams import ORDERS, count_order, token_bits
from training.table import FULL, Shape, assemble, keep, quantised, worths

UNKNOWN = 2**32 - 1
TINY = Shape(mass_bits=5)


def tiny(tokens, vocabulary, price=0.01, shape=TINY):
    """A table of some tokens (a, ...), and what it holds: per order {context: {rank: mass}}, unigram masses."""
    tokens = np.array(tokens, np.uint16)
    bits = token_bits(vocabulary)
    unigrams = np.bincount(tokens, minlength=vocabulary)
    chance = (unigrams + 0.5) / (unigrams.sum() + 0.5 * vocabulary)
    kept, lower = [], None
    for order in ORDERS:
        grams = count_order(tokens, order, bits, least=1)
        chances, worth = worths(grams, lower, chance, bits, shape)
        kept.append(keep(grams, chances, worth, bits, price, bits + shape.mass_bits))
        lower = grams
    data = assemble(unigrams, kept, bytes(8), shape)
    held = []
    for each in kept:
        contexts: dict[int, dict[int, int]] = {}
        if len(each.keys):
            for key, place in zip(each.keys.tolist(), quantised(each, bits, shape).tolist(), strict=True):
                contexts.setdefault(key >> bits, {})[key & (1 << bits) - 1] = int(shape.masses()[place])
        held.append(contexts)
    masses = np.frombuffer(data, "<u4", vocabulary, 24 + (4 << shape.mass_bits)).astype(int).tolist()
    return data, held, masses


def exact_path(held, masses, before, rank, bits):
    """Log odds (nats) of the turns to a rank, in fractions."""
    vocabulary = len(masses)
    leaf = [Fraction(mass, FULL) for mass in masses]
    context = 0
    for n, contexts in enumerate(held):
        if before[n] == UNKNOWN:
            break
        context |= before[n] << bits * n
        followers = contexts.get(context & (1 << 64 - bits) - 1)
        if followers:
            rest = 1 - Fraction(sum(followers.values()), FULL)
            leaf = [rest * p + Fraction(followers.get(i, 0), FULL) for i, p in enumerate(leaf)]
    low, found = 0, []
    for shift in reversed(range((vocabulary - 1).bit_length())):
        middle = low + (1 << shift)
        if middle < vocabulary:
            found.append(math.log(sum(leaf[middle : middle + (1 << shift)]) / sum(leaf[low:middle])))
        if rank >= middle:
            low = middle
    return found


@settings(max_examples=40)
@given(
    st.integers(2, 40).flatmap(
        lambda v: st.tuples(st.just(v), st.lists(st.integers(0, v - 1), min_size=12, max_size=200))
    ),
    st.data(),
)
def test_log_odds_are_those_of_the_interpolated_counts(text, data):
    vocabulary, tokens = text
    table, held, masses = tiny(tokens * 2, vocabulary)
    opened = _mixer.Table(table)
    assert opened.vocabulary == vocabulary
    for _ in range(5):
        at = data.draw(st.integers(0, len(tokens)))
        before = [*reversed(tokens[:at][-4:]), *[UNKNOWN] * 4][:4]
        rank = data.draw(st.integers(0, vocabulary - 1))
        found = opened.path(np.array(before, np.uint32), rank)
        wanted = exact_path(held, masses, before, rank, token_bits(vocabulary))
        # A rest has 22 bits, a logarithm ten bits of mantissa.
        assert found == pytest.approx([256 * z for z in wanted], abs=1.3)


def test_golden_log_odds():
    """format: what the embedded table says of these turns."""
    said = embedded_table().path(np.array([4000, 3000, UNKNOWN, UNKNOWN], np.uint32), 5000)
    assert said == GOLDEN


GOLDEN = [316, 48, -591, 497, -653, -487, -28, 74, -358, 323, 165, -76, -294]


def test_wrong_tables_are_refused(tmp_path):
    data, _, _ = tiny([1, 2, 3, 1, 2, 3, 0, 4] * 9, 5)
    _mixer.Table(data)
    for cut in range(len(data) - 8):
        with pytest.raises(ValueError, match="is cut|impossible"):
            _mixer.Table(data[:cut])
    for at, value, says in (
        (0, 0x20, "no table"),
        (6, 9, "another version"),
        (7, 9, "impossible sizes"),
        (8, 1, "impossible sizes"),
        (12, 0, "impossible sizes"),
        (13, 1, "impossible sizes"),
    ):
        with pytest.raises(ValueError, match=says):
            _mixer.Table(data[:at] + bytes([value]) + data[at + 1 :])


@settings(max_examples=200)
@given(st.data())
def test_damaged_tables_say_something_or_are_refused(data):
    """Whatever stands in a table, it is neither read beyond its end nor does it hang."""
    table, _, _ = tiny([1, 2, 3, 1, 2, 3, 0, 4, 4, 4] * 20, 5)
    damaged = bytearray(table)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(8, len(table) - 1))] = data.draw(st.integers(0, 255))
    try:
        opened = _mixer.Table(bytes(damaged))
    except ValueError:
        return
    for rank in range(min(opened.vocabulary, 9)):
        opened.path(np.array([rank, 1, 2, 3], np.uint32), rank)


def test_the_table_of_a_file_is_named_when_it_is_not_there(tmp_path):
    assert find_table(IDENTITY) is embedded_table()
    with pytest.raises(ModelError, match="0102030405060708"):
        find_table(bytes(range(1, 9)))
    with pytest.raises(ModelError, match=TABLE_IDENTITY.hex()):
        open_table(tmp_path / "missing.bin", TABLE_IDENTITY)
    cut = tmp_path / "cut.bin"
    cut.write_bytes(FILE.read_bytes()[:-1])
    with pytest.raises(ModelError, match=TABLE_IDENTITY.hex()):
        open_table(cut, TABLE_IDENTITY)
    from hashlib import blake2b

    newer = FILE.read_bytes()[:6] + b"\2" + FILE.read_bytes()[7:]
    cut.write_bytes(newer)
    with pytest.raises(ModelError, match="another version"):
        open_table(cut, blake2b(newer, digest_size=8).digest())
    assert struct.unpack("<I", FILE.read_bytes()[8:12]) == (8192,)
