"""Writing one member: header, blocks as they come, footer."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO
from zlib import crc32

from llmzip.container.fields import encode_reversed, encode_varint
from llmzip.container.format import (
    DIGEST_SIZE,
    FOOTER_MARKER,
    MAX_BLOCK,
    MAX_EXPANSION,
    SHORT_FOOTER_MARKER,
    BlockKind,
    Bytes,
    Header,
    block_check,
    pack_block_head,
    pack_u32,
)
from llmzip.container.streams import write_all


@dataclass(frozen=True)
class MemberSummary:
    """What was written: number of blocks, original bytes, and bytes of the whole member."""

    blocks: int
    original: int
    compressed: int


def original_digest() -> blake2b:
    """A hash that takes the original piece by piece; its `digest()` stands in the footer."""
    return blake2b(digest_size=DIGEST_SIZE)


def stored_block(kind: BlockKind, original: Bytes, payload: Bytes) -> bytes:
    """A block as it stands in a member: head, payload and check.

    payload is the coded form of the 1 to `MAX_BLOCK` bytes of original. Raises `ValueError` outside the format's limits.
    """
    original_length, payload_length = memoryview(original).nbytes, memoryview(payload).nbytes
    if not 1 <= original_length <= MAX_BLOCK:
        raise ValueError(f"a block holds 1 to {MAX_BLOCK} bytes, not {original_length}")
    if payload_length > original_length + MAX_EXPANSION:
        raise ValueError(f"a payload of {payload_length} bytes is too long for {original_length} original bytes")
    head = pack_block_head(kind, original_length, payload_length)
    return b"".join((head, payload, pack_u32(block_check(head, payload, original))))


class MemberWriter:
    """Writes one member to `sink`, a binary stream that need not seek; the header goes out with the first block.

    Blocks are written in the order of the original. Without `finish` the output is truncated and readers say so.
    Raises `OSError` as the sink does and `ValueError` for a header or block outside the format's limits.
    """

    def __init__(self, sink: BinaryIO, header: Header) -> None:
        self._sink = sink
        self._digest = original_digest()
        self._index = bytearray()
        self._last_entry = b""
        self._blocks = 0
        self._original = 0
        self._compressed = 0
        self._finished = False
        # Held back, so that an input that cannot be read and a model that cannot be loaded leave the sink empty.
        self._held = header.pack()

    def _write(self, data: Bytes) -> None:
        held, self._held = self._held, b""
        write_all(self._sink, b"".join((held, data)) if held else data)
        self._compressed += len(held) + memoryview(data).nbytes

    def write_block(self, kind: BlockKind, original: Bytes, payload: Bytes) -> None:
        """Append one block: `payload` is the coded form of the 1 to `MAX_BLOCK` bytes of `original`."""
        self._append(stored_block(kind, original, payload), memoryview(original).nbytes)
        self._digest.update(original)

    def write_stored(self, stored: Bytes, original_length: int) -> None:
        """Append what `stored_block` made elsewhere of so many original bytes; `finish` then needs the digest."""
        self._append(stored, original_length)

    def _append(self, stored: Bytes, original_length: int) -> None:
        if self._finished:
            raise ValueError("the member is finished")
        self._write(stored)
        # format: the last block's entry is left out of the index; the sizes after the footer give it.
        self._index += self._last_entry
        self._last_entry = encode_varint(memoryview(stored).nbytes) + encode_varint(original_length)
        self._blocks += 1
        self._original += original_length

    def finish(self, digest: bytes | None = None) -> MemberSummary:
        """Write the footer; the member is complete. The sink stays open and is not flushed.

        digest: of the original, by `original_digest`, where blocks were not all coded here.
        """
        if self._finished:
            raise ValueError("the member is finished")
        self._finished = True
        digest = digest or self._digest.digest()
        if self._blocks == 1:
            footer = bytes([SHORT_FOOTER_MARKER]) + digest
        else:
            counted = encode_varint(self._blocks) + self._index + encode_varint(self._original)
            footer = bytes([FOOTER_MARKER]) + counted + digest
            footer += pack_u32(crc32(footer))
        self._write(footer)
        # format: both sizes are stored backwards, the footer's last, so that a reader can start from the end.
        self._write(encode_reversed(self._compressed) + encode_reversed(len(footer)))
        return MemberSummary(self._blocks, self._original, self._compressed)
