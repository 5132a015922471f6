"""Any place of a compressed file's original, by decoding the one block that holds it."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from typing import BinaryIO

from llmzip.codec.codec import Codec
from llmzip.container import BlockPlace, MemberEntry, read_places
from llmzip.container.format import is_short
from llmzip.errors import CorruptError

KEPT = 4
"""Blocks that stay decoded; each holds 4 MiB (levels 7 to 9: 16 MiB) unless it was made otherwise."""


def original_length(file: BinaryIO) -> int | None:
    """Bytes that a seekable compressed file stands for, by its index; None for a message in the short form, which does not say it.

    Raises CorruptError, OSError.
    """
    try:
        return sum(member.footer.original for member in read_places(file))
    except CorruptError:
        if is_message(file):
            return None
        raise


def is_message(file: BinaryIO) -> bool:
    """Whether a seekable file holds a message in the short form; it is at its start afterwards."""
    file.seek(0)
    found = is_short(file.read(1))
    file.seek(0)
    return found


class Blocks:
    """The blocks of all members of a seekable file, by offset in the original.

    length: of the original, in bytes. The last few blocks that were asked for stay decoded. Reading the index takes a few small
    reads for each member. A message in the short form has none: it is decoded at once, and is one block, for which is raised what
    `around` raises. Raises CorruptError, OSError.
    """

    def __init__(self, codec: Codec, file: BinaryIO, kept: int = KEPT) -> None:
        self._codec, self._file, self._most = codec, file, kept
        self._starts: list[int] = []
        self._entries: list[tuple[MemberEntry[BlockPlace], int]] = []
        self._decoded: OrderedDict[int, bytes] = OrderedDict()
        self.length = 0
        try:
            members = read_places(file)
        except CorruptError:
            if not is_message(file):
                raise
            self._starts, self._decoded[0] = [0], b"".join(codec.decoded(file))
            self.length = len(self._decoded[0])
            return
        for member in members:
            for number, block in enumerate(member.blocks):
                self._starts.append(self.length)
                self._entries.append((member, number))
                self.length += block.original_length

    def around(self, offset: int) -> tuple[int, bytes]:
        """Start and content of the block that holds byte `offset` of the original, 0 <= offset < length.

        Decodes at most that one block. Raises CorruptError, ModelError, ArithmeticMismatchError, OSError; IndexError for an
        offset outside.
        """
        if not 0 <= offset < self.length:
            raise IndexError(f"there is no byte {offset} in an original of {self.length}")
        number = bisect_right(self._starts, offset) - 1
        if number in self._decoded:
            self._decoded.move_to_end(number)
        else:
            member, index = self._entries[number]
            self._keep(number, self._codec.decode_indexed(self._file, member, index))
        return self._starts[number], self._decoded[number]

    def kept(self, offset: int) -> bool:
        """Whether the block around a byte of the original is decoded already."""
        return bisect_right(self._starts, offset) - 1 in self._decoded

    def put(self, start: int, data: bytes) -> None:
        """Keep a block that was decoded elsewhere."""
        number = bisect_right(self._starts, start) - 1
        if number >= 0 and self._starts[number] == start:
            self._keep(number, data)

    def _keep(self, number: int, data: bytes) -> None:
        self._decoded[number] = data
        self._decoded.move_to_end(number)
        while len(self._decoded) > self._most:
            self._decoded.popitem(last=False)
