"""Damaged files: every one ends in CorruptError, soon, in little memory, and never in content."""

from __future__ import annotations

import io
import struct
import tracemalloc
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_container import HEADER, content, member

from llmzip.container import MAX_BLOCK, BlockKind, Header, classic, read_index, read_members
from llmzip.container.fields import encode_reversed, encode_varint
from llmzip.container.format import MAGIC, MAX_CONTEXT, MAX_TOLERANCE
from llmzip.container.index import list_members
from llmzip.errors import CorruptError

TEXT = b"".join(b"line %d\n" % i for i in range(30))
SMALL = member([(BlockKind.RAW, b"raw"), *((kind, TEXT) for kind in classic.CLASSIC[1:])])
HEAD = HEADER.pack()


def with_crc(data: bytes) -> bytes:
    return data + struct.pack("<I", crc32(data))


def header_of(fields: bytes, version: int = 1) -> bytes:
    return with_crc(MAGIC + bytes([version]) + encode_varint(len(fields)) + fields)


def raw_block(original: int, payload: bytes, declared: int | None = None) -> bytes:
    head = b"\2" + encode_varint(original) + encode_varint(len(payload) if declared is None else declared)
    return head + payload + struct.pack("<I", crc32(payload, crc32(payload, crc32(head))))


def ended(start: bytes, footer: bytes) -> bytes:
    """A member of one header and blocks with a footer whose check and sizes are right, whatever it says."""
    footer = with_crc(footer)
    return start + footer + encode_reversed(len(start + footer)) + encode_reversed(len(footer))


def footer_of(data: bytes) -> bytes:
    """The footer of the last member from its marker to its digest."""
    (entry,) = read_index(io.BytesIO(data))[-1:]
    return data[entry.footer.offset :][: data[-1] - 4]


def test_the_sample_is_sound() -> None:
    assert content(SMALL) == b"raw" + TEXT * 3
    assert ended(SMALL[: read_index(io.BytesIO(SMALL))[0].footer.offset], footer_of(SMALL)) == SMALL


@pytest.mark.parametrize("read", [content, lambda data: read_index(io.BytesIO(data))], ids=["content", "index"])
def test_truncated_at_every_length(read) -> None:
    for length in range(len(SMALL)):
        with pytest.raises(CorruptError):
            read(SMALL[:length])


def test_every_flipped_bit() -> None:
    for place in range(len(SMALL)):
        for bit in range(8):
            damaged = bytearray(SMALL)
            damaged[place] ^= 1 << bit
            with pytest.raises(CorruptError):
                content(bytes(damaged))
            try:
                read_index(io.BytesIO(damaged))
            except CorruptError:
                pass


@given(st.data())
def test_bytes_inserted_removed_or_replaced(data) -> None:
    start = data.draw(st.integers(0, len(SMALL)))
    stop = data.draw(st.integers(start, len(SMALL)))
    damaged = SMALL[:start] + data.draw(st.binary(max_size=20)) + SMALL[stop:]
    if damaged != SMALL:
        with pytest.raises(CorruptError):
            content(damaged)


@given(st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    for start in (b"", MAGIC, MAGIC + b"\1", HEAD, HEAD + b"\2", HEAD + b"\0"):
        for read in (content, lambda data: read_index(io.BytesIO(data))):
            with pytest.raises(CorruptError):
                read(start + data)


@pytest.mark.parametrize("garbage", [b"\0", b"\n", b"garbage", MAGIC, HEAD, SMALL[:-1], bytes(4096)])
def test_trailing_garbage_names_its_offset(garbage: bytes) -> None:
    for read in (content, lambda data: read_index(io.BytesIO(data)), lambda data: list_members(io.BytesIO(data))):
        with pytest.raises(CorruptError, match=r"byte \d+"):
            read(SMALL + garbage)
    with pytest.raises(CorruptError, match=f"byte {len(SMALL)}"):
        content(SMALL + b"garbage")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"", "empty"),
        (b"some text", "not an llmzip file"),
        (b"\x1f\x8b\x08\0", "gzip -d"),
        (b"\xfd7zXZ\0", "xz -d"),
        (b"\x28\xb5\x2f\xfd", "zstd -d"),
        (b"BZh91AY", "bzip2 -d"),
        (b"GGUF\3\0\0\0", "--model"),
        (SMALL.replace(b"\r\n", b"\n"), "text-mode"),
        (SMALL.replace(b"\n", b"\r\n"), "text-mode"),
        (bytes(byte & 0x7F for byte in SMALL), "text-mode"),
        (SMALL.decode("latin-1").encode(), "text-mode"),
        (SMALL.decode("utf-8", "replace").encode(), "text-mode"),
        (SMALL.decode("ascii", "replace").encode("ascii", "replace"), "text-mode"),
        (MAGIC[:3], "truncated"),
    ],
)
def test_foreign_files_are_recognised(start: bytes, words: str) -> None:
    with pytest.raises(CorruptError, match=words):
        content(start)


FIELDS = HEAD[len(MAGIC) + 2 : -4]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (header_of(FIELDS, version=2), "version 2"),
        (header_of(b"\x82" + FIELDS[1:]), "unknown features.*newer"),
        (header_of(b"\x1a\1"), "unknown standard coding 3.*newer"),
        (header_of(b"\x7a\1"), "unknown standard coding 15.*newer"),
        (header_of(b"\x0a"), "runs over"),
        (header_of(b"\x08\1"), "impossible table"),
        (header_of(b"\x0b\1"), "without a complete fingerprint"),
        (header_of(b"\x13\1"), "exact"),
        (header_of(b"\x0a\1\5\x08" + bytes(8)), "names a table besides"),
        (header_of(FIELDS[:1] + b"\2" + FIELDS[2:]), "coder version 2"),
        (header_of(b"\1" + FIELDS[1:]), "exact"),
        (header_of(b"\1\1\0" + FIELDS[3:]), "without a complete fingerprint"),
        (header_of(FIELDS[:2] + encode_varint(MAX_TOLERANCE + 1) + FIELDS[3:]), "claims a tolerance of 65537"),
        (header_of(FIELDS[:3] + encode_varint(MAX_CONTEXT + 1) + FIELDS[5:]), "windows of 1048577"),
        (header_of(b"\1\1\0" + FIELDS[3:] + b"\3\x08\2" + bytes(7)), "without a complete fingerprint"),
        (header_of(b"\1\1\0" + FIELDS[3:] + b"\3\x09\0" + bytes(8)), "without a complete fingerprint"),
        (header_of(b"\1\1\0" + FIELDS[3:] + b"\3\x09\x41" + bytes(8)), "without a complete fingerprint"),
        (header_of(FIELDS[:3] + b"\7\4" + FIELDS[6:]), "impossible window .7 tokens in 4 parts"),
        (header_of(FIELDS[:3] + b"\0\4" + FIELDS[6:]), "impossible window .0 tokens in 4 parts"),
        (header_of(FIELDS[:3] + b"\4\0" + FIELDS[6:]), "impossible window .4 tokens in 0 parts"),
        (header_of(FIELDS + b"\5\7" + bytes(7)), "impossible table"),
        (header_of(b"\0" + FIELDS[1:] + b"\5\x08" + bytes(8)), "impossible table"),
        (header_of(FIELDS + b"\7\0"), "impossible context"),
        (header_of(FIELDS + b"\7\x08" + bytes(8)), "impossible context"),
        (header_of(FIELDS + b"\7\x09" + bytes(9)), "impossible context"),
        (header_of(FIELDS + b"\7\x0a" + bytes(8) + b"\1\1"), "impossible context"),
        (header_of(FIELDS + b"\11\0"), "unknown extra 9"),
        (header_of(FIELDS + b"\2\0"), "out of order"),
        (header_of(FIELDS + b"\4\5abc"), "runs over"),
        (header_of(FIELDS + b"\x84\x80\0"), "malformed"),
        (header_of(FIELDS[:1]), "runs over"),
        (header_of(b""), "runs over"),
        (MAGIC + b"\1\x81\x80\x04", "65537"),
        (MAGIC + b"\1" + b"\xff" * 12, "malformed"),
        (MAGIC + b"\1\x80\x00", "malformed"),
    ],
)
def test_headers(header: bytes, words: str) -> None:
    with pytest.raises(CorruptError, match=words):
        content(header + member([])[len(HEAD) :])


def test_unknown_even_extras_are_passed_over() -> None:
    data = member([], Header(extras={100: b"new"}))
    assert next(read_members(io.BytesIO(data))).extras == {100: b"new"}
    assert content(data) == b""


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (b"\6\1\1a", "unknown block type 6"),
        (b"\2\0\0" + bytes(4), "claims 0"),
        (b"\2" + encode_varint(MAX_BLOCK + 1), "truncated|claims"),
        (b"\2" + encode_varint(MAX_BLOCK + 1) + b"\1", "claims 67108865"),
        (b"\2\1" + encode_varint(1026), "payload of 1026"),
        (b"\2\x81\0\1a", "malformed"),
        (raw_block(4, b"abc"), "only 3|decodes to"),
        (raw_block(2, b"abc"), "decodes to"),
        (raw_block(3, b"abc")[:-1] + b"\xaa", "check"),
    ],
)
def test_blocks(block: bytes, words: str) -> None:
    with pytest.raises(CorruptError, match=words):
        content(HEAD + block + bytes(50))


def test_footers_that_lie() -> None:
    two = member([(BlockKind.RAW, b"abc"), (BlockKind.RAW, b"de")])
    footer = footer_of(two)
    start = two[: read_index(io.BytesIO(two))[0].footer.offset]
    assert ended(start, footer) == two
    count, index, total, digest = footer[1:2], footer[2:4], footer[4:5], footer[5:]
    assert (count, index, total, len(digest)) == (b"\2", bytes([3 + 3 + 4, 3]), b"\5", 8)
    for lie, words in [
        (b"\0\1" + index + total + digest, "counts 1 blocks"),
        (b"\0\3" + index + index + total + digest, "counts 3 blocks"),
        (b"\0" + encode_varint(2**63) + index + total + digest, "counts"),
        (b"\0\2" + b"\x0b\3" + total + digest, "index"),
        (b"\0\2" + b"\x0a\2" + total + digest, "index"),
        (b"\0\2" + index + b"\6" + digest, "counts 6 original"),
        (b"\0\2" + index + total + bytes(8), "digest"),
    ]:
        with pytest.raises(CorruptError, match=words):
            content(ended(start, lie))
    sound = with_crc(footer)
    whole = len(start + sound)
    for size, footer_size in [(whole - 1, 20), (whole, len(sound) + 1), (2**40, len(sound)), (whole, 2**60)]:
        lie = start + sound + encode_reversed(size) + encode_reversed(footer_size)
        for read in (content, lambda data: read_index(io.BytesIO(data))):
            with pytest.raises(CorruptError):
                read(lie)


def test_members_cannot_swap_blocks() -> None:
    """Blocks that are sound in themselves, in the wrong order: only the digest of the whole can tell."""
    two = member([(BlockKind.RAW, b"abc"), (BlockKind.RAW, b"def")])
    first, second = read_index(io.BytesIO(two))[0].blocks
    swapped = (
        two[: first.offset]
        + two[second.offset : second.offset + second.stored_length]
        + two[first.offset : first.offset + first.stored_length]
        + two[second.offset + second.stored_length :]
    )
    with pytest.raises(CorruptError, match="digest"):
        content(swapped)


def test_declared_sizes_cost_no_memory() -> None:
    huge = b"\2" + encode_varint(MAX_BLOCK) + encode_varint(MAX_BLOCK)
    bombs = [
        HEAD + huge + b"short",
        HEAD + b"\0" + encode_varint(2**60),
        ended(HEAD, b"\0" + encode_varint(2**60) + b"\1" * 50),
    ]
    tracemalloc.start()
    try:
        for bomb in bombs:
            for read in (content, lambda data: read_index(io.BytesIO(data))):
                with pytest.raises(CorruptError):
                    read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", classic.CLASSIC[1:])
def test_bombs_stop_at_the_declared_length(kind: BlockKind) -> None:
    bomb = classic.encode(kind, bytes(30 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError):
            classic.decode(kind, bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_many_blocks_are_read_in_bounded_memory() -> None:
    data = member([(BlockKind.RAW, b"a")] * 20_000)
    source = io.BytesIO(data)
    tracemalloc.start()
    try:
        members = read_members(source)
        for event in members:
            if hasattr(event, "kind"):
                members.accept(event, event.payload)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
