"""The container: round trips, the index, the golden files, and the sizes that the format promises."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.codec.agreement import PORTABLE_TOLERANCE
from llmzip.coding import table_file
from llmzip.container import (
    CODER,
    MAX_BLOCK,
    MAX_EXPANSION,
    NO_MODEL,
    TAG_TABLE,
    Block,
    BlockKind,
    Footer,
    Header,
    MemberWriter,
    classic,
    read_index,
    read_members,
)
from llmzip.container.fields import encode_reversed, encode_varint, read_varint
from llmzip.container.format import MAGIC, MAX_CONTEXT, MAX_HEADER, MAX_TOLERANCE
from llmzip.container.index import claimed_length, list_members
from llmzip.container.standards import STANDARDS, Standard
from llmzip.errors import CorruptError
from llmzip.model import embedded

GOLDEN = Path(__file__).parent / "golden" / "container"
PROBE = b"\2" + bytes(8) + b"made by a test"
HEADER = Header(tolerance=30, context=512, parts=4, model=bytes(range(8)), extras={2: b"a model"})

headers = st.builds(
    Header,
    exact=st.just(False),
    mixing=st.booleans(),
    continued=st.booleans(),
    tolerance=st.integers(0, MAX_TOLERANCE),
    context=st.integers(0, MAX_CONTEXT),
    parts=st.integers(0, MAX_CONTEXT // 2),
    model=st.binary(min_size=8, max_size=8),
    extras=st.dictionaries(st.sampled_from([0, 2, 3, 4, 128, 2**63]), st.binary(max_size=300)),
)
headers = headers.map(
    # Windows that cannot be are none.
    lambda header: header if 2 <= 2 * header.parts <= header.context else replace(header, context=0, parts=0)
)
blocks_of_any_kind = st.lists(
    st.tuples(st.sampled_from(classic.CLASSIC), st.binary(min_size=1, max_size=400)), max_size=5
)
TEXTS = [b"a", b"a" * 300_000, bytes(range(256)) * 9, b"".join(b"%d\n" % i for i in range(9999))]


def member(blocks: list[tuple[BlockKind, bytes]], header: Header = HEADER) -> bytes:
    sink = io.BytesIO()
    writer = MemberWriter(sink, header)
    for kind, data in blocks:
        writer.write_block(kind, data, classic.encode(kind, data))
    summary = writer.finish()
    assert (summary.blocks, summary.original) == (len(blocks), sum(len(data) for _, data in blocks))
    assert summary.compressed == len(sink.getvalue())
    return sink.getvalue()


def content(data: bytes) -> bytes:
    pieces = []
    members = read_members(io.BytesIO(data))
    for event in members:
        if isinstance(event, Block):
            if event.kind is BlockKind.MODEL:
                raise CorruptError("a model block, which this test does not decode")
            original = classic.decode(event.kind, event.payload, event.original_length)
            members.accept(event, original)
            pieces.append(original)
    return b"".join(pieces)


class Trickle(io.RawIOBase):
    """A raw stream that reads and writes at most three bytes a call."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.written = bytearray()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        taken, self.data = self.data[: min(3, len(buffer))], self.data[min(3, len(buffer)) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def write(self, data: memoryview) -> int:
        self.written += data[:3]
        return len(data[:3])


@given(st.integers(0, 2**64 - 1))
def test_varint_round_trip(value: int) -> None:
    encoded = encode_varint(value)
    assert len(encoded) == max(1, -(-value.bit_length() // 7))
    assert read_varint(io.BytesIO(encoded).read, "test") == value
    assert encode_reversed(value) == encoded[::-1]


@pytest.mark.parametrize("encoded", ["8000", "ff00", "80808000", "ffffffffffffffffff02", "ff" * 10 + "01", "80" * 10])
def test_varint_over_long(encoded: str) -> None:
    with pytest.raises(CorruptError):
        read_varint(io.BytesIO(bytes.fromhex(encoded)).read, "test")


@pytest.mark.parametrize("value", [-1, 2**64])
def test_varint_range(value: int) -> None:
    with pytest.raises(ValueError):
        encode_varint(value)


@given(st.lists(st.tuples(headers, blocks_of_any_kind), min_size=1, max_size=3))
def test_round_trip(members: list[tuple[Header, list[tuple[BlockKind, bytes]]]]) -> None:
    data = b"".join(member(blocks, header) for header, blocks in members)
    assert content(data) == b"".join(block for _, blocks in members for _, block in blocks)
    assert [event for event in read_members(io.BytesIO(data), payloads=False) if isinstance(event, Header)] == [
        header for header, _ in members
    ]
    listed = read_index(io.BytesIO(data))
    assert listed == list_members(io.BytesIO(data))
    assert [(m.header, [(b.kind, b.original_length) for b in m.blocks]) for m in listed] == [
        (header, [(kind, len(block)) for kind, block in blocks]) for header, blocks in members
    ]
    for entry in listed:
        for block in entry.blocks:
            stored = data[block.offset : block.offset + block.stored_length]
            assert stored[0] == block.kind
            payload = data[block.payload_offset : block.payload_offset + block.payload_length]
            assert len(classic.decode(block.kind, payload, block.original_length)) == block.original_length


def test_short_reads_and_writes() -> None:
    blocks = [(BlockKind.RAW, b"hello"), (BlockKind.BROTLI, b"hello" * 50)]
    sink = Trickle()
    writer = MemberWriter(sink, HEADER)
    for kind, data in blocks:
        writer.write_block(kind, memoryview(data), classic.encode(kind, data))
    writer.finish()
    assert bytes(sink.written) == member(blocks)
    events = []
    members = read_members(Trickle(bytes(sink.written)))
    for event in members:
        if isinstance(event, Block):
            members.accept(event, classic.decode(event.kind, event.payload, event.original_length))
        events.append(type(event))
    assert events == [Header, Block, Block, Footer]


def test_exact_header() -> None:
    header = Header(exact=True, extras={3: PROBE})
    assert next(read_members(io.BytesIO(member([], header)))) == header


@pytest.mark.parametrize(
    "header",
    [
        Header(exact=True, tolerance=1),
        Header(model=b"short"),
        Header(coder=CODER + 1),
        Header(extras={9: b""}),
        Header(extras={2: bytes(MAX_HEADER)}),
        Header(context=-1),
        Header(context=MAX_CONTEXT + 1),
        Header(tolerance=MAX_TOLERANCE + 1),
        Header(exact=True),
        Header(exact=True, extras={3: PROBE[:8]}),
        Header(exact=True, extras={3: b"\0" + PROBE[1:]}),
        Header(exact=True, extras={3: b"\x41" + PROBE[1:]}),
        Header(context=512),
        Header(context=7, parts=4),
        Header(parts=4),
        Header(extras={5: bytes(7)}),
        Header(extras={5: bytes(8)}, mixing=False),
    ],
)
def test_header_that_cannot_be_written(header: Header) -> None:
    with pytest.raises(ValueError):
        header.pack()


def test_block_that_cannot_be_written() -> None:
    writer = MemberWriter(io.BytesIO(), HEADER)
    for original, payload in [(b"", b""), (bytes(MAX_BLOCK + 1), b""), (b"a", bytes(MAX_EXPANSION + 2))]:
        with pytest.raises(ValueError):
            writer.write_block(BlockKind.RAW, original, payload)
    writer.finish()
    with pytest.raises(ValueError):
        writer.write_block(BlockKind.RAW, b"a", b"a")
    with pytest.raises(ValueError):
        writer.finish()


def test_blocks_must_be_accepted() -> None:
    events = read_members(io.BytesIO(member([(BlockKind.RAW, b"a")])))
    next(events), next(events)
    with pytest.raises(RuntimeError):
        next(events)


def test_a_wrong_block_is_refused() -> None:
    events = read_members(io.BytesIO(member([(BlockKind.RAW, b"abc")])))
    header = next(events)
    block = next(events)
    for wrong in (b"abd", b"ab", b"abcd", b""):
        with pytest.raises(CorruptError, match=rf"block 1 at byte {len(header.pack())}"):
            events.accept(block, wrong)
    events.accept(block, b"abc")


@pytest.mark.parametrize("number", [1, 2])
def test_standard_codings_take_no_fields(number: int) -> None:
    tolerance, context, parts, model, table = STANDARDS[number - 1]
    header = Header(
        tolerance=tolerance, context=context, parts=parts, model=model, extras={TAG_TABLE: table, 2: b"name", 100: b""}
    )
    packed = header.pack()
    assert packed[len(MAGIC) + 1 : -4] == bytes([10, 2 | number << 3, CODER]) + b"\2\4name\x64\0"
    assert next(read_members(io.BytesIO(member([], header)))) == header
    for other in (
        replace(header, tolerance=tolerance + 1),
        replace(header, context=256, parts=2),
        replace(header, model=b"a model "),
        replace(header, extras={TAG_TABLE: b"a table "}),
        replace(header, extras={}),
        replace(header, mixing=False, extras={}),
    ):
        assert other.pack()[len(MAGIC) + 2] in (0, 2)
        assert next(read_members(io.BytesIO(member([], other)))) == other


def test_the_standard_codings_are_those_of_new_files() -> None:
    assert Standard(0, 0, 0, NO_MODEL, table_file.IDENTITY) in STANDARDS
    window = embedded.WINDOW
    built_in = Standard(PORTABLE_TOLERANCE, window.context, window.parts, embedded.IDENTITY, table_file.IDENTITY)
    assert built_in in STANDARDS
    assert len(set(STANDARDS)) == len(STANDARDS) <= 15


def test_a_member_of_one_block_has_a_short_footer() -> None:
    blocks = [(BlockKind.RAW, b"Hello, "), (BlockKind.RAW, b"world!\n")]
    one, two = member(blocks[:1]), member(blocks)
    digest = hashlib.blake2b(b"Hello, ", digest_size=8).digest()
    assert one[len(HEADER.pack()) + 14 :] == b"\x80" + digest + bytes([len(one) - 2, 9])
    assert two[len(HEADER.pack()) + 28 :].startswith(b"\0\2\x0e\7\x0e")
    for file in (one, two, one + two, two + one, one + member([]) + one):
        backwards = read_index(io.BytesIO(file))
        assert backwards == list_members(io.BytesIO(file))
        assert [len(each.blocks) for each in backwards] == [each.footer.blocks for each in backwards]


def test_overhead_of_a_small_text() -> None:
    """At most 56 bytes outside the code, of which 5 to 7 are the head inside the payload."""
    for size, overhead in ((1, 43), (150_000, 49), ((1 << 21) - 1, 49), (1 << 21, 50)):
        sink = io.BytesIO()
        writer = MemberWriter(sink, Header(tolerance=30, context=512, parts=4))
        writer.write_block(BlockKind.MODEL, bytes(size), bytes(size // 2))
        writer.finish()
        assert len(sink.getvalue()) - size // 2 == overhead


def test_name_is_safe_to_print() -> None:
    assert Header(extras={2: "mod\x1b[31mel\n é".encode() + b"\xff"}).name == "mod\ufffd[31mel\ufffd é\ufffd"
    assert Header().name == ""


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.llmz")), ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    assert content(path.read_bytes()) == path.with_suffix(".txt").read_bytes()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_claimed_length(count: int) -> None:
    """What progress and limits go by."""
    some = [b"a" * 200, b"b" * 70_000, b"c"]
    data = b"".join(member([(BlockKind.RAW, text)] * count) for text in some)
    assert claimed_length(io.BytesIO(data)) == 70_201 * count
    for end in range(0, len(data), 9973):
        with contextlib.suppress(CorruptError):
            claimed_length(io.BytesIO(data[:end]))


def test_golden_bytes_are_what_is_written() -> None:
    """Raw blocks only: the other kinds may be encoded differently by another version of their library."""
    assert member([], HEADER) == (GOLDEN / "empty.llmz").read_bytes()
    blocks = [(BlockKind.RAW, b"Hello, "), (BlockKind.RAW, b"world!\n")]
    assert member(blocks, HEADER) == (GOLDEN / "raw.llmz").read_bytes()
    extras = {2: b"m", 3: PROBE, 4: b""}
    exact = Header(exact=True, mixing=False, continued=True, context=2048, parts=2, extras=extras)
    assert member(blocks[:1], exact) + member(blocks[1:], HEADER) == (GOLDEN / "members.llmz").read_bytes()


def test_example_in_the_format_description() -> None:
    text = (Path(__file__).parent.parent / "docs" / "format.md").read_text()
    lines = re.findall(r"^ *\d+  ((?:[0-9A-F]{2} )+)", text, re.MULTILINE)
    assert bytes.fromhex("".join(lines)) == (GOLDEN / "raw.llmz").read_bytes()


@pytest.mark.parametrize("kind", classic.CLASSIC)
@pytest.mark.parametrize("data", TEXTS, ids=["one", "run", "bytes", "text"])
def test_classic_round_trip_and_bounds(kind: BlockKind, data: bytes) -> None:
    payload = classic.encode(kind, data)
    assert classic.decode(kind, payload, len(data)) == data
    for length in (len(data) - 1, len(data) + 1, 2 * len(data) + 5000):
        with pytest.raises(CorruptError):
            classic.decode(kind, payload, length)
    for damaged in (payload[:-1], b"", payload[: len(payload) // 2]):
        with pytest.raises(CorruptError):
            classic.decode(kind, damaged, len(data))


@given(st.sampled_from(classic.CLASSIC), st.binary(max_size=200), st.integers(1, 1000))
def test_classic_garbage(kind: BlockKind, payload: bytes, length: int) -> None:
    try:
        assert len(classic.decode(kind, payload, length)) == length
    except CorruptError:
        pass


def test_smallest() -> None:
    noise = random.Random(1).randbytes(32_000)
    assert classic.smallest(noise) == (BlockKind.RAW, noise)
    assert classic.smallest(b"x") == (BlockKind.RAW, b"x")
    text = b"".join(b"line %d of a text\n" % i for i in range(2000))
    kind, payload = classic.smallest(text)
    assert len(payload) == min(len(classic.encode(each, text)) for each in classic.CLASSIC)
    assert classic.decode(kind, payload, len(text)) == text


def test_model_blocks_are_not_classic() -> None:
    with pytest.raises(ValueError):
        classic.encode(BlockKind.MODEL, b"a")
    with pytest.raises(ValueError):
        classic.decode(BlockKind.MODEL, b"a", 1)
