"""What can still be read of a damaged file: every block that is whole, and the gaps between them.

The file is walked from the front. Where a block, a header or a footer is damaged, the index in the member's footer says where the
next block begins; without a sound footer the next place is looked for that begins a member or a block that can be decoded.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import BinaryIO

from llmzip.container.format import CHECK_SIZE, DIGEST_SIZE, FOOTER_MARKERS, MAGIC, BlockKind, Header
from llmzip.container.index import FooterIndex, footer_before
from llmzip.container.reader import Block, read_block, read_block_head, read_header
from llmzip.container.streams import PIECE, Cursor
from llmzip.errors import CorruptError

Decode = Callable[["Header | None", Block], bytes]
"""The original of a block, verified; None where its member's header is damaged. Raises CorruptError."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BEHIND = {*FOOTER_MARKERS, MAGIC[0], *BlockKind}  # what a block may be followed by
_STARTS = re.compile(rb"[\x01-\x05]|\xecLZ\r\n")


@dataclass(frozen=True)
class Piece:
    """A block that is whole: its original bytes, where it lies in the file, and its original length."""

    data: bytes
    offset: int
    length: int


@dataclass(frozen=True)
class Gap:
    """Bytes `start` to `stop` of the file that cannot be read.

    lost: original bytes that are missing here, None if unknown, 0 where only a header or a footer is damaged. original: where they were
    in the original of the whole file, None if unknown. blocks: numbers (from 1, in their member) of damaged blocks that are known.
    """

    start: int
    stop: int
    lost: int | None
    original: int | None
    blocks: tuple[int, ...]
    reason: str


@dataclass
class _Open:
    """A gap that goes on."""

    start: int
    reason: str
    lost: int | None = 0
    blocks: list[int] = field(default_factory=list)


class Salvage(Iterator["Piece | Gap"]):
    """The pieces and gaps of a seekable file, in order. Raises OSError, and what `decode` raises but for CorruptError."""

    def __init__(self, file: BinaryIO, decode: Decode) -> None:
        self._file, self._decode = file, decode
        self._size = file.seek(0, 2)
        self._position: int | None = 0  # in the original
        self._gap: _Open | None = None
        self._index: dict[int, FooterIndex] | None = None
        self._ends: list[int] = []
        self._header: Header | None = None
        self._tried: tuple[int, bytes] | None = None  # a block that was looked at ahead
        self._start = self._header_length = 0
        self._number = 0  # blocks of the member that came so far
        self._digest: blake2b | None = None
        self._pieces = self._walk()

    def __next__(self) -> Piece | Gap:
        return next(self._pieces)

    def _walk(self) -> Iterator[Piece | Gap]:
        at = 0
        while at < self._size:
            before = at
            for step in (self._at_header, self._at_footer):
                after = step(at)
                if after is not None:
                    yield from self._close(before)
                    at = after
                    break
            else:
                found = self._at_block(at)
                if isinstance(found, Piece):
                    yield from self._close(before)
                    yield found
                    if self._position is not None:
                        self._position += found.length
                    at = self._end
                else:
                    at = self._beyond(at, found)
            assert at > before
        self._without_footer(at)
        if self._size == 0:
            self._damaged(0, "the file is empty", None)
        yield from self._close(self._size)

    # -- what may be at a place --------------------------------------------------------------------------------------

    def _cursor(self, at: int) -> Cursor:
        self._file.seek(at)
        return Cursor(self._file, at)

    def _at_header(self, at: int) -> int | None:
        """The end of a sound header."""
        cursor = self._cursor(at)
        if cursor.take_some(len(MAGIC)) != MAGIC:
            return None
        try:
            cursor = self._cursor(at)
            header = read_header(cursor)
        except CorruptError:
            return None
        if header is None:
            return None
        self._without_footer(at)
        self._header = header
        self._number, self._digest = 0, blake2b(digest_size=DIGEST_SIZE)
        self._start, self._header_length = at, cursor.offset - at
        return cursor.offset

    def _at_footer(self, at: int) -> int | None:
        """The end of a sound footer whose index agrees; a wrong digest of the content is a gap of its own."""
        marker = self._cursor(at).take_some(1)
        if not marker or marker[0] not in FOOTER_MARKERS:
            return None
        index = self._indices().get(at)
        if index is None:
            return None
        if self._digest and index.digest != self._digest.digest():
            self._damaged(at, "the content is not that of the footer: blocks are missing or misplaced", None)
        elif self._digest and index.start != self._start:
            self._damaged(at, "the sizes behind the footer do not match", 0)
        self._header, self._digest = None, None
        return index.end

    def _at_block(self, at: int) -> Piece | str:
        """A whole block, or what is wrong with it."""
        try:
            cursor = self._cursor(at)
            block = read_block(cursor, self._number)
            if block is None:
                return "the footer is damaged"
            at_hand = self._tried and self._tried[0] == at
            data = self._tried[1] if self._tried and at_hand else self._decode(self._header, block)
        except CorruptError as error:
            return str(error)
        self._tried = None
        self._end = cursor.offset
        self._number += 1
        if len(data) != block.original_length:
            self._digest = None  # known to be whole, and not decoded again
        elif self._digest:
            self._digest.update(data)
        return Piece(data, at, block.original_length)

    # -- beyond damage -----------------------------------------------------------------------------------------------

    def _indices(self) -> dict[int, FooterIndex]:
        """Every sound footer by its place, in order, found from the ends of members: where the file ends, and where headers begin."""
        if self._index is None:
            found = {}
            for end in [*self._headers(), self._size]:
                try:
                    index = footer_before(self._file, end)
                except CorruptError:
                    continue
                found[index.footer_offset] = index
            self._index = {place: found[place] for place in sorted(found)}
            self._ends = [index.end for index in self._index.values()]
        return self._index

    def _headers(self) -> Iterator[int]:
        """Places where sound headers begin."""
        start, kept = 0, b""
        while True:
            self._file.seek(start + len(kept))
            piece = kept + self._file.read(PIECE)
            if len(piece) == len(kept):
                return
            for match in re.finditer(re.escape(MAGIC), piece):
                try:
                    if read_header(self._cursor(start + match.start())):
                        yield start + match.start()
                except CorruptError:
                    continue
            keep = min(len(piece), len(MAGIC) - 1)
            start, kept = start + len(piece) - keep, piece[len(piece) - keep :]

    def _beyond(self, at: int, reason: str) -> int:
        """Where to go on behind damage."""
        indices = self._indices().values()
        later = islice(indices, bisect_right(self._ends, at), None)
        index = next((index for index in later if index.start <= at), None)
        offsets = index.offsets(self._file, self._header_length) if index else []
        if index and offsets:
            place = bisect_right(offsets, at) - 1
            known = 0 <= place < len(index.blocks) and offsets[place] == at
            behind = offsets[place + 1] if place + 1 < len(offsets) else index.end
            # Where bytes were lost or put in, the index is right behind them only.
            sound = self._sound(behind)
            after = behind if sound else self._search(at + 1, behind)
            if place < 0 and after == behind:
                self._damaged(at, reason, 0)
            elif known and (sound or after == behind):
                lost = index.blocks[place][1]
                if lost is None and (declared := self._declared_end(at)):
                    lost = declared[1]  # the only block of its member, whose footer does not describe it
                self._damaged(at, reason, lost, place + 1)
                self._number = place + 1
            else:
                self._damaged(at, reason, None)
            return after
        declared = self._declared_end(at)
        if declared:
            end, lost = declared
            self._number += 1
            self._damaged(at, reason, lost, self._number)
            return end
        self._damaged(at, reason, None if self._header or at else 0)
        return self._search(at + 1, self._size)

    def _declared_end(self, at: int) -> tuple[int, int] | None:
        """The end of a damaged block as its head has it, if something sound is there, and its original length."""
        try:
            cursor = self._cursor(at)
            head = read_block_head(cursor, "block")
        except CorruptError:
            return None
        if head is None:
            return None
        end = cursor.offset + head[2] + CHECK_SIZE
        return (end, head[1]) if end <= self._size and self._sound(end) else None

    def _sound(self, at: int) -> bool:
        """Whether the file ends here, or a member, a footer or a whole block begins."""
        if at == self._size:
            return True
        cursor = self._cursor(at)
        if cursor.take_some(len(MAGIC)) == MAGIC:
            try:
                return read_header(self._cursor(at)) is not None
            except CorruptError:
                return False
        if at in self._indices():
            return True
        return self._likely_block(at) and self._decodes(at)

    def _search(self, at: int, stop: int) -> int:
        """The next place at which something sound begins; `stop` where nothing does before."""
        while at < stop:
            self._file.seek(at)
            piece = self._file.read(min(PIECE, stop - at))
            for match in _STARTS.finditer(piece):
                place = at + match.start()
                if self._sound(place):
                    return place
            at += max(1, len(piece) - len(MAGIC) + 1)
        return stop

    def _likely_block(self, at: int) -> bool:
        """Whether a block may begin here, by what costs little: its head, its first bytes, and what lies behind it."""
        try:
            cursor = self._cursor(at)
            head = read_block_head(cursor, "block")
            if head is None or cursor.offset + head[2] + CHECK_SIZE > self._size:
                return False
            kind, original, length = head
            if kind is BlockKind.RAW and length != original:
                return False
            start = cursor.take_some(min(length, len(_ZSTD_MAGIC)))
            if kind is BlockKind.ZSTD and start != _ZSTD_MAGIC:
                return False
            behind = self._cursor(at + (cursor.offset - at - len(start)) + length + CHECK_SIZE).take_some(1)
            if behind and behind[0] not in _BEHIND:
                return False
            if kind is BlockKind.MODEL:
                self._file.seek(cursor.offset - len(start))
                payload = self._file.read(length)
                return length > 2 and crc_hqx(payload[2:], 0) == int.from_bytes(payload[:2], "little")
        except CorruptError:
            return False
        return True

    def _decodes(self, at: int) -> bool:
        try:
            block = read_block(self._cursor(at), self._number)
            if block is None:
                return False
            self._tried = at, self._decode(self._header, block)
        except CorruptError:
            return False
        return True

    # -- gaps --------------------------------------------------------------------------------------------------------

    def _without_footer(self, at: int) -> None:
        """A member ends here by a cut: whatever came behind its last block is not there."""
        if self._header and not self._gap:
            self._damaged(at, "the member has no footer: the file is truncated", None)

    def _damaged(self, at: int, reason: str, lost: int | None, number: int | None = None) -> None:
        """Begin a gap, or go on with the one that there is."""
        self._digest = None
        gap = self._gap = self._gap or _Open(at, reason)
        gap.lost = None if gap.lost is None or lost is None else gap.lost + lost
        if number:
            gap.blocks.append(number)

    def _close(self, at: int) -> Iterator[Gap]:
        """End the gap before what is sound again."""
        gap, self._gap = self._gap, None
        if gap is None:
            return
        yield Gap(gap.start, max(at, gap.start), gap.lost, self._position, tuple(gap.blocks), gap.reason)
        if gap.lost is None:
            self._position = None
        elif self._position is not None:
            self._position += gap.lost
