"""What the encoder decides on its own: streams, and blocks that the model is spared."""

import gzip
import io
import math
import random
import re
import struct
import sys
from pathlib import Path

import pytest
from fakes import FakeModel

from llmzip.codec import policy
from llmzip.codec.agreement import Coding
from llmzip.codec.codec import Codec
from llmzip.codec.evaluation import Session
from llmzip.codec.head import BlockHead
from llmzip.codec.noise import is_noise, is_text, told
from llmzip.codec.pipeline import BlockPipeline
from llmzip.coding.table_file import IDENTITY as TABLE
from llmzip.container import Block, BlockKind, classic, read_members
from llmzip.model.base import Window

WINDOW = Window(512, 4)


@pytest.mark.parametrize(
    ("tokens", "streams"),
    [
        (0, 1),
        (100, 1),
        (16383, 1),
        (16384, 2),
        (25_000, 2),
        (45_000, 5),
        (10**5, 16),
        (104_000, 16),
        (106_000, 32),
        (245_000, 32),
        (246_000, 48),
        (2 * 10**5, 32),
        (3 * 10**5, 48),
        (4 * 10**5, 64),
        (6 * 10**5, 96),
        (10**6, 128),
    ],
)
def test_streams_grow_with_the_text(tokens, streams):
    assert policy.streams_for(tokens, None) == streams


@pytest.mark.parametrize(
    ("streams", "stream_bytes", "weights", "pays"),
    [
        (64, 2 << 20, 33 << 20, True),  # the embedded model
        (32, 2 << 20, 33 << 20, False),
        (64, 134 << 20, 5 << 30, False),  # a model of a thousand million weights
    ],
)
def test_small_networks_get_less_of_a_window_in_many_streams(streams, stream_bytes, weights, pays):
    assert policy.near_pays(streams, stream_bytes, weights) == pays


def first_head(packed):
    """Of the first block."""
    block = next(event for event in read_members(io.BytesIO(packed)) if isinstance(event, Block))
    return BlockHead.unpack(block.payload, block.original_length)[0]


@pytest.mark.parametrize(
    ("settings", "near"),
    [({"streams": 40}, True), ({"streams": 32}, False), ({"streams": 40, "window": 32}, False), ({"level": 9}, False)],
)
def test_who_gets_less_of_a_window(monkeypatch, settings, near):
    """Not who asked for a window, or for the smallest file."""
    monkeypatch.setattr(policy, "beyond_classic", lambda classic, model: True)
    model = FakeModel()
    model.weight_bytes = 16
    data = b"A plain line of plain text, about nothing in particular.\n" * 60
    with Codec(model, **settings) as codec:
        packed = codec.compress(data)
        assert first_head(packed).near == near
        assert codec.decompress(packed) == data


def test_wanted_streams_are_kept_within_the_tokens():
    assert [policy.streams_for(5, wanted) for wanted in (1, 5, 200)] == [1, 5, 5]


def evaluated(data):
    """Rows that the decision took, and the decision."""
    model = FakeModel()
    pipeline = BlockPipeline(Session(model), Coding(model.window, 30, True))
    spared = policy.unpromising(data, len(classic.encode(BlockKind.ZSTD, data)), pipeline)
    return model.evaluated, spared


@pytest.mark.parametrize("kinds", [64, 10_000])
def test_what_is_no_text_is_spared_after_a_few_samples(kinds):
    """Random pieces, that come again (a gift to zstd) or do not (a gift to nobody)."""
    source = random.Random(1)
    pieces = [source.randbytes(512) for _ in range(kinds)]
    rows, spared = evaluated(b"".join(source.choices(pieces, k=500)))
    assert spared and rows <= 4 * 2048


def smooth(chance):
    """Sound, two bytes a sample."""
    return (int(9000 * math.sin(i / 17) + chance.gauss(0, 200)) for i in range(10_000))


NOISE = {
    "encrypted": lambda chance: chance.randbytes(20_000),
    "compressed": lambda chance: gzip.compress(" ".join(str(chance.random()) for _ in range(4000)).encode()),
    "samples of noise": lambda chance: b"".join(struct.pack("<h", int(chance.gauss(0, 3000))) for _ in range(10_000)),
    "floats": lambda chance: b"".join(struct.pack("<f", chance.gauss(0, 1)) for _ in range(5000)),
    "few values": lambda chance: bytes(chance.choices((0, 1, 2, 7), k=20_000)),
}
OTHERS = {
    "program": lambda chance: Path(sys.executable).resolve().read_bytes()[:20_000],
    "sound": lambda chance: b"".join(struct.pack("<h", sample) for sample in smooth(chance)),
    "picture": lambda chance: bytes(int(128 + 90 * math.sin(i % 140 / 20) + chance.gauss(0, 6)) for i in range(20_000)),
    "records": lambda chance: b"".join(struct.pack("<IHHI", i, chance.randrange(9), 7, i % 99) for i in range(1700)),
    "digits": lambda chance: "".join(chance.choices("0123456789", k=20_000)).encode(),
    "UTF-16": lambda chance: " ".join(chance.choices(["the", "ships", "of", "a sea"], k=3000)).encode("utf-16"),
    "zeros": lambda chance: bytes(20_000),
}


@pytest.mark.parametrize("kind", [*NOISE, *OTHERS])
def test_noise_is_told_from_what_has_a_shape(kind):
    data = (NOISE | OTHERS)[kind](random.Random(kind))
    assert is_noise(data, classic.quick_length(data)) == (kind in NOISE)


def test_noise_is_spared_at_once():
    """Not one row of the network, and none of the table, which alone would code it."""
    assert evaluated(random.Random(9).randbytes(20_000)) == (0, True)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5])
def test_few_bytes_tell_nothing(length):
    assert all(abs(told(b"abcdefg"[:length], lag)) < 9 for lag in range(1, 5)) and not is_noise(b"", 0)


def test_what_is_text():
    controls = re.compile(b"[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
    chance = random.Random(4)
    for number in range(500):
        data = bytearray("".join(chance.choices("A é中😀\t\n\x00\x1b", k=100)).encode())
        for _ in range(number % 30):
            data[chance.randrange(len(data))] = chance.randrange(256)
        escaped = data.decode("utf-8", "surrogateescape")
        odd = sum("\udc80" <= c <= "\udcff" for c in escaped) + len(controls.findall(data))
        assert is_text(bytes(data)) == (odd <= 0.1 * len(data))


def test_what_repeats_itself_is_spared_at_once():
    assert evaluated(b"the same line again\n" * 20_000) == (0, True)


def test_text_is_not_sampled():
    words = random.Random(2).choices([b" the", b" and", b" of", b"ing", b"th", b" to"], k=60_000)
    assert evaluated(b"".join(words)) == (0, False)


@pytest.mark.parametrize("size", [256, 1000, 4000, 15_000, 100_000])
def test_random_bytes_are_spared_the_network_at_every_size(size):
    data = random.Random(size).randbytes(size)
    with Codec() as codec:
        packed = codec.compress(data)
        assert codec.choice.idle and codec.decompress(packed) == data


@pytest.mark.parametrize(
    "text", ["Kurze Texte brauchen die Probe nicht zu fürchten. ", "日本語の短い文章もです。", "Короткие тексты тоже. "]
)
def test_short_texts_are_not(text):
    data = text.encode() * (300 // len(text.encode()))
    varied = bytes(random.Random(5).sample(range(97, 123), 26)) + data
    alone = BlockPipeline(None, Coding(None, 0, True, table=TABLE))
    by_zstd = len(classic.encode(BlockKind.ZSTD, varied))
    assert not policy.unpromising(varied, by_zstd, alone)
    tokens = alone.tokens_of(varied)[0]
    assert not policy.no_text(len(tokens.tokens), len(alone.encode(tokens, False, 1)), by_zstd, len(varied))
