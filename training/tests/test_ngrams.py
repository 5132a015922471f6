"""Counting and writing the table of n-grams, on a tiny corpus."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from training.ngrams import ORDERS, Grams, count, count_order, token_bits
from training.prepare import prepare, token_path
from training.table import Shape, make


def test_counts_are_those_of_the_text():
    tokens = np.random.default_rng(1).integers(0, 6, 400).astype(np.uint16)
    for order in ORDERS:
        grams = count_order(tokens, order, 3)
        seen = Counter(tuple(tokens[i : i + order].tolist()) for i in range(len(tokens) - order + 1))
        totals = Counter()
        for gram, times in seen.items():
            totals[gram[:-1]] += times
        expected = {gram: (times, totals[gram[:-1]]) for gram, times in seen.items() if times >= 2}
        found = {
            tuple(int(key) >> 3 * (order - 1 - i) & 7 for i in range(order)): (int(times), int(total))
            for key, times, total in zip(grams.keys, grams.counts, grams.totals, strict=True)
        }
        assert found == expected


def test_no_text_is_no_n_grams():
    assert len(count_order(np.empty(0, np.uint16), 3, 13).keys) == 0


def test_the_table_is_the_same_every_time_and_counting_goes_on_where_it_stopped(prepared, tmp_path):
    prepare(prepared)
    sources = [name for name in prepared.prepare.sources if token_path(prepared.paths.work, "train", name).exists()]
    assert sources
    vocabulary = prepared.model.vocabulary
    ranks = np.arange(vocabulary, dtype=np.uint16)
    folder = count(prepared, ranks, vocabulary, sources)
    pieces = [bytes([token % 256, token // 256]) for token in range(vocabulary)]
    first = make(folder, pieces, 20_000, Shape())
    (folder / "order3-totals.npy").unlink()
    stamp = (folder / "order2-totals.npy").stat().st_mtime_ns
    count(prepared, ranks, vocabulary, sources)
    assert (folder / "order2-totals.npy").stat().st_mtime_ns == stamp
    assert make(folder, pieces, 20_000, Shape()) == first
    assert len(first) < 60_000 and len(Grams.load(folder, 2).keys) > 0
    assert make(folder, pieces, 4_000, Shape()) != first


@pytest.mark.parametrize(("vocabulary", "bits"), [(2, 1), (256, 8), (257, 9), (8192, 13)])
def test_bits_of_a_token(vocabulary, bits):
    assert token_bits(vocabulary) == bits
