"""Reading one member from bytes that are pushed in, piece by piece, where nobody can be asked for more."""

from __future__ import annotations

from typing import BinaryIO, cast

from llmzip.container.format import Bytes, Header
from llmzip.container.reader import Block, Footer, MemberCheck, read_footer, read_header, read_next_block
from llmzip.container.streams import Cursor
from llmzip.errors import TruncatedError


class _Held:
    """Bytes that have come and are not used up, read as a file."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.place = 0

    def read(self, count: int) -> bytes:
        piece = bytes(memoryview(self.data)[self.place : self.place + count])
        self.place += len(piece)
        return piece

    def drop(self) -> None:
        """Forget what has been read."""
        del self.data[: self.place]
        self.place = 0


class PushedMember:
    """The events of one member (`reader.MemberReader`) from bytes as they come: `feed`, then `take` until it gives None.

    No part is read twice for every byte that comes: it is tried again when as much is there as it is known to lack.
    """

    def __init__(self) -> None:
        self._held = _Held()
        self._offset = 0  # of the first byte held
        self._lacks = 1
        self._member: MemberCheck | None = None
        self._footer: Footer | None = None

    def feed(self, data: Bytes) -> None:
        """Take more of the file."""
        self._held.data += data
        self._lacks -= memoryview(data).nbytes

    @property
    def ended(self) -> bool:
        """Whether the footer was taken: the member is complete and verified."""
        return self._footer is not None

    @property
    def starved(self) -> bool:
        """Whether nothing can be taken before more is fed."""
        return self._lacks > 0 or self.ended

    @property
    def rest(self) -> bytes:
        """What is held and was not used; behind the footer it belongs to no part of this member."""
        return bytes(self._held.data)

    def take(self) -> Header | Block | Footer | None:
        """The next event; None where more has to be fed for it, and behind the footer. Raises CorruptError."""
        if self.starved:
            return None
        self._held.place = 0
        cursor = Cursor(cast(BinaryIO, self._held), self._offset)
        try:
            event = self._event(cursor)
        except TruncatedError as error:
            self._lacks = error.missing
            return None
        self._held.drop()
        self._offset = cursor.offset
        self._lacks = 0 if self._held.data else 1
        return event

    def accept(self, block: Block, original: Bytes) -> None:
        """Take `original` as the decoded block, as `MemberReader.accept`. Raises CorruptError."""
        if self._member is None:
            raise RuntimeError("no block was taken")
        self._member.accept(block, original)

    def _event(self, cursor: Cursor) -> Header | Block | Footer | None:
        if self._member is None:
            header = read_header(cursor)
            self._member = MemberCheck(0)
            return header
        block = read_next_block(cursor, self._member, True)
        if block:
            return block
        self._footer = read_footer(cursor, self._member, True)
        return self._footer
