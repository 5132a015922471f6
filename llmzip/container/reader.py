"""Reading members from front to back, from pipes too, in memory bounded by one block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import BinaryIO
from zlib import crc32

from llmzip.container.fields import encode_reversed, encode_varint
from llmzip.container.format import (
    CHECK_SIZE,
    DIGEST_SIZE,
    FOOTER_MARKER,
    FOOTER_MARKERS,
    MAGIC,
    MAX_BLOCK,
    MAX_EXPANSION,
    MAX_HEADER,
    SHORT_FOOTER_MARKER,
    VERSION,
    BlockKind,
    Bytes,
    Header,
    block_check,
    foreign_magic,
    is_short,
    pack_block_head,
    unpack_u32,
)
from llmzip.container.streams import PIECE, Cursor
from llmzip.errors import CorruptError


@dataclass
class MemberCheck:
    """What the blocks of a member add up to, for comparison with its footer."""

    offset: int
    blocks: int = 0
    original: int = 0
    accepted: int = 0
    index_length: int = 0
    last_entry: bytes = b""
    # A digest instead of the entries: millions of tiny blocks must not fill the memory.
    index_digest: blake2b = field(default_factory=lambda: blake2b(digest_size=16))
    content_digest: blake2b = field(default_factory=lambda: blake2b(digest_size=DIGEST_SIZE))

    def add(self, entry: bytes, original: int) -> None:
        """Count a block: its entry in the index and its original length."""
        self.index_digest.update(self.last_entry)
        self.index_length += len(self.last_entry)
        self.last_entry = entry
        self.blocks += 1
        self.original += original

    def accept(self, block: Block, original: Bytes) -> None:
        """Take `original` as the decoded block, in order. Raises CorruptError where it does not fit the block's check."""
        block.verify(original)
        if self.accepted != block.index:
            raise RuntimeError(f"{block.where} accepted out of order")
        self.accepted += 1
        self.content_digest.update(original)


@dataclass(frozen=True)
class Block:
    """One block as stored: `index` counts from 0 within its member, `offset` is its byte in the input.

    The payload's bytes are not checked before it is decoded: decode it defensively, then `verify`.
    """

    kind: BlockKind
    index: int
    offset: int
    original_length: int
    payload_length: int
    payload: bytes
    check: int

    @property
    def where(self) -> str:
        """The block's place for messages, counted from 1."""
        return f"block {self.index + 1} at byte {self.offset}"

    def verify(self, original: Bytes) -> None:
        """Raises `CorruptError` unless `original` is what the block's check was made from."""
        length = memoryview(original).nbytes
        if length != self.original_length:
            raise CorruptError(f"{self.where}: decodes to {length} bytes instead of {self.original_length}: damaged")
        if not self.fits(original):
            raise CorruptError(f"{self.where}: the check does not match: the file is damaged; get it again")

    def fits(self, original: Bytes) -> bool:
        """Whether `original` is what the block's check was made from."""
        head = pack_block_head(self.kind, self.original_length, self.payload_length)
        return block_check(head, self.payload, original) == self.check


@dataclass(frozen=True)
class Footer:
    """The end of a member: its number of blocks, original length and digest; `offset` and `end` in the input."""

    blocks: int
    original: int
    digest: bytes
    offset: int
    end: int


class MemberReader(Iterator["Header | Block | Footer"]):
    """The events of every member in turn: a `Header`, its `Block`s, its `Footer`; all plain data.

    `source` is read forwards only, to its end; at least one member is required. Blocks are accepted in order, all of a
    member before its footer is looked at: `settle` is called then, and before an error in what follows the blocks, for
    those who work ahead. With `payloads=False` payloads are passed over (empty in the events), nothing need be accepted,
    and contents go unverified.
    Raises `CorruptError` for anything that is not a complete, undamaged sequence of members, and `OSError` as the
    source does. When the last event has come out, total, index and digest of every member have been verified.
    """

    def __init__(self, source: BinaryIO, *, payloads: bool = True, settle: Callable[[], None] | None = None) -> None:
        self._payloads, self._settle = payloads, settle
        self._member = MemberCheck(0)
        self._events = self._read(Cursor(source))

    def __next__(self) -> Header | Block | Footer:
        return next(self._events)

    def _settled(self) -> None:
        if self._settle:
            self._settle()

    def accept(self, block: Block, original: Bytes) -> None:
        """Take `original` as the decoded block, if it is: raises `CorruptError` naming block and offset if not.

        Nothing of it may be passed on before.
        """
        self._member.accept(block, original)

    def _read(self, cursor: Cursor) -> Iterator[Header | Block | Footer]:
        while True:
            offset = cursor.offset
            header = read_header(cursor)
            if header is None:
                return
            yield header
            member = self._member = MemberCheck(offset)
            try:
                while (block := read_next_block(cursor, member, self._payloads)) is not None:
                    yield block
            except (CorruptError, OSError):
                self._settled()  # what was read before is whole, or damaged earlier
                raise
            self._settled()
            if self._payloads and member.accepted != member.blocks:
                raise RuntimeError(f"only {member.accepted} of {member.blocks} blocks were accepted")
            yield read_footer(cursor, member, self._payloads)


def read_members(source: BinaryIO, *, payloads: bool = True, settle: Callable[[], None] | None = None) -> MemberReader:
    """The events of all members of `source`."""
    return MemberReader(source, payloads=payloads, settle=settle)


def read_header(cursor: Cursor) -> Header | None:
    """The header at the cursor; None at the end of a file that has had a member. Raises `CorruptError`."""
    offset = cursor.offset
    cursor.place = f"the header at byte {offset}" if offset else "the header"
    magic = cursor.take_some(len(MAGIC))
    if not magic and offset:
        return None
    if magic != MAGIC:
        raise _not_a_member(cursor, offset, magic)
    version = cursor.take(1)
    if version[0] != VERSION:
        raise CorruptError(
            f"header at byte {offset}: format version {version[0]} is not {VERSION}, the one that this llmzip reads:"
            " update it"
        )
    length = cursor.varint()
    if length > MAX_HEADER:
        raise CorruptError(f"header at byte {offset}: claims {length} bytes (at most {MAX_HEADER}): damaged")
    fields = cursor.take(length)
    crc = unpack_u32(cursor.take(CHECK_SIZE))
    if crc != crc32(MAGIC + version + encode_varint(length) + fields):
        raise CorruptError(f"header at byte {offset}: the check does not match: the file is damaged; get it again")
    return Header.unpack(fields, offset)


def _not_a_member(cursor: Cursor, offset: int, start: bytes) -> CorruptError:
    if offset == 0 and not start:
        return CorruptError("the input is empty: no compressed data (an empty original makes a file of some 30 bytes)")
    if len(start) < len(MAGIC) and MAGIC.startswith(start):
        return cursor.truncated()
    if offset == 0 and is_short(start):
        return CorruptError("is in the short form, which tells nothing before it is decoded: use -d, or -t")
    start += cursor.take_some(3)
    advice = foreign_magic(start)
    if offset == 0:
        return CorruptError(f"not an llmzip file: {advice or 'it does not start as one'}")
    return CorruptError(
        f"byte {offset}: data after the end of the compressed content is no llmzip member: "
        f"{advice or 'the file is damaged or something was appended'}"
    )


def read_block_head(cursor: Cursor, place: str) -> tuple[BlockKind, int, int] | None:
    """Kind, original length and payload length of the block at the cursor; None at a footer's marker."""
    cursor.place = place
    kind = cursor.take(1)[0]
    if kind in FOOTER_MARKERS:
        return None
    try:
        kind = BlockKind(kind)
    except ValueError:
        raise CorruptError(f"{place}: unknown block type {kind}: damaged, or made by a newer llmzip") from None
    original = cursor.varint()
    payload = cursor.varint()
    if not 1 <= original <= MAX_BLOCK:
        raise CorruptError(f"{place}: claims {original} original bytes (1 to {MAX_BLOCK} are possible): damaged")
    if payload > original + MAX_EXPANSION:
        raise CorruptError(f"{place}: claims a payload of {payload} bytes for {original} original bytes: damaged")
    return kind, original, payload


def read_block(cursor: Cursor, index: int, *, payload: bool = True) -> Block | None:
    """The block at the cursor, number `index` of its member, without its payload if so wanted; None at a footer's marker."""
    offset = cursor.offset
    head = read_block_head(cursor, f"block {index + 1} at byte {offset}")
    if head is None:
        return None
    kind, original, length = head
    stored = b""
    if payload:
        stored = cursor.take(length)
    else:
        cursor.skip(length)
    return Block(kind, index, offset, original, length, stored, unpack_u32(cursor.take(CHECK_SIZE)))


def read_next_block(cursor: Cursor, member: MemberCheck, payload: bool) -> Block | None:
    """The block at the cursor as the next one of the member; None at the footer's marker. Raises `CorruptError`."""
    offset = cursor.offset
    block = read_block(cursor, member.blocks, payload=payload)
    if block is not None:
        member.add(encode_varint(cursor.offset - offset) + encode_varint(block.original_length), block.original_length)
    return block


def read_footer(cursor: Cursor, member: MemberCheck, contents: bool) -> Footer:
    """The footer whose marker was the last byte taken, compared with what came before it. Raises `CorruptError`."""
    offset = cursor.offset - 1
    place = f"footer at byte {offset}"
    cursor.place = place
    if cursor.last == SHORT_FOOTER_MARKER:
        if member.blocks != 1:
            raise CorruptError(f"{place}: stands for one block where {member.blocks} came: the file is damaged")
        content = cursor.take(DIGEST_SIZE)
    else:
        content = _read_counts(cursor, member, place)
    sizes = encode_reversed(cursor.offset - member.offset) + encode_reversed(cursor.offset - offset)
    if cursor.take(len(sizes)) != sizes:
        raise CorruptError(f"{place}: the sizes behind it do not match: the file is damaged")
    if contents and content != member.content_digest.digest():
        raise CorruptError(f"{place}: the digest of the whole content does not match: blocks are missing or misplaced")
    return Footer(member.blocks, member.original, content, offset, cursor.offset)


def _read_counts(cursor: Cursor, member: MemberCheck, place: str) -> bytes:
    """The digest in a footer with count, index, total and a check, which are right."""
    crc = crc32(bytes([FOOTER_MARKER]))
    count = cursor.varint()
    if count != member.blocks:
        raise CorruptError(f"{place}: counts {count} blocks where {member.blocks} came: the file is damaged")
    crc = crc32(encode_varint(count), crc)
    digest = blake2b(digest_size=16)
    left = member.index_length
    while left:
        piece = cursor.take(min(left, PIECE))
        digest.update(piece)
        crc = crc32(piece, crc)
        left -= len(piece)
    if digest.digest() != member.index_digest.digest():
        raise CorruptError(f"{place}: the index does not match the blocks: the file is damaged")
    total = cursor.varint()
    content = cursor.take(DIGEST_SIZE)
    if unpack_u32(cursor.take(CHECK_SIZE)) != crc32(content, crc32(encode_varint(total), crc)):
        raise CorruptError(f"{place}: the check does not match: the file is damaged; get it again")
    if total != member.original:
        raise CorruptError(f"{place}: counts {total} original bytes where {member.original} came: the file is damaged")
    return content
