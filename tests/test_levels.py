"""Levels: files without a network, blocks that leave it out, and what a header says of both."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from unittest import mock

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.codec import policy
from llmzip.codec.codec import Codec
from llmzip.codec.head import BlockHead
from llmzip.codec.layout import Layout
from llmzip.coding import _mixer
from llmzip.coding.rangecoder import TurnEncoder
from llmzip.coding.table_file import IDENTITY
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.container import NO_MODEL, TAG_TABLE, BlockKind, Header, read_members
from llmzip.errors import CorruptError, ModelError, UsageError

GOLDEN = Path(__file__).parent / "golden" / "model"
TEXT = b"The harbour of the town and the ships of the sea, the old men and the weather.\r\n" * 4


@pytest.fixture(scope="module")
def fast():
    with Codec(level=1) as codec:
        yield codec


def blocks(packed):
    return [event for event in payloads(packed) if hasattr(event, "kind")]


def payloads(packed):
    """All events; blocks need not be accepted."""
    events = read_members(io.BytesIO(packed))
    try:
        yield from events
    except RuntimeError:
        return


@settings(max_examples=60)
@given(st.binary(max_size=400) | st.text(max_size=300).map(lambda s: s.encode("utf-8", "surrogatepass")))
def test_any_bytes_come_back(data):
    with Codec(level=1) as codec:
        assert codec.decompress(codec.compress(data)) == data


def test_no_network_is_named_or_loaded(fast):
    packed = fast.compress(TEXT)
    header = next(read_members(io.BytesIO(packed)))
    assert (header.model, header.context, header.tolerance) == (NO_MODEL, 0, 0)
    assert header.extras == {TAG_TABLE: IDENTITY}
    (block,) = blocks(packed)
    assert block.kind is BlockKind.MODEL and not BlockHead.unpack(block.payload, len(TEXT))[0].network
    assert fast.choice.idle
    program = (
        "import sys, llmzip; packed = llmzip.compress(sys.stdin.buffer.read(), level=1); "
        "assert llmzip.decompress(packed); assert 'llama_cpp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], input=TEXT, check=True)


def test_what_takes_long_to_import_is_left_out(fast, tmp_path):
    """Decompression needs no arrays, no tokenizer and no encoder."""
    (tmp_path / "packed").write_bytes(fast.compress(TEXT))
    program = (
        "import sys\nfrom llmzip.cli.main import main\ntry: main()\nexcept SystemExit as end: code = end.code\n"
        "left = {'numpy', 'tokenizers', 'constriction', 'brotli', 'concurrent.futures'} & set(sys.modules)\n"
        "sys.exit(code or ', '.join(left) or 0)"
    )
    arguments = [sys.executable, "-c", program, "-dc", str(tmp_path / "packed")]
    assert subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout == TEXT


def test_a_fork_waits_for_what_is_imported_meanwhile(tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.3)\n")
    program = (
        "import os, sys\nsys.path.insert(0, sys.argv[1])\nfrom llmzip.codec.meanwhile import import_meanwhile\n"
        "import_meanwhile('slow'); import_meanwhile('slow'); import_meanwhile('there is no such module')\n"
        "child = os.fork()\nimport slow\nif not child: os._exit(0)\n"
        "sys.exit(os.waitpid(child, 0)[1])"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program, str(tmp_path)], check=True, timeout=60)


@pytest.mark.parametrize("name", ["fast.txt", "lines.log"])
def test_golden_bytes_of_level_1(fast, name):
    """format: nothing in these files depends on the machine."""
    assert fast.compress((GOLDEN / name).read_bytes()) == (GOLDEN / f"{name}.llmz").read_bytes()


def test_several_blocks_at_once_change_nothing(tmp_path, corpora):
    text = (corpora / "manual.rst").read_bytes() + bytes(range(256)) * 40 + (corpora / "server.log").read_bytes()
    path = tmp_path / "t"
    path.write_bytes(text)
    packed = []
    for threads in (1, 3):
        with Codec(level=1, threads=threads, block_size=5000) as codec:
            sink, told = io.BytesIO(), []
            with open(path, "rb") as source:
                summary = codec.compress_stream(source, sink, told.append)
            packed.append(sink.getvalue())
            assert sum(told) == len(text) == summary.original and summary.blocks > 5
            assert codec.decompress(packed[-1]) == text
            assert codec.decompress(packed[-1] * 2) == text * 2
    assert packed[0] == packed[1]


@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_before_a_damaged_one_come_out(corpora, threads):
    text = (corpora / "manual.rst").read_bytes()[:20000]
    with Codec(level=1, threads=threads, block_size=5000) as codec:
        packed = bytearray(codec.compress(text))
        packed[len(packed) * 9 // 10] ^= 1
        sink = io.BytesIO()
        with pytest.raises(CorruptError, match="block"):
            codec.decompress_stream(io.BytesIO(bytes(packed)), sink)
        assert sink.getvalue() == text[: len(sink.getvalue())] and len(sink.getvalue()) >= 10000
        assert codec.decompress(codec.compress(text)) == text, "the codec can be used on"


@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_before_the_end_of_a_cut_file_come_out(corpora, tmp_path, threads):
    text = (corpora / "manual.rst").read_bytes()[:14000]
    with Codec(level=1, threads=threads, block_size=5000) as codec:
        packed = codec.compress(text)
        whole = sum(block.original_length for block in blocks(packed)[:-1])
        sink = io.BytesIO()
        with pytest.raises(CorruptError):
            codec.decompress_stream(io.BytesIO(packed[: blocks(packed)[-1].offset + 9]), sink)
    assert sink.getvalue() == text[:whole] and whole > 5000


def test_only_what_needs_no_model_goes_to_other_threads(fast):
    packed = fast.compress(TEXT)
    header = next(read_members(io.BytesIO(packed)))
    (block,) = blocks(packed)
    network = replace(block, payload=BlockHead(False, 3, 1, []).payload(b"abc"))
    raw = replace(block, kind=BlockKind.RAW)
    assert fast._for_threads(header, block) and fast._for_threads(header, raw)
    assert not fast._for_threads(header, network)
    exact = replace(header, exact=True, tolerance=0)
    assert not any(fast._for_threads(exact, each) for each in (block, raw, network))


def test_giving_up_ends_the_threads(corpora):
    text = (corpora / "manual.rst").read_bytes()
    with Codec(level=1, threads=3, block_size=5000) as codec:
        decoded = codec.decoded(io.BytesIO(codec.compress(text)))
        first = next(decoded)
        assert first and text.startswith(first) and first != text
        decoded.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("block")]


@pytest.mark.parametrize(
    "data",
    [
        b"word " * 12_000,
        b"\x00" * 60_000,
        b"a" * 60_000,
        b",".join(b"%d" % (i * i) for i in range(9_000)),
        b";" * 60_000,
        bytes(random.Random(1).choices(range(256), k=60_000)),
        "".join(random.Random(2).choices("\u00e9\u00e8\u00fc\u00dfabc ", k=30_000)).encode("latin-1"),
        b"one\ttwo\tthree\r" * 4_000,
        b"text\x00" * 10_000,
        b"{" * 20_000 + b"}" * 20_000,
    ],
    ids=["line", "nul", "byte", "fields", "separators", "random", "latin1", "cr", "text and nul", "brackets"],
)
def test_texts_of_odd_shapes_never_grow(fast, data):
    packed = fast.compress(data)
    assert fast.decompress(packed) == data and len(packed) <= len(data) * 1.001 + 64


def test_levels_that_mean_the_same_write_the_same(fast):
    packed = fast.compress(TEXT)
    assert all(Codec(level=level).compress(TEXT) == packed for level in (2, 3))


@pytest.mark.parametrize("pays", [False, True])
def test_the_default_leaves_the_network_out_where_it_does_not_pay(monkeypatch, corpora, pays):
    text = (corpora / "manual.rst").read_bytes()[:9000]
    monkeypatch.setattr("llmzip.codec.policy.network_pays", lambda *_: pays)
    with Codec(level=6, threads=1) as codec:
        packed = codec.compress(text)
        assert codec.choice.idle is not pays, "nothing is loaded that is not used"
    (block,) = blocks(packed)
    assert BlockHead.unpack(block.payload, len(text))[0].network is pays
    with Codec(level=1, threads=1) as codec:
        assert codec.decompress(packed) == text, "the file says what it needs"


def test_what_is_very_regular_needs_no_trial(fast):
    def never():
        raise AssertionError("the network was asked for")

    pipeline = fast.choice.pipeline(fast.choice.for_writing().coding)
    text, _ = pipeline.tokens_of(TEXT * 100)
    assert not policy.network_pays(text, 0.1, pipeline, never)
    short, _ = pipeline.tokens_of(TEXT)
    assert policy.network_pays(short, 1.5, pipeline, never), "where trying takes as long as doing it"
    with pytest.raises(AssertionError, match="asked for"):
        policy.network_pays(text, 1.5, pipeline, never)


@pytest.mark.parametrize("level", [1, 6, 9])
def test_every_level_opens_without_being_told(level, corpora):
    data = (corpora / "tiny.txt").read_bytes() + TEXT
    with Codec(level=level, threads=1) as codec:
        packed = codec.compress(data)
    with Codec(threads=1) as codec:
        assert codec.decompress(packed) == data


@pytest.mark.parametrize(
    "settings", [{"level": 0}, {"level": 10}, {"level": 1, "mix": False}, {"level": 3, "model": "x"}]
)
def test_levels_out_of_range_and_contradictions(settings):
    with pytest.raises(UsageError, match="level"):
        Codec(**settings)


def test_damage_anywhere_is_noticed(fast):
    data = TEXT[:70]
    packed = fast.compress(data)
    for length in range(len(packed)):
        with pytest.raises(CorruptError):
            fast.decompress(packed[:length])
    for bit in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CorruptError, ModelError)):
            fast.decompress(bytes(damaged))


def forged(packed, **fields):
    header = next(read_members(io.BytesIO(packed)))
    with mock.patch.object(Header, "_contradiction", lambda self: None):  # that writers refuse
        return replace(header, **fields).pack() + packed[len(header.pack()) :]


def test_headers_that_lie(fast):
    packed = fast.compress(TEXT)
    with pytest.raises(ModelError, match="0102030405060708"):
        fast.decompress(forged(packed, extras={TAG_TABLE: bytes(range(1, 9))}))
    for extras in ({}, {TAG_TABLE: b"short"}):
        with pytest.raises(CorruptError, match="table"):
            fast.decompress(forged(packed, extras=extras))
    with pytest.raises(CorruptError, match="table"):
        fast.decompress(forged(packed, mixing=False))


def test_a_few_bytes_that_claim_a_million_tokens_are_refused_early(fast):
    pipeline = fast.choice.pipeline(fast.choice.for_writing().coding)
    mixer, coder, done = pipeline.mixer(Layout(1_000_000, 1)), TurnDecoder(b"\x12\x34\x56\x78"), 0
    with pytest.raises(CorruptError, match="no encoder writes"):
        while done < 1_000_000:
            done += len(mixer.decode(coder, 10_000))
    assert done < 100_000


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 65535), st.booleans()), max_size=600), st.integers(1, 9))
def test_the_range_decoder_reads_what_constriction_writes(turns, chunk):
    probabilities = np.array([p for p, _ in turns], np.uint16)
    bits = np.array([bit for _, bit in turns], np.uint8)
    encoder = TurnEncoder()
    encoder.encode(bits, probabilities)
    decoder = TurnDecoder(encoder.finish())
    found = [decoder.decode(probabilities[at : at + chunk]) for at in range(0, len(turns), chunk)]
    assert np.concatenate([*found, np.empty(0, np.uint8)]).tolist() == bits.tolist()


def test_both_range_decoders_agree_on_random_words():
    """Words that nobody encoded: the turns are the same as constriction's for as long as it goes on."""
    generator = np.random.default_rng(8)
    model = constriction.stream.model.Bernoulli(perfect=False)
    for _ in range(60):
        words = generator.integers(0, 1 << 32, 40, dtype=np.uint32)
        probabilities = generator.integers(1, 65536, 300).astype(np.uint16)
        ours = _mixer.Decoder(words.astype(">u4").tobytes())
        theirs = constriction.stream.queue.RangeDecoder(words)
        for p in probabilities:
            bit = ours.decode(np.array([p]))[0]
            try:
                expected = theirs.decode(model, np.array([p / 65536]))[0]
            except (AssertionError, ValueError):
                assert ours.broken
                break
            assert bit == expected and not ours.broken
