"""The best alphabetic tree, and the start that is made with it, on a tiny corpus."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.coding.start_file import Start
from training import start
from training.alphabetic import lengths
from training.prepare import prepare


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12))
def test_no_tree_has_fewer_turns(weights):
    @cache
    def least(first: int, last: int) -> int:
        if last - first == 1:
            return 0
        return sum(weights[first:last]) + min(least(first, at) + least(at, last) for at in range(first + 1, last))

    found = lengths(weights)
    assert sum(weight * turns for weight, turns in zip(weights, found, strict=True)) == least(0, len(weights))
    # They are those of a tree whose leaves stay in order: each begins where its length divides.
    place = 0
    for turns in found:
        step = 1 << (32 - turns)
        assert place % step == 0
        place += step
    assert place == 1 << 32


def test_the_start_is_the_same_every_time(prepared, monkeypatch):
    prepare(prepared)
    sources = [name for name in start.STRETCHES if start.token_path(prepared.paths.work, "train", name).exists()]
    assert sources
    monkeypatch.setattr(start, "SHARES", dict.fromkeys(sources, 1.0))
    monkeypatch.setattr(start, "STRETCHES", dict.fromkeys(sources, 1))
    monkeypatch.setattr(start, "STRETCH", 300)
    packed = start.make_start(prepared)
    assert start.make_start(prepared) == packed
    made = Start(zlib.decompress(packed))
    assert made.lengths.max() <= start.DEPTH and np.sum(2.0 ** -made.lengths.astype(float)) == 1
    assert made.rows and made.inputs


def test_a_start_of_no_text_is_refused(prepared):
    with pytest.raises(OSError):
        start.make_start(prepared)
