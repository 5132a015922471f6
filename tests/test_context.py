"""A text that both sides have: what builds on it, what is smaller for it, and what happens without it."""

import io
import random
import warnings
from binascii import crc_hqx
from dataclasses import replace

import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from test_codec import SENTENCE, FakeCodec

from llmzip.cli import main
from llmzip.codec.agreement import Coding
from llmzip.codec.codec import Codec
from llmzip.codec.context import MOST_KEPT, MOST_PRIMED, Context, Named, Part
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session
from llmzip.codec.head import BlockHead
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.settings import SMALLEST_BLOCK
from llmzip.container import MAX_BLOCK, TAG_CONTEXT, BlockKind, read_index, read_indexed_block, read_members
from llmzip.errors import ContextError, CorruptError, LlmzipWarning
from llmzip.model.base import Window

RANDOM = random.Random(3)
WORDS = [bytes(RANDOM.choices(b"abcdefghijklmnopqrstuvwxyz", k=RANDOM.randint(2, 9))) for _ in range(4000)]


def prose(words, seed):
    """Lines of invented words, which only a text that has them can tell."""
    chosen = random.Random(seed).choices(WORDS, k=words)
    return b"\n".join(b" ".join(chosen[at : at + 9]) for at in range(0, words, 9)) + b"\n"


OLD = prose(1500, 1)
NEW = OLD[:3000] + b"And now for something that is new.\n" + OLD[3000:7000] + OLD[7400:]


@pytest.fixture
def model_always(monkeypatch):
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda data, classic_length, pipeline: False)
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic_length, model_length: True)


def blocks(packed):
    return [event for event in read_members(io.BytesIO(packed), payloads=False) if hasattr(event, "kind")]


def test_a_new_version_costs_what_is_new():
    alone = Codec(level=1).compress(NEW)
    packed = Codec(level=1, context=OLD).compress(NEW)
    assert Codec(context=OLD).decompress(packed) == NEW
    assert len(packed) < 200 < len(alone) / 15
    assert len(Codec(level=1, context=NEW).compress(NEW)) < 120


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=1, max_size=3000), st.binary(max_size=6000), st.integers(1, 9), st.booleans())
def test_round_trip(context, data, streams, mix):
    packed = FakeCodec(1e-5, 1, block_size=SMALLEST_BLOCK, streams=streams, mix=mix, context=context).compress(data)
    assert FakeCodec(1e-5, 2, context=context).decompress(packed) == data


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 3000), st.integers(1, 9))
def test_network_and_mixer_go_over_it(before, words, streams):
    context = SENTENCE * (before // len(SENTENCE)) + SENTENCE[: before % len(SENTENCE)]
    data = prose(words // 6, 2) + SENTENCE * 3
    context = Context.of(context)
    coders = []
    for seed in (1, 2):
        session = Session(FakeModel(1e-5, seed))
        coders.append(BlockPipeline(session, Coding(Window(32, 4), 30, True, context=context.named), context))
    text, crlf = coders[0].tokens_of(data)
    payload = coders[0].encode(text, crlf, streams, part=coders[0].part_for(data, 1 << 20))
    assert decode_block(coders[1], payload, len(data), data.__eq__) == (data, False)


def test_the_network_reads_what_stands_before():
    """The last tokens of the part, as many as fit, or those before the place where the block's beginning is found."""
    model = FakeModel()
    context = Context.of(OLD)
    pipeline = BlockPipeline(Session(model), Coding(Window(32, 4), 30, True, context=context.named), context)
    tokens = pipeline.vocabulary.encode(OLD).tokens.tolist()
    part = pipeline.part_for(b"unknown text of some length", 1 << 20)
    assert part == Part()
    assert pipeline.lead(part, pipeline.known(part, 1)).tolist() == [model.start, *tokens[-24:]]
    place = OLD.index(b"\n", 4000) + 1
    part = pipeline.part_for(OLD[place : place + 500], 1 << 20)
    lead = pipeline.lead(part, pipeline.known(part, 1)).tolist()
    assert b"".join(model.pieces[token] for token in lead[1:]) == OLD[place - len(lead) + 1 : place][-place:] or OLD[
        :place
    ].endswith(b"".join(model.pieces[token] for token in lead[1:]))
    assert part.back > 0 and len(lead) == 25


def test_line_ends_and_numbers_are_read_like_the_block():
    log = b"".join(
        b"%d.%03d GET /page/%d %d\n" % (time, time % 997, time % 89, time * 7) for time in range(40_000, 40_300)
    )
    for context, data in ((log, log.replace(b"\n", b"\r\n")), (log.replace(b"\n", b"\r\n"), log), (log, log)):
        packed = Codec(level=1, context=context).compress(data)
        assert len(packed) < 160 and Codec(context=context).decompress(packed) == data


def test_blocks_build_on_their_own_parts(monkeypatch):
    monkeypatch.setattr("llmzip.codec.policy._PRIMED", 1 << 14)
    context = b"".join(prose(3000, seed) for seed in range(8))
    data = b"".join(context[at : at + 12_000] for at in (100_000, 20_000, 60_000))
    packed = Codec(level=1, block_size=12_500, context=context).compress(data)
    assert len(blocks(packed)) == 3
    assert len(packed) < 1000 < len(data) // 30
    assert Codec(context=context).decompress(packed) == data
    (member,) = read_index(io.BytesIO(packed))
    stored = [read_indexed_block(io.BytesIO(packed), member, number) for number in range(3)]
    assert len({BlockHead.unpack(block.payload, MAX_BLOCK)[0].part for block in stored}) == 3


def test_what_is_no_text_is_found_too():
    image = random.Random(9).randbytes(24_000)
    packed = Codec(level=1, context=b"before" + image).compress(image[:20_000])
    assert len(packed) < 3000
    assert Codec(context=b"before" + image).decompress(packed) == image[:20_000]


def test_the_network_alone_can_use_it(model_always):
    data = SENTENCE * 30
    packed = FakeCodec(mix=False, context=OLD).compress(data)
    assert [block.kind for block in blocks(packed)] == [BlockKind.MODEL]
    assert FakeCodec(context=OLD).decompress(packed) == data


def test_missing_and_other_contexts_are_named(tmp_path):
    packed = Codec(level=1, context=OLD).compress(NEW)
    identity = Context.of(OLD).named.identity.hex()
    for codec, words in (
        (Codec(), f"made with a context \\({identity}, {len(OLD):,} bytes\\): give that text with --context FILE"),
        (
            Codec(context=NEW),
            f"made with another context \\({identity}.*given is {Context.of(NEW).named.identity.hex()}",
        ),
        (Codec(context=b""), "made with another context"),
        (Codec(context=tmp_path / "none"), "none cannot be read: No such file or directory"),
    ):
        with pytest.raises(ContextError, match=words):
            codec.decompress(packed)
    with pytest.raises(ContextError, match="cannot be read"):
        Codec(context=str(tmp_path)).compress(NEW)


def test_an_empty_context_is_none():
    with pytest.warns(LlmzipWarning, match="context is empty"):
        packed = Codec(level=1, context=b"").compress(NEW)
    assert Codec().decompress(packed) == NEW


def test_of_a_huge_context_the_end_counts(monkeypatch, tmp_path):
    monkeypatch.setattr("llmzip.codec.context.MOST_KEPT", len(OLD))
    monkeypatch.setattr("llmzip.codec.choice.MOST_KEPT", len(OLD))
    (tmp_path / "huge").write_bytes(bytes(3_000_000) + OLD)
    with pytest.warns(LlmzipWarning, match="of the context of 3,0[0-9,]* bytes only the last"):
        packed = Codec(level=1, context=tmp_path / "huge").compress(NEW)
    assert len(packed) < 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Codec(context=tmp_path / "huge").decompress(packed) == NEW
        assert Codec(context=bytes(3_000_000) + OLD).decompress(packed) == NEW
    with pytest.raises(ContextError):
        Codec(context=bytes(2_000_000) + OLD).decompress(packed)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (Part(skip=len(OLD)), "impossible part"),
        (Part(skip=len(OLD) - 5, rest=6), "impossible part"),
        (Part(skip=MOST_KEPT + 1), "bytes before its context"),
        (Part(back=len(OLD) + 1), "impossible part"),
    ],
)
def test_impossible_parts_are_refused(part, says):
    context = Context.of(OLD)
    model = FakeModel()
    pipeline = BlockPipeline(Session(model), Coding(Window(32, 4), 30, True, context=context.named), context)
    payload = BlockHead(False, 10, 1, [], part=part).payload(b"words")
    with pytest.raises(CorruptError, match=says):
        decode_block(pipeline, payload, 100, lambda data: False)
    assert model.evaluated == 0


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize(
    ("part", "taken"), [(Part(), 0), (Part(digits=True), 0), (Part(skip=1), 2), (Part(rest=300), 3), (Part(back=9), 0)]
)
def test_heads_of_parts(part, taken, network):
    part = part if network else replace(part, back=0)
    head = BlockHead(False, 10, 1, [], network, part=part)
    payload = head.payload(b"words")
    assert BlockHead.unpack(payload, 100) == (head, b"words")
    assert len(payload) == 2 + 1 + 1 + 2 * network + taken + 5


def test_a_part_of_no_context_is_refused():
    for flags in (32, 64):
        stored = bytes([flags, 3, 1]) + b"words"
        with pytest.raises(CorruptError, match="unknown flags"):
            BlockHead.unpack(crc_hqx(stored, 0).to_bytes(2, "little") + stored, 100)


def test_small_blocks_build_on_no_more_than_allowed():
    context = Context.of(bytes(MOST_PRIMED + 202))
    assert len(context.part(Part(skip=2), 100)) == MOST_PRIMED + 200
    with pytest.raises(CorruptError, match="impossible part"):
        context.part(Part(skip=1), 100)


def test_a_block_may_not_build_on_what_the_header_does_not_name():
    pipeline = BlockPipeline(Session(FakeModel()), Coding(Window(32, 4), 30, True))
    with pytest.raises(CorruptError, match="the header names none"):
        decode_block(pipeline, BlockHead(False, 9, 1, [], part=Part()).payload(b"words"), 100, lambda data: False)


def test_streams_with_a_context_need_larger_caches():
    head = BlockHead(False, 8 * 10, 8, [])
    assert head.affords(Window(512, 4), 0)
    head.part = Part()
    assert not head.affords(Window(512, 4), 0)


def test_command(tmp_path, capfd):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(OLD)
    new.write_bytes(NEW)
    run = main._execute
    assert run(["-q", "-1", "--context", str(old), str(new)]) == 0
    packed = str(new) + ".llmz"
    assert run(["-t", packed]) == 4
    assert "give that text with --context FILE" in capfd.readouterr().err
    assert run(["-t", "-q", "--context", str(new), packed]) == 4
    assert run(["test", "-q", "--context", str(old), packed]) == 0
    assert run(["info", packed]) == 0
    assert f"{Context.of(OLD).named.identity.hex()}, a text of {len(OLD)} bytes" in capfd.readouterr().out
    assert run(["-dc", "--context", str(old), packed]) == 0
    assert run(["-z", "--context", str(tmp_path / "none"), "-f", str(new), str(old)]) == 4
    err = capfd.readouterr().err
    assert err.count("\n") <= 3 and "none cannot be read" in err


def test_header_names_it():
    header = next(read_members(io.BytesIO(Codec(level=1, context=OLD).compress(NEW))))
    assert Named.unpack(header.extras[TAG_CONTEXT]) == Named(Context.of(OLD).named.identity, len(OLD))
