"""Writing one member: header, blocks as they come, footer."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO
from zlib import crc32

from llmzip.container.fields import encode_reversed, encode_varint
from llmzip.container.format import (
    CHECK_SIZE,
    DIGEST_SIZE,
    FOOTER_MARKER,
    MAX_BLOCK,
    MAX_EXPANSION,
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


class MemberWriter:
    """Writes one member to `sink`, a binary stream that need not seek; the header goes out at once.

    Blocks are written in the order of the original. Without `finish` the output is truncated and readers say so.
    Raises `OSError` as the sink does and `ValueError` for a header or block outside the format's limits.
    """

    def __init__(self, sink: BinaryIO, header: Header) -> None:
        self._sink = sink
        self._digest = blake2b(digest_size=DIGEST_SIZE)
        self._index = bytearray()
        self._last_entry = b""
        self._blocks = 0
        self._original = 0
        self._compressed = 0
        self._finished = False
        self._write(header.pack())

    def _write(self, data: Bytes) -> None:
        write_all(self._sink, data)
        self._compressed += memoryview(data).nbytes

    def write_block(self, kind: BlockKind, original: Bytes, payload: Bytes) -> None:
        """Append one block: `payload` is the coded form of the 1 to `MAX_BLOCK` bytes of `original`."""
        if self._finished:
            raise ValueError("the member is finished")
        original_length = memoryview(original).nbytes
        payload_length = memoryview(payload).nbytes
        if not 1 <= original_length <= MAX_BLOCK:
            raise ValueError(f"a block holds 1 to {MAX_BLOCK} bytes, not {original_length}")
        if payload_length > original_length + MAX_EXPANSION:
            raise ValueError(f"a payload of {payload_length} bytes is too long for {original_length} original bytes")
        head = pack_block_head(kind, original_length, payload_length)
        self._write(head)
        self._write(payload)
        self._write(pack_u32(block_check(head, payload, original)))
        self._digest.update(original)
        # format: the last block's entry is left out of the index; the sizes after the footer give it.
        self._index += self._last_entry
        stored = len(head) + payload_length + CHECK_SIZE
        self._last_entry = encode_varint(stored) + encode_varint(original_length)
        self._blocks += 1
        self._original += original_length

    def finish(self) -> MemberSummary:
        """Write the footer; the member is complete. The sink stays open and is not flushed."""
        if self._finished:
            raise ValueError("the member is finished")
        self._finished = True
        footer = (
            bytes([FOOTER_MARKER])
            + encode_varint(self._blocks)
            + self._index
            + encode_varint(self._original)
            + self._digest.digest()
        )
        footer += pack_u32(crc32(footer))
        self._write(footer)
        # format: both sizes are stored backwards, the footer's last, so that a reader can start from the end.
        self._write(encode_reversed(self._compressed) + encode_reversed(len(footer)))
        return MemberSummary(self._blocks, self._original, self._compressed)
