"""The mixer: encoder and decoder walk through the same states, for any shape of vocabulary, block and model."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest
from cell_source import CellSource
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmzip.coding import _mixer
from llmzip.coding.cells import CENTRES
from llmzip.coding.mixing import Mixer
from llmzip.coding.rangecoder import TurnEncoder
from llmzip.coding.turndecoder import TurnDecoder

Block = tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint8]]


def splitmix(seed: int, count: int) -> NDArray[np.uint64]:
    """Pseudo-random 64-bit words that no library version can change."""
    mask = (1 << 64) - 1
    words = []
    for i in range(1, count + 1):
        z = (seed + i * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        words.append(z ^ z >> 31)
    return np.array(words, np.uint64)


def make_block(leaves: int, tokens: int, seed: int, flags: bool) -> Block:
    """Ranks that repeat themselves as texts do, states, and cells that know a little of the turns."""
    depth = (leaves - 1).bit_length()
    words = splitmix(seed, 3 * tokens + tokens * depth)
    ranks = (words[:tokens] >> np.uint64(20)) % np.uint64(min(leaves, 97)) * np.uint64(max(1, leaves // 97))
    ranks = ranks.astype(np.int64) % leaves
    for i, word in enumerate(words[tokens : 2 * tokens].tolist()):
        if i > 20 and word % 4:
            ranks[i] = ranks[i - 1 - word // 4 % 3 - 12]
    chance = words[2 * tokens : 3 * tokens] % np.uint64(64)
    states = np.where(flags & (chance < 3), np.where(chance == 0, 2, 1), 0).astype(np.uint8)
    noise = words[3 * tokens :].reshape(tokens, depth)
    bits = ranks[:, None] >> np.arange(depth - 1, -1, -1) & 1
    right = np.where(noise % np.uint64(5) < 4, bits, 1 - bits)
    near = (noise >> np.uint64(8)) % np.uint64(16)
    cells = np.where(right == 1, 16 + near, 15 - near).astype(np.uint8)
    cells[states == 1] += 33
    cells[states == 2] = len(CENTRES) - 1
    return ranks.astype(np.uint32), states, cells


def encode(mixer: Mixer, coder: TurnEncoder, block: Block, streams: int) -> tuple[bytes, bytes]:
    """In two calls, the first of which ends within a step."""
    ranks, states, cells = block
    bits, probabilities = b"", b""
    for rows in (slice(0, streams // 2 + 1), slice(streams // 2 + 1, None)):
        more = mixer.encode(ranks[rows], states[rows], cells[rows])
        coder.encode(*more)
        bits, probabilities = bits + more[0], probabilities + more[1]
    return bits, probabilities


def check_decoding(mixer: Mixer, coder: TurnDecoder, block: Block, streams: int) -> None:
    """Step by step, and in some of them in two calls."""
    ranks, states, cells = block
    for at in range(0, len(ranks), streams):
        step = slice(at, min(at + streams, len(ranks)))
        source = CellSource(ranks[step], states[step], cells[step], streams)
        cut = at + at % (step.stop - at + 1)
        for start, stop in ((at, cut), (cut, step.stop)):
            assert mixer.left == len(ranks) - start
            assert mixer.decode(coder, stop - start, source.capsule).tolist() == ranks[start:stop].tolist()
        turns = [(stream, level) for stream in range(step.stop - at) for level in range(cells.shape[1])]
        assert source.turns == turns and not source.faults
    assert mixer.left == 0


@settings(deadline=None, max_examples=60)
@given(
    leaves=st.one_of(st.integers(2, 40), st.integers(2, 1 << 18)),
    shapes=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), min_size=1, max_size=3),
    seed=st.integers(0, 1 << 32),
    mix=st.booleans(),
    flags=st.booleans(),
)
def test_round_trip(leaves: int, shapes: list[tuple[int, int]], seed: int, mix: bool, flags: bool) -> None:
    blocks = [make_block(leaves, tokens, seed + i, flags) for i, (tokens, _) in enumerate(shapes)]
    streams = [1 + extra for _, extra in shapes]
    mixer, encoder = Mixer(leaves, streams[0], shapes[0][0], mix=mix, flags=flags), TurnEncoder()
    for i, block in enumerate(blocks):
        if i:
            mixer.next_block(streams[i], len(block[0]))
        encode(mixer, encoder, block, streams[i])
    mixer, decoder = Mixer(leaves, streams[0], shapes[0][0], mix=mix, flags=flags), TurnDecoder(encoder.finish())
    for i, block in enumerate(blocks):
        if i:
            mixer.next_block(streams[i], len(block[0]))
        check_decoding(mixer, decoder, block, streams[i])


@pytest.mark.parametrize("streams", [1, 7, 32])
def test_round_trip_of_a_longer_block(streams: int) -> None:
    block = make_block(5000, 3000, 5, True)
    encoder = TurnEncoder()
    encode(Mixer(5000, streams, 3000, memory=1 << 20), encoder, block, streams)
    check_decoding(Mixer(5000, streams, 3000, memory=1 << 20), TurnDecoder(encoder.finish()), block, streams)


def cost(bits: bytes, probabilities: bytes) -> float:
    bit, p = np.frombuffer(bits, np.uint8), np.frombuffer(probabilities, np.uint16) / 65536
    return float(-np.log2(np.where(bit == 1, p, 1 - p)).sum())


def test_repetition_is_learnt() -> None:
    leaves, once = 4096, make_block(4096, 400, 1, False)
    block = tuple(np.concatenate([part, part]) for part in once)
    costs = {}
    for mix in (False, True):
        mixer = Mixer(leaves, 1, 800, mix=mix, flags=False)
        first = cost(*encode(mixer, TurnEncoder(), tuple(part[:400] for part in block), 1))
        costs[mix] = first, cost(*encode(mixer, TurnEncoder(), tuple(part[400:] for part in block), 1))
    assert costs[True][1] < 0.2 * costs[False][1]
    assert costs[True][0] < costs[False][0]


def test_certain_turns_are_nearly_free() -> None:
    depth, tokens = 13, 3000
    ranks = (splitmix(3, tokens) % np.uint64(8192)).astype(np.uint32)
    bits = ranks[:, None] >> np.arange(depth - 1, -1, -1) & 1
    cells = np.where(bits == 1, 31, 0).astype(np.uint8)
    for mix in (False, True):
        mixer = Mixer(8192, 1, tokens, mix=mix, flags=False)
        assert cost(*mixer.encode(ranks, np.zeros(tokens, np.uint8), cells)) < 0.0005 * depth * tokens


def test_noise_costs_little() -> None:
    """Random tokens with cells that say so: nothing can be learnt, and trying must not cost."""
    depth, tokens = 13, 4000
    ranks = (splitmix(4, tokens) % np.uint64(8192)).astype(np.uint32)
    cells = np.full((tokens, depth), len(CENTRES) - 1, np.uint8)
    mixer = Mixer(8192, 1, tokens, flags=False)
    spent = cost(*mixer.encode(ranks, np.zeros(tokens, np.uint8), cells))
    assert spent / 8 < depth * tokens / 8 * 1.002 + 16


def test_a_perfect_model_is_left_alone() -> None:
    """Turns drawn from the cells' own probabilities: there is nothing to learn."""
    depth, tokens = 13, 5000
    words = splitmix(6, 2 * tokens * depth).reshape(2, tokens, depth)
    cells = (words[0] % np.uint64(32)).astype(np.uint8)
    chance = np.array([_mixer.squash(int(centre)) for centre in CENTRES])[cells]
    bits = words[1] % np.uint64(65536) < chance
    ranks = (bits << np.arange(depth - 1, -1, -1)).sum(axis=1).astype(np.uint32)
    spent = [
        cost(*Mixer(8192, 1, tokens, mix=mix, flags=False).encode(ranks, np.zeros(tokens, np.uint8), cells))
        for mix in (False, True)
    ]
    assert spent[1] < spent[0] * 1.002 + 16 * 8


def test_a_safe_token_costs_little() -> None:
    block = make_block(300, 2000, 9, False)
    spent = [cost(*Mixer(300, 1, 2000, mix=False, flags=flags).encode(*block)) for flags in (False, True)]
    assert 0 < spent[1] - spent[0] < 60


def test_forced_turns_are_left_out() -> None:
    ranks = np.full(10, 4, np.uint32)  # of 5 leaves: right, then twice forced left
    mixer, states, cells = Mixer(5, 1, 10, flags=False), np.zeros(10, np.uint8), np.zeros((10, 3), np.uint8)
    bits, probabilities = mixer.encode(ranks, states, cells)
    assert bits == b"\1" * 10
    assert len(probabilities) == 20


def test_probabilities_stay_inside() -> None:
    for seed in range(4):
        block = make_block(1000, 1500, seed, True)
        _, probabilities = encode(Mixer(1000, 3, 1500), TurnEncoder(), block, 3)
        assert np.frombuffer(probabilities, np.uint16).min() >= 1


def test_golden_tables() -> None:
    squash = np.array([_mixer.squash(x) for x in range(-2900, 2901)], "<u2")
    stretch = np.array([_mixer.stretch(p) for p in range(65537)], "<i2")
    exact = 65536 / (1 + np.exp(-np.arange(-2839, 2840) / 256))
    assert np.abs(squash[61:-61] - exact).max() < 0.51
    assert squash[2900] == 32768 and squash.min() == 1 and squash.max() == 65535
    assert stretch[32768] == 0 and (np.diff(stretch) >= 0).all()
    assert hashlib.blake2b(squash.tobytes(), digest_size=8).hexdigest() == "88257d398ad93d8e"
    assert hashlib.blake2b(stretch.tobytes(), digest_size=8).hexdigest() == "a082bacd7371ce98"


@pytest.mark.parametrize(("streams", "golden"), [(1, "d5f067d799fc7b3f"), (5, "7cd1646cbeb380bd")])
def test_golden_probabilities(streams: int, golden: str) -> None:
    block = make_block(5000, 1200, 11, True)
    mixer, digest = Mixer(5000, streams, 1200), hashlib.blake2b(digest_size=8)
    bits, probabilities = encode(mixer, TurnEncoder(), block, streams)
    mixer.next_block(streams, 1200)
    more = encode(mixer, TurnEncoder(), block, streams)
    for part in (bits, probabilities, *more):
        digest.update(part)
    assert digest.hexdigest() == golden


def test_memory_is_bounded_and_sized_from_the_block() -> None:
    assert Mixer(8192, 1, 1000).memory < 5 << 20
    assert Mixer(8192, 1, 700_000).memory <= 256 << 20
    assert Mixer(8192, 8, 20_000_000).memory <= 256 << 20
    assert Mixer(1 << 18, 1, 1000, memory=8 << 20).memory <= 8 << 20


@pytest.mark.parametrize(("mix", "streams"), [(True, 1), (True, 5), (False, 3)])
def test_a_mixer_goes_back_to_where_it_was_saved(mix: bool, streams: int) -> None:
    ranks, states, cells = make_block(300, 60 * streams, 8, True)
    mixer = Mixer(300, streams, len(ranks), mix=mix)

    def on(steps: range) -> tuple[bytes, bytes]:
        rows = slice(steps.start * streams + 1, steps.stop * streams + 1)
        return mixer.encode(ranks[rows], states[rows], cells[rows])

    mixer.encode(ranks[:1], states[:1], cells[:1])
    on(range(20))
    early = mixer.save()
    first = on(range(20, 40)), on(range(40, 60))
    late = mixer.save()
    assert mixer.left == 0
    mixer.restore(early)
    assert mixer.left == 40 * streams - 1
    rows = slice(20 * streams + 1, 60 * streams)
    mixer.encode(ranks[rows][::-1].copy(), states[rows], cells[rows])
    mixer.restore(early)
    assert (on(range(20, 40)), on(range(40, 60))) == first
    assert mixer.save() == late
    for foreign in (b"", early[:-1], Mixer(300, streams, len(ranks), mix=mix).save()):
        with pytest.raises(ValueError, match="not what this mixer saved"):
            mixer.restore(foreign)
    mixer.next_block(streams, len(ranks))
    with pytest.raises(ValueError, match="not what this mixer saved"):
        mixer.restore(late)


def test_wrong_calls_are_refused() -> None:
    mixer = Mixer(300, 2, 5, flags=False)
    ranks, states, cells = make_block(300, 4, 0, False)
    with pytest.raises(ValueError, match="cells"):
        mixer.encode(ranks, states, cells[:, :3].copy())
    with pytest.raises(ValueError, match="states"):
        mixer.encode(ranks, states[:3], cells)
    with pytest.raises(ValueError, match="ranks"):
        mixer.encode(ranks + np.uint32(1000), states, cells)
    with pytest.raises(ValueError, match="ranks"):
        mixer.encode(np.tile(ranks, 2), np.tile(states, 2), np.tile(cells, (2, 1)))
    with pytest.raises(RuntimeError, match="block"):
        mixer.next_block(1, 1)
    low, decoder, ranks = _mixer.Mixer(300, CENTRES, 2, 5), _mixer.Decoder(b"abc"), np.zeros(2, np.uint32)
    source = CellSource(ranks, np.zeros(2, np.uint8), np.zeros((2, 9), np.uint8))
    for name, depth, rows in (("cells", 8, 2), ("cells", 9, 1)):
        other = CellSource(ranks, np.zeros(rows, np.uint8), np.zeros((rows, depth), np.uint8))
        with pytest.raises(ValueError, match=name):
            low.decode(decoder, ranks, other.capsule)
    with pytest.raises(ValueError, match="ranks"):
        low.decode(decoder, np.zeros(4, np.uint32), source.capsule)
    with pytest.raises(TypeError, match="decoder"):
        low.decode(b"abc", ranks, source.capsule)
    with pytest.raises(ValueError, match="PyCapsule"):
        low.decode(decoder, ranks, b"")
    with pytest.raises(TypeError, match="Table"):
        _mixer.Mixer(300, CENTRES, 2, 5, table=b"")
    for leaves, streams, tokens in ((1, 1, 1), (1 << 19, 1, 1), (10, 0, 1), (10, 1, 1 << 29)):
        with pytest.raises(ValueError, match="must be"):
            Mixer(leaves, streams, tokens)


def test_threads_have_mixers_of_their_own() -> None:
    block = make_block(2000, 2000, 21, True)
    expected = encode(Mixer(2000, 4, 2000), TurnEncoder(), block, 4)
    results: list[tuple[bytes, bytes]] = []

    def work() -> None:
        results.append(encode(Mixer(2000, 4, 2000), TurnEncoder(), block, 4))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 3
