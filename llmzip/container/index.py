"""Listing the members and blocks of a seekable file without reading its payloads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Generic, TypeVar
from zlib import crc32

from llmzip.container.fields import MAX_VARINT, Fields
from llmzip.container.format import (
    CHECK_SIZE,
    DIGEST_SIZE,
    FOOTER_MARKER,
    MAX_BLOCK,
    MAX_HEADER,
    SHORT_FOOTER_MARKER,
    SHORT_FOOTER_SIZE,
    BlockKind,
    Header,
    pack_block_head,
    unpack_u32,
)
from llmzip.container.reader import Block, Footer, read_block, read_block_head, read_header, read_members
from llmzip.container.streams import Cursor
from llmzip.errors import CorruptError


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """A block's byte in the file, its stored length (head, payload, check) and its original length."""

    offset: int
    stored_length: int
    original_length: int


@dataclass(frozen=True, slots=True)
class BlockEntry(BlockPlace):
    """A block with what its head says: its kind, and where its payload lies."""

    kind: BlockKind
    payload_offset: int
    payload_length: int


Known = TypeVar("Known", bound=BlockPlace, covariant=True)


@dataclass(frozen=True)
class MemberEntry(Generic[Known]):
    """A member: where it lies in the file (`offset`, `size` in bytes), its header, blocks and footer."""

    offset: int
    size: int
    header: Header
    blocks: Sequence[Known]
    footer: Footer


def read_index(file: BinaryIO) -> list[MemberEntry[BlockEntry]]:
    """Every member of a seekable `file`, found from its end: one small read for each block, none of a payload.

    Headers and footers are verified, contents are not. Memory is proportional to the number of blocks.
    Raises `CorruptError`, `OSError`.
    """
    try:
        return [
            MemberEntry(
                each.offset, each.size, each.header, [_entered(file, place) for place in each.blocks], each.footer
            )
            for each in _from_the_end(file)
        ]
    except CorruptError:
        # Seen from the end, damage has no place: reading forwards finds the first wrong byte and names it.
        file.seek(0)
        return list_members(file)


def read_places(file: BinaryIO) -> Sequence[MemberEntry[BlockPlace]]:
    """The same by the footers alone: a few small reads for each member and none for a block, as suits a file far away."""
    try:
        return _from_the_end(file)
    except CorruptError:
        file.seek(0)
        return list_members(file)


def claimed_length(file: BinaryIO) -> int:
    """Original bytes of all members as their footers say, found from the end of a seekable `file` in a few bytes for each member.

    Nothing is verified: for progress and for limits. Raises `CorruptError` where the ends do not lead from one to the next, `OSError`.
    """
    total, end = 0, file.seek(0, os.SEEK_END)
    while end > 0:
        footer_end, member_size, footer_size = _sizes_before(file, end)
        if footer_size == SHORT_FOOTER_SIZE:
            member = _member_before(file, end)
            total, end = total + member.footer.original, member.offset
            continue
        start = max(0, footer_end - CHECK_SIZE - DIGEST_SIZE - MAX_VARINT)
        file.seek(start)
        tail = Cursor(file, start).take(footer_end - CHECK_SIZE - DIGEST_SIZE - start)
        # The total is the last number before the digest; only the last byte of a number has no high bit.
        first = len(tail) - 1
        while first > 0 and tail[first - 1] & 0x80:
            first -= 1
        total += Fields(tail[first:], "the footer ends inside a number").varint("the footer")
        if member_size <= 0:
            raise CorruptError("the sizes at the end do not fit the file")
        end = footer_end - member_size
    return total


def list_members(source: BinaryIO) -> list[MemberEntry[BlockEntry]]:
    """The same as `read_index` for a source that cannot seek: reads it whole, from its current place."""
    members: list[MemberEntry[BlockEntry]] = []
    offset = 0
    for event in read_members(source, payloads=False):
        if isinstance(event, Header):
            header = event
            blocks: list[BlockEntry] = []
        elif isinstance(event, Block):
            blocks.append(_entry(event.kind, event.offset, event.original_length, event.payload_length))
        else:
            members.append(MemberEntry(offset, event.end - offset, header, blocks, event))
            offset = event.end
    return members


def read_indexed_block(file: BinaryIO, member: MemberEntry[BlockPlace], number: int) -> Block:
    """Block `number` (from 0) of a member that `read_index` or `read_places` found, as stored, its check to be verified.

    Raises `CorruptError`, `OSError`; IndexError for a block that the member does not have.
    """
    place = member.blocks[number]
    file.seek(place.offset)
    cursor = Cursor(file, place.offset)
    block = read_block(cursor, number)
    if block is None or (cursor.offset - place.offset, block.original_length) != (
        place.stored_length,
        place.original_length,
    ):
        raise CorruptError(
            f"block {number + 1} at byte {place.offset} is not there: the file has changed or is damaged"
        )
    return block


def _entry(kind: BlockKind, offset: int, original: int, payload: int) -> BlockEntry:
    head = len(pack_block_head(kind, original, payload))
    return BlockEntry(offset, head + payload + CHECK_SIZE, original, kind, offset + head, payload)


def _entered(file: BinaryIO, place: BlockPlace) -> BlockEntry:
    """A block with its head. Raises CorruptError where that is not as the index says."""
    file.seek(place.offset)
    head = read_block_head(Cursor(file, place.offset), "block")
    entry = _entry(head[0], place.offset, head[1], head[2]) if head else None
    if not entry or (entry.stored_length, entry.original_length) != (place.stored_length, place.original_length):
        raise CorruptError("the index does not match a block")
    return entry


def _from_the_end(file: BinaryIO) -> list[MemberEntry[BlockPlace]]:
    """The members of a file, by their footers."""
    members: list[MemberEntry[BlockPlace]] = []
    end = file.seek(0, os.SEEK_END)
    while end > 0 or not members:
        member = _member_before(file, end)
        members.append(member)
        end = member.offset
    return members[::-1]


def _member_before(file: BinaryIO, end: int) -> MemberEntry[BlockPlace]:
    """The member that ends at byte `end`."""
    footer_end, member_size, footer_size = _sizes_before(file, end)
    offset = footer_end - member_size
    file.seek(offset)
    cursor = Cursor(file, offset)
    header = read_header(cursor)
    if header is None:
        raise CorruptError("no header")
    blocks, footer = _read_indexed(file, cursor.offset, footer_end - footer_size, footer_end, end)
    return MemberEntry(offset, end - offset, header, blocks, footer)


def _sizes_before(file: BinaryIO, end: int, *, cut: bool = False) -> tuple[int, int, int]:
    """End of the footer, sizes of member and footer of the member that ends at byte `end`. cut: bytes of the member may be missing."""
    start = max(0, end - 2 * MAX_VARINT)
    file.seek(start)
    tail = Cursor(file, start).take(end - start)[::-1]
    sizes = Fields(tail, "the sizes at the end run over the start")
    footer_size, member_size = (sizes.varint("the sizes at the end") for _ in range(2))
    footer_end = end - sizes.taken
    if (member_size > footer_end and not cut) or footer_size > min(member_size, footer_end):
        raise CorruptError("the sizes at the end do not fit the file")
    return footer_end, member_size, footer_size


def _read_indexed(
    file: BinaryIO, offset: int, footer_offset: int, footer_end: int, end: int
) -> tuple[list[BlockPlace], Footer]:
    """Blocks and footer of a member whose first block is at `offset`."""
    if footer_end - footer_offset == SHORT_FOOTER_SIZE:
        digest = _read_short_footer(file, footer_offset)
        file.seek(offset)
        head = read_block_head(Cursor(file, offset), "block")
        only = _entry(head[0], offset, head[1], head[2]) if head else None
        if only is None or only.offset + only.stored_length != footer_offset:
            raise CorruptError("the block does not reach to the footer")
        return [only], Footer(1, only.original_length, digest, footer_offset, end)
    index, total, digest = _read_footer(file, footer_offset, footer_end)
    entries, block_offset = [], offset
    for stored, original in index[:-1]:
        entries.append((block_offset, stored, original))
        block_offset += stored
    if index:
        entries.append((block_offset, footer_offset - block_offset, index[-1][1]))
    elif block_offset != footer_offset or total:
        raise CorruptError("the footer leaves out blocks")
    if any(stored <= CHECK_SIZE or not 1 <= original <= MAX_BLOCK for _, stored, original in entries):
        raise CorruptError("the index names impossible blocks")
    return [BlockPlace(*entry) for entry in entries], Footer(len(index), total, digest, footer_offset, end)


def _read_short_footer(file: BinaryIO, footer_offset: int) -> bytes:
    """The digest of a member of one block."""
    file.seek(footer_offset)
    footer = Cursor(file, footer_offset, "the footer").take(SHORT_FOOTER_SIZE)
    if footer[0] != SHORT_FOOTER_MARKER:
        raise CorruptError("no footer")
    return footer[1:]


def _read_footer(file: BinaryIO, footer_offset: int, footer_end: int) -> tuple[list[tuple[int, int]], int, bytes]:
    """Stored and original length of every block (the last one's stored length is not known here: 0), original length and digest of
    the member; the footer's check holds."""
    file.seek(footer_offset)
    cursor = Cursor(file, footer_offset, "the footer")
    record = bytearray(cursor.take(1))
    if record[0] != FOOTER_MARKER:
        raise CorruptError("no footer")
    count = cursor.recorded_varint(record)
    entries, original_sum = [], 0
    for _ in range(count - 1):
        stored, original = cursor.recorded_varint(record), cursor.recorded_varint(record)
        entries.append((stored, original))
        original_sum += original
        if cursor.offset > footer_end:
            raise CorruptError("the index runs over the footer")
    total = cursor.recorded_varint(record)
    if count:
        entries.append((0, total - original_sum))
    digest = cursor.take(DIGEST_SIZE)
    record += digest
    if crc32(record) != unpack_u32(cursor.take(CHECK_SIZE)) or cursor.offset != footer_end:
        raise CorruptError("the footer does not match its check")
    return entries, total, digest


@dataclass(frozen=True)
class FooterIndex:
    """A sound footer: where its member begins (`start`), where it begins itself, where the member ends; digest of the original; of each
    block its stored length (0 for the last one) and its original length (None where the footer does not say)."""

    start: int
    footer_offset: int
    end: int
    digest: bytes
    blocks: Sequence[tuple[int, int | None]]

    def offsets(self, file: BinaryIO, header: int) -> list[int]:
        """Where the blocks lie, and at last the footer; empty where not even the first block's head is found.

        header: length of the member's header if it is known, else 0. Where bytes are missing or too many, only what is behind them is
        right.
        """
        first = self.start + header if header else self._first(file)
        if first is None:
            return []
        found = [first]
        for stored, _ in self.blocks[:-1]:
            found.append(found[-1] + stored)
        return [*found, self.footer_offset] if self.blocks else [self.footer_offset]

    def _first(self, file: BinaryIO) -> int | None:
        if self.start < 0:
            return None
        # Behind a damaged header the first block is known by its lengths.
        known = sum(stored for stored, _ in self.blocks)
        for at in range(self.start + 1, min(self.start + 2 * MAX_HEADER, self.footer_offset - known)):
            file.seek(at)
            try:
                head = read_block_head(Cursor(file, at), "block")
            except CorruptError:
                continue
            if head and self.blocks and self.blocks[0][1] in (head[1], None):
                stored = _entry(head[0], at, head[1], head[2]).stored_length
                if stored == (self.blocks[0][0] if len(self.blocks) > 1 else self.footer_offset - at):
                    return at
        return None if self.blocks else self.footer_offset


def footer_before(file: BinaryIO, end: int) -> FooterIndex:
    """The footer of the member that ends at byte `end`, whatever else of the member is damaged. Raises `CorruptError`, `OSError`."""
    footer_end, member_size, footer_size = _sizes_before(file, end, cut=True)
    blocks: Sequence[tuple[int, int | None]] = [(0, None)]
    if footer_size == SHORT_FOOTER_SIZE:
        digest = _read_short_footer(file, footer_end - footer_size)
    else:
        blocks, _, digest = _read_footer(file, footer_end - footer_size, footer_end)
    return FooterIndex(footer_end - member_size, footer_end - footer_size, end, digest, blocks)
