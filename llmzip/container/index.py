"""Listing the members and blocks of a seekable file without reading its payloads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO
from zlib import crc32

from llmzip.container.fields import MAX_VARINT, Fields
from llmzip.container.format import (
    CHECK_SIZE,
    DIGEST_SIZE,
    FOOTER_MARKER,
    BlockKind,
    Header,
    pack_block_head,
    unpack_u32,
)
from llmzip.container.reader import Block, Footer, read_block, read_block_head, read_header, read_members
from llmzip.container.streams import Cursor
from llmzip.errors import CorruptError


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """A block's kind, its byte in the file, its stored length (head, payload, check) and its original length."""

    kind: BlockKind
    offset: int
    stored_length: int
    original_length: int
    payload_offset: int
    payload_length: int


@dataclass(frozen=True)
class MemberEntry:
    """A member: where it lies in the file (`offset`, `size` in bytes), its header, blocks and footer."""

    offset: int
    size: int
    header: Header
    blocks: list[BlockEntry]
    footer: Footer


def read_index(file: BinaryIO) -> list[MemberEntry]:
    """Every member of a seekable `file`, found from its end: one small read for each block, none of a payload.

    Headers and footers are verified, contents are not. Memory is proportional to the number of blocks.
    Raises `CorruptError`, `OSError`.
    """
    members: list[MemberEntry] = []
    end = file.seek(0, os.SEEK_END)
    try:
        while end > 0 or not members:
            member = _member_before(file, end)
            members.append(member)
            end = member.offset
    except CorruptError:
        # Seen from the end, damage has no place: reading forwards finds the first wrong byte and names it.
        file.seek(0)
        return list_members(file)
    return members[::-1]


def claimed_length(file: BinaryIO) -> int:
    """Original bytes of all members as their footers say, found from the end of a seekable `file` in a few bytes for each member.

    Nothing is verified: for progress and for limits. Raises `CorruptError` where the ends do not lead from one to the next, `OSError`.
    """
    total, end = 0, file.seek(0, os.SEEK_END)
    while end > 0:
        footer_end, member_size, _ = _sizes_before(file, end)
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


def list_members(source: BinaryIO) -> list[MemberEntry]:
    """The same as `read_index` for a source that cannot seek: reads it whole, from its current place."""
    members: list[MemberEntry] = []
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


def read_indexed_block(file: BinaryIO, member: MemberEntry, number: int) -> Block:
    """Block `number` (from 0) of a member that `read_index` found: its head and payload as stored, its check to be verified.

    Raises `CorruptError`, `OSError`; IndexError for a block that the member does not have.
    """
    entry = member.blocks[number]
    file.seek(entry.offset)
    block = read_block(Cursor(file, entry.offset), number)
    if block is None:
        raise CorruptError(
            f"block {number + 1} at byte {entry.offset} is not there: the file has changed or is damaged"
        )
    return block


def _entry(kind: BlockKind, offset: int, original: int, payload: int) -> BlockEntry:
    head = len(pack_block_head(kind, original, payload))
    return BlockEntry(kind, offset, head + payload + CHECK_SIZE, original, offset + head, payload)


def _member_before(file: BinaryIO, end: int) -> MemberEntry:
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


def _sizes_before(file: BinaryIO, end: int) -> tuple[int, int, int]:
    """End of the footer, sizes of member and footer of the member that ends at byte `end`."""
    start = max(0, end - 2 * MAX_VARINT)
    file.seek(start)
    tail = Cursor(file, start).take(end - start)[::-1]
    sizes = Fields(tail, "the sizes at the end run over the start")
    footer_size, member_size = (sizes.varint("the sizes at the end") for _ in range(2))
    footer_end = end - sizes.taken
    if member_size > footer_end or footer_size > member_size:
        raise CorruptError("the sizes at the end do not fit the file")
    return footer_end, member_size, footer_size


def _read_indexed(
    file: BinaryIO, offset: int, footer_offset: int, footer_end: int, end: int
) -> tuple[list[BlockEntry], Footer]:
    """Blocks and footer of a member whose first block is at `offset`."""
    file.seek(footer_offset)
    cursor = Cursor(file, footer_offset, "the footer")
    record = bytearray(cursor.take(1))
    if record[0] != FOOTER_MARKER:
        raise CorruptError("no footer")
    count = cursor.recorded_varint(record)
    entries = []
    original_sum = 0
    block_offset = offset
    for _ in range(count - 1):
        stored, original = cursor.recorded_varint(record), cursor.recorded_varint(record)
        entries.append((block_offset, stored, original))
        block_offset += stored
        original_sum += original
        if cursor.offset > footer_end:
            raise CorruptError("the index runs over the footer")
    total = cursor.recorded_varint(record)
    if count:
        entries.append((block_offset, footer_offset - block_offset, total - original_sum))
    elif block_offset != footer_offset or total:
        raise CorruptError("the footer leaves out blocks")
    digest = cursor.take(DIGEST_SIZE)
    record += digest
    if crc32(record) != unpack_u32(cursor.take(CHECK_SIZE)) or cursor.offset != footer_end:
        raise CorruptError("the footer does not match its check")

    blocks = []
    for block_offset, stored, original in entries:
        file.seek(block_offset)
        head = read_block_head(Cursor(file, block_offset), "block")
        if head is None or head[1] != original:
            raise CorruptError("the index does not match a block")
        entry = _entry(head[0], block_offset, head[1], head[2])
        if entry.stored_length != stored:
            raise CorruptError("the index does not match a block")
        blocks.append(entry)
    return blocks, Footer(count, total, digest, footer_offset, end)
