"""What the mixer begins with where there is no network: a leaning tree, and weights learnt before."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.coding import _mixer as _mixer_module
from llmzip.coding import packaged, start_file
from llmzip.coding.mixing import Mixer
from llmzip.coding.rangecoder import TurnEncoder
from llmzip.coding.start_file import Start, embedded_start
from llmzip.coding.table_file import embedded_table
from llmzip.coding.tree import LeaningTree
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.errors import ModelError
from llmzip.report.measure.costs import turn_owners
from llmzip.text.embedded_vocabulary import pieces

SMALL = bytes([1, 3, 3, 2])


@pytest.fixture(scope="module")
def tree():
    return LeaningTree(pieces(), embedded_start().lengths)


def _mixer(tree, streams, tokens):
    return Mixer(
        tree.leaves, streams, tokens, flags=False, table=embedded_table(), traits=tree.traits, start=embedded_start()
    )


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_round_trip(tree, data):
    streams = data.draw(st.integers(1, 5))
    ranks = np.array(data.draw(st.lists(st.integers(0, tree.leaves - 1), min_size=streams, max_size=60)), np.uint32)
    coder, mixer, done = TurnEncoder(), _mixer(tree, streams, len(ranks)), 0
    while mixer.left:
        some = ranks[done : done + data.draw(st.integers(1, 9))]
        bits, probabilities = mixer.encode(some, bytes(len(some)), None)
        assert len(bits) == sum(tree.lengths[rank] for rank in some)
        assert len(turn_owners(some, np.zeros(len(some), np.uint8), tree, False)) == len(bits)
        coder.encode(bits, probabilities)
        done += len(some)
    decoder, mixer = TurnDecoder(coder.finish()), _mixer(tree, streams, len(ranks))
    assert (mixer.decode(decoder, len(ranks)) == ranks).all()


@pytest.mark.parametrize("streams", [1, 3])
def test_texts_of_numbers_come_back(tree, streams):
    """They and what follows them have contexts of their own (numbers.h), after 1,024 tokens."""
    place = {piece: token for token, piece in enumerate(pieces())}
    spelt = [place[bytes([byte])] for i in range(120) for byte in b"%d,%d.5,rain (x)\n" % (i * 7919 % 1000, i % 30)]
    words = [place[piece] for piece in (b" the", b" ships", b",", b"\n")] * 300
    ranks = tree.ranks[np.array(spelt + words + spelt)]
    packed = []
    for plain in (True, False):
        _mixer_module.use_loops(plain)
        coder, mixer = TurnEncoder(), _mixer(tree, streams, len(ranks))
        coder.encode(*mixer.encode(ranks, bytes(len(ranks)), None))
        packed.append(coder.finish())
    assert packed[0] == packed[1]
    decoder, mixer = TurnDecoder(packed[0]), _mixer(tree, streams, len(ranks))
    back = [mixer.decode(decoder, min(mixer.left, 50)) for _ in iter(lambda: mixer.left, 0)]
    assert (np.concatenate(back) == ranks).all()


def test_a_start_at_rest_has_coarse_weights_and_few_visits():
    whole = embedded_start()
    rest = whole.resting(3, 2, 64)
    at = 32 + whole.leaves
    assert np.frombuffer(rest.data, "<u2", whole.rows, at).max() == 3
    weights = [
        np.frombuffer(start.data, "<i2", whole.rows * whole.inputs, at + 2 * whole.rows) for start in (whole, rest)
    ]
    assert (weights[1] % 64 == 0).all() and np.abs(weights[0].astype(int) - weights[1]).max() <= 32
    assert np.frombuffer(rest.data, "<u2", whole.maps, len(rest.data) - 2 * whole.maps).max() == 2
    assert len(rest.data) == len(whole.data)
    with pytest.raises(ValueError, match="shape"):
        whole.with_weights(whole.weights[1:])


def test_frequent_tokens_have_short_paths(tree):
    place = {piece: token for token, piece in enumerate(pieces())}
    turns = {piece: int(tree.lengths[tree.ranks[place[piece]]]) for piece in (b" the", b"7", b",", b" ships")}
    assert max(turns[b" the"], turns[b"7"], turns[b","]) <= 8 < turns[b" ships"] <= 16
    assert tree.depth <= 16 and sum(2.0**-length for length in tree.lengths) == 1


def test_what_was_learnt_is_a_start_again(tree):
    ranks = tree.ranks[np.arange(300) % 50]
    first = _mixer(tree, 1, 300)
    first.encode(ranks, bytes(300), None)
    learnt = Start(first.learnt())
    assert learnt.lengths == tree.lengths and learnt.data != embedded_start().data
    again = Mixer(tree.leaves, 1, 300, flags=False, table=embedded_table(), traits=tree.traits, start=learnt)
    assert again.learnt() == learnt.data, "nothing was seen since"
    with pytest.raises(RuntimeError, match="start"):
        Mixer(300, 1, 5).learnt()


@pytest.mark.parametrize(
    "lengths", [b"", bytes([1, 1, 1]), bytes([1, 2, 3]), bytes([2, 1, 2]), bytes([0, 1, 1]), bytes([17] * 3)]
)
def test_impossible_trees_are_refused(lengths):
    with pytest.raises(ValueError, match="start"):
        Mixer(len(lengths) or 2, 1, 5, flags=False, start=Start.untaught(lengths))


def test_a_start_is_for_one_vocabulary_and_one_mixer():
    assert Mixer(4, 1, 5, flags=False, start=Start.untaught(SMALL)).left == 5
    wrong = [Start.untaught(SMALL), Start(embedded_start().data)]
    for leaves, start in zip((5, 4), wrong, strict=True):
        with pytest.raises(ValueError, match="start"):
            Mixer(leaves, 1, 5, flags=False, start=start)
    with pytest.raises(ValueError, match="start"):
        Mixer(4, 1, 5, mix=False, start=Start.untaught(SMALL))
    with pytest.raises(ValueError):
        Start(embedded_start().data[:10])
    cut = Start(embedded_start().data[:-1])
    with pytest.raises(ValueError, match="start"):
        Mixer(8192, 1, 5, flags=False, start=cut)


def test_a_damaged_or_missing_file_is_named(monkeypatch, tmp_path):
    packed = bytearray(start_file.FILE.read_bytes())
    packed[len(packed) // 2] ^= 1
    damaged = tmp_path / "start.bin"
    damaged.write_bytes(packed)
    for path, says in ((damaged, "damaged"), (tmp_path / "missing.bin", "cannot be read")):
        monkeypatch.setattr(start_file, "FILE", path)
        embedded_start.cache_clear()
        with pytest.raises(ModelError, match=says):
            embedded_start()
    embedded_start.cache_clear()


def test_files_are_read_beforehand_and_read_anew_where_that_failed(monkeypatch, tmp_path):
    good, missing = tmp_path / "good", tmp_path / "missing"
    good.write_bytes(b"abc")
    reading = packaged._Reading(good, missing)
    monkeypatch.setattr(packaged, "_reading", reading)
    reading.start()
    found = packaged.read(good)
    assert (bytes(found[0]), found[1]) == (b"abc", packaged.identity_of(b"abc"))
    with pytest.raises(OSError):
        packaged.read(missing)
    missing.write_bytes(b"now it is there")
    assert bytes(packaged.read(missing)[0]) == b"now it is there"
    good.write_bytes(b"abd")
    assert bytes(packaged.read(good)[0]) == b"abd"


def test_a_forked_process_reads_for_itself():
    code = """
import os
from llmzip.coding import packaged
packaged.begin()
child = os.fork()
from llmzip.coding.table_file import embedded_table
embedded_table()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
