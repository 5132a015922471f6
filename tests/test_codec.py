"""The codec over byte streams: blocks, fallbacks, members, damage."""

import io
import random

import pytest
from fakes import PIECES, FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.codec.codec import Codec
from llmzip.codec.cutting import Cutter
from llmzip.codec.head import BlockHead
from llmzip.codec.observer import Observer
from llmzip.codec.quantiser import Quantiser
from llmzip.codec.settings import SMALLEST_BLOCK
from llmzip.container import BlockKind, Header, MemberWriter, original_digest, read_index, read_members, stored_block
from llmzip.errors import CorruptError, ModelError, UsageError
from llmzip.model import embedded

SENTENCE = b"The harbour of the town and the ships of the sea, the old men and the weather. "


class FakeCodec(Codec):
    """A codec over the fake model, with an identity of its own."""

    def __init__(self, drift=0.0, seed=0, identity=FakeModel.identity, **options):
        self.fake = FakeModel(drift, seed)
        self.fake.identity = identity
        super().__init__(self.fake, **options)


def kinds(packed):
    found = []
    for event in read_members(io.BytesIO(packed), payloads=False):
        if hasattr(event, "kind"):
            found.append(event.kind)
    return found


random_bytes = random.Random(5).randbytes

INPUTS = {
    "empty": b"",
    "one byte": b"x",
    "all bytes": bytes(range(256)),
    "random": random_bytes(40_000),
    "one letter": b"a" * 1_000_000,
    "blanks": b" " * 30_000 + b"\n\t" * 5_000,
    "NUL": bytes(70_000),
    "BOM and CRLF": b"\xef\xbb\xbfone\r\ntwo\r\n" * 30,
    "lone CR": b"one\rtwo\nthree\r\n" * 30,
    "lone surrogates": "\ud800x\udfff".encode("utf-8", "surrogatepass") * 50,
    "invalid UTF-8": b"caf\xe9 \xc3\x28 \xf0\x9f" * 60,
    "special tokens": b"<|bos|> <|endoftext|> </s> [INST] <unk>" * 20,
    "every block of Unicode": "".join(chr(c) for c in range(0, 0x110000, 97) if not 0xD800 <= c < 0xE000).encode(),
    "text": SENTENCE * 40,
}


@pytest.mark.parametrize("data", INPUTS.values(), ids=INPUTS)
def test_any_bytes_survive_and_hardly_grow(data):
    packed = FakeCodec(1e-5, 1).compress(data)
    assert FakeCodec(1e-5, 2).decompress(packed) == data
    assert len(packed) <= len(data) + 128 + 64 * -(-len(data) // (1 << 20))


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=9000), st.integers(1, 9), st.booleans())
def test_round_trip(data, streams, mix):
    packed = FakeCodec(block_size=SMALLEST_BLOCK, streams=streams, mix=mix).compress(data)
    assert FakeCodec().decompress(packed) == data


@pytest.fixture
def model_always(monkeypatch):
    """The fake model predicts badly: keep the classic codecs from taking its blocks."""
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda data, classic_length, pipeline: False)
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic_length, model_length: True)


def test_overhead_of_a_one_block_text(model_always):
    packed = FakeCodec(streams=1).compress(SENTENCE * 200)
    events = read_members(io.BytesIO(packed))
    next(events)
    block = next(events)
    assert block.kind is BlockKind.MODEL
    _, words = BlockHead.unpack(block.payload, block.original_length)
    name_of_own_model = 2 + len(FakeModel.name)
    assert len(packed) - len(words) - name_of_own_model <= 64


def test_summary_counts():
    text = "Größe, naïveté, 漢字.\n".encode() * 300
    codec, sink = FakeCodec(block_size=SMALLEST_BLOCK), io.BytesIO()
    told = []
    summary = codec.compress_stream(io.BytesIO(text), sink, told.append)
    assert (summary.original, summary.compressed) == (len(text), len(sink.getvalue()))
    assert summary.characters == len(text.decode())
    assert summary.blocks == -(-len(text) // SMALLEST_BLOCK)
    assert sum(told) == len(text) and min(told) > 0
    told = []
    summary = codec.decompress_stream(io.BytesIO(sink.getvalue()), io.BytesIO(), told.append)
    assert (summary.original, summary.compressed) == (len(text), len(sink.getvalue()))
    assert sum(told) == len(text)
    assert FakeCodec().compress_stream(io.BytesIO(b"\xff"), io.BytesIO()).characters is None


def test_verified_blocks_come_back_or_are_stored_otherwise(model_always):
    text = SENTENCE * 200
    steady = FakeCodec(drift=1e-6, verify=True, block_size=SMALLEST_BLOCK, streams=2)
    told, sink = [], io.BytesIO()
    summary = steady.compress_stream(io.BytesIO(text), sink, told.append)
    assert (summary.unverified, sum(told)) == (0, len(text)) and set(kinds(sink.getvalue())) == {BlockKind.MODEL}
    assert sink.getvalue() == FakeCodec(block_size=SMALLEST_BLOCK, streams=2).compress(text), (
        "verifying changes no byte"
    )

    # Far more drift than the embedded model is allowed, as a broken build or processor might have.
    options = {"identity": embedded.IDENTITY, "verify": True, "block_size": SMALLEST_BLOCK, "streams": 2}
    shaky, sink = FakeCodec(drift=0.1, **options), io.BytesIO()
    summary = shaky.compress_stream(io.BytesIO(text), sink)
    assert summary.unverified == summary.blocks > 0 and BlockKind.MODEL not in kinds(sink.getvalue())
    assert FakeCodec().decompress(sink.getvalue()) == text


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time and cannot seek."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(memoryview(buffer)[:7])


def test_verifying_finds_margins_that_only_other_machines_would_miss(monkeypatch, model_always):
    """The fake model never drifts; an encoder that leaves no margins is found out all the same."""
    tolerance = 4_000
    monkeypatch.setattr("llmzip.codec.arithmetic.LEAST_TOLERANCE", tolerance)
    options = {"verify": True, "streams": 2}
    data = SENTENCE * 20 + b"and another one, that is new" * 3
    good = FakeCodec(**options).compress(data)
    assert kinds(good) == [BlockKind.MODEL]
    encode, careless = Quantiser.encode, Quantiser(0)
    monkeypatch.setattr(Quantiser, "encode", lambda self, odds, line_ends: encode(careless, odds))
    packed = FakeCodec(**options).compress(data)
    assert kinds(packed) != [BlockKind.MODEL] and FakeCodec().decompress(packed) == data


def test_pipes_that_trickle():
    data = SENTENCE * 100
    sink, back = io.BytesIO(), io.BytesIO()
    FakeCodec(block_size=SMALLEST_BLOCK).compress_stream(Trickle(data), sink)
    assert sink.getvalue() == FakeCodec(block_size=SMALLEST_BLOCK).compress(data), "the bytes do not depend on the pipe"
    FakeCodec().decompress_stream(Trickle(sink.getvalue()), back)
    assert back.getvalue() == data


def test_concatenated_files_decode_as_concatenated_content(model_always):
    a, b = FakeCodec(mix=False).compress(b"first " * 50), FakeCodec(window=64).compress(b"second " * 50)
    assert FakeCodec().decompress(a + b + a) == b"first " * 50 + b"second " * 50 + b"first " * 50


def test_the_header_tells_the_decoder_everything(model_always):
    data = SENTENCE * 60
    packed = FakeCodec(window=48, streams=3, mix=False).compress(data)
    header = next(read_members(io.BytesIO(packed)))
    assert isinstance(header, Header) and not header.mixing and (header.context, header.parts) == (48, 4)
    assert FakeCodec().decompress(packed) == data


def test_another_model_is_refused_by_name(model_always):
    packed = FakeCodec(identity=b"other001").compress(SENTENCE * 9)
    with pytest.raises(ModelError, match=b"other001".hex()):
        FakeCodec().decompress(packed)


def test_files_without_model_blocks_need_no_model():
    packed = FakeCodec(identity=b"other001").compress(b"q" * 100_000)
    assert BlockKind.MODEL not in kinds(packed)
    assert FakeCodec().decompress(packed) == b"q" * 100_000


@pytest.mark.parametrize("kind", [BlockKind.MODEL, BlockKind.RAW])
def test_damage_anywhere_is_noticed(kind, request):
    if kind is BlockKind.MODEL:
        request.getfixturevalue("model_always")
    data = SENTENCE[:60] if kind is BlockKind.MODEL else random_bytes(60)
    packed = FakeCodec().compress(data)
    assert kinds(packed) == [kind]
    codec = FakeCodec()
    for length in range(len(packed)):
        with pytest.raises(CorruptError):
            codec.decompress(packed[:length])
    for bit in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CorruptError, ModelError)):
            codec.decompress(bytes(damaged))
    with pytest.raises(CorruptError, match=str(len(packed))):
        codec.decompress(packed + b"garbage")


def test_nothing_of_a_damaged_block_is_written(model_always):
    data = SENTENCE * 150
    packed = bytearray(FakeCodec(block_size=SMALLEST_BLOCK).compress(data))
    packed[len(packed) * 2 // 3] ^= 4
    sink = io.BytesIO()
    with pytest.raises(CorruptError, match=r"block \d+ at byte \d+"):
        FakeCodec().decompress_stream(io.BytesIO(bytes(packed)), sink)
    assert data.startswith(sink.getvalue()) and len(sink.getvalue()) < len(data)


@pytest.mark.parametrize(
    "options",
    [{"block_size": 100}, {"block_size": 1 << 30}, {"streams": 0}, {"streams": 1000}, {"window": 3}, {"threads": -1}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UsageError):
        Codec(**options)


def test_the_model_is_loaded_late_and_kept(model_always):
    codec = FakeCodec()
    assert codec.choice.idle
    codec.compress(SENTENCE)
    first = codec.session
    codec.compress(SENTENCE)
    assert codec.session is first
    codec.close()
    assert codec.fake.open_evaluators == 0


def test_blocks_one_by_one_through_the_index(model_always):
    text = SENTENCE * 300 + random_bytes(20_000)
    packed = FakeCodec(block_size=SMALLEST_BLOCK).compress(text) + FakeCodec(mix=False).compress(SENTENCE)
    file = io.BytesIO(packed)
    members = read_index(file)
    codec = FakeCodec()
    found = [codec.decode_indexed(file, member, n) for member in members for n in range(len(member.blocks))]
    assert b"".join(found) == text + SENTENCE and len(members) == 2 and len(found) > 5
    assert codec.decode_indexed(file, members[0], 3) == found[3], "in any order"
    damaged = bytearray(packed)
    damaged[members[0].blocks[1].payload_offset + 9] ^= 1
    with pytest.raises(CorruptError, match="block 2 at byte"):
        codec.decode_indexed(io.BytesIO(bytes(damaged)), members[0], 1)
    assert codec.decode_indexed(io.BytesIO(bytes(damaged)), members[0], 2) == found[2]


def test_data_may_come_in_any_pieces_and_blocks_leave_as_they_are_done(model_always):
    text = SENTENCE * 300
    sink = io.BytesIO()
    compressor = FakeCodec(block_size=SMALLEST_BLOCK).compressor(sink)
    sizes = []
    for at in range(0, len(text), 1000):
        compressor.feed(text[at : at + 1000])
        sizes.append(len(sink.getvalue()))
    assert compressor.finish().original == len(text)
    assert sink.getvalue() == FakeCodec(block_size=SMALLEST_BLOCK).compress(text)
    assert len(set(sizes)) > 3, "written on the way"
    decoded = FakeCodec().decoded(io.BytesIO(sink.getvalue()))
    assert next(decoded) == text[: len(next(iter(FakeCodec().decoded(io.BytesIO(sink.getvalue())))))]
    assert len(b"".join(decoded)) < len(text)


def test_observers_are_told_of_every_block(model_always):
    told = []

    class Watcher(Observer):
        def begins(self, data, network):
            told.append(("begins", len(data)))

        def tokens(self, text, crlf, layout):
            told.append(("tokens", layout.count))

        def logits(self, indices, logits):
            assert logits.shape == (len(indices), len(PIECES))

        def cells(self, cells):
            told.append(("cells", len(cells.states)))

        def turns(self, run, bits, probabilities):
            assert 2 * len(bits) == len(probabilities)

        def stored(self, kind, payload):
            told.append(("stored", kind))

    text = SENTENCE * 120
    packed, plain = io.BytesIO(), FakeCodec(block_size=SMALLEST_BLOCK).compress(text)
    FakeCodec(block_size=SMALLEST_BLOCK).compress_stream(io.BytesIO(text), packed, observer=Watcher())
    assert packed.getvalue() == plain, "looking on changes nothing"
    assert [what for what, _ in told] == ["begins", "tokens", "cells", "stored"] * (len(told) // 4)
    assert sum(size for what, size in told if what == "begins") == len(text)


def test_blocks_coded_apart_join_to_the_same_member():
    data = (b"Some words of text, and some more.\n" * 40 + random.Random(3).randbytes(20_000)) * 3
    with Codec(FakeModel(), block_size=1 << 12) as codec, Codec(FakeModel(), block_size=1 << 12) as other:
        cutter, digest = Cutter(1 << 12), original_digest()
        blocks = [*cutter.feed(data), *cutter.finish()]
        apart = {}
        for number, block in reversed([*enumerate(blocks)]):
            coded = other.block_coder().code(block)
            apart[number] = stored_block(coded.kind, block, coded.payload)
        sink = io.BytesIO()
        writer = MemberWriter(sink, codec.member_header())
        for number, block in enumerate(blocks):
            writer.write_stored(apart[number], len(block))
            digest.update(block)
        writer.finish(digest.digest())
        assert len(blocks) > 5
        assert sink.getvalue() == codec.compress(data)
        assert codec.decompress(sink.getvalue()) == data
