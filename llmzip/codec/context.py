"""Shared knowledge: a text that both sides have, from which a new one is told apart in few bytes.

The mixer goes over a part of it before it codes a block, and the network reads its last tokens: an older version, a template, a
sample of the style. Files name it by its digest.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from llmzip.container.fields import Fields, encode_varint
from llmzip.container.format import CONTEXT_ID_SIZE
from llmzip.container.streams import PIECE, read_piece
from llmzip.errors import ContextError, CorruptError

# format: what of a long context can be used, and how much of it a block may have gone over.
MOST_KEPT = 64 << 20
"""Bytes at the end of a context that blocks can build on."""
MOST_PRIMED, _PRIMED_A_BYTE = 4 << 20, 2
"""Bytes of it that the mixer goes over for a block at most, and how many more each byte of the block allows."""

_PROBES, _PROBE = 64, 24  # how often a block is looked for in a context, and by how many bytes
_KNOWN = 0.125  # of the probes are found: then the block is much like the context
_NEAR_LINE = 1 << 12  # bytes within which a part begins at a line


@dataclass(frozen=True)
class Part:
    """What of a context a block builds on: all but `skip` bytes at its beginning and `rest` at its end.

    digits: its numbers are spelt digit by digit. back: tokens of the part behind those that the network reads.
    """

    skip: int = 0
    rest: int = 0
    digits: bool = False
    back: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing of the context is left out."""
        return not self.skip and not self.rest


@dataclass(frozen=True)
class Named:
    """What a header says of the context: its digest and its length in bytes."""

    identity: bytes
    length: int

    def pack(self) -> bytes:
        """The bytes of the header's extra."""
        return self.identity + encode_varint(self.length)

    @classmethod
    def unpack(cls, extra: bytes) -> Named:
        """From the extra of a header that was read."""
        fields = Fields(extra, "an impossible context in the header: the file is damaged")
        return cls(fields.take(CONTEXT_ID_SIZE), fields.varint("the context of the header"))

    def __str__(self) -> str:
        return f"{self.identity.hex()}, {self.length:,} bytes"


class Context:
    """A text that both sides have. named: what headers say of it; text: its last bytes, at most MOST_KEPT."""

    def __init__(self, named: Named, text: bytes) -> None:
        self.named, self.text = named, text

    @classmethod
    def read(cls, source: BinaryIO) -> Context:
        """All of a stream, in memory bounded by MOST_KEPT. Raises OSError as the stream does."""
        digest, length, kept = blake2b(digest_size=CONTEXT_ID_SIZE), 0, bytearray()
        while piece := read_piece(source, PIECE):
            digest.update(piece)
            length += len(piece)
            kept += piece
            if len(kept) >= 2 * MOST_KEPT:
                del kept[:-MOST_KEPT]
        return cls(Named(digest.digest(), length), bytes(kept[-MOST_KEPT:]))

    @classmethod
    def of(cls, given: bytes | str | os.PathLike[str] | Context) -> Context:
        """From a text or from the name of its file. Raises ContextError where it cannot be read."""
        if isinstance(given, Context):
            return given
        if isinstance(given, bytes | bytearray | memoryview):
            text = bytes(given)
            return cls(Named(blake2b(text, digest_size=CONTEXT_ID_SIZE).digest(), len(text)), text[-MOST_KEPT:])
        try:
            with open(given, "rb") as file:
                return cls.read(file)
        except OSError as error:
            raise ContextError(f"the context {Path(given)} cannot be read: {error.strerror or error}") from None

    def require(self, named: Named) -> None:
        """Raises ContextError unless this is the one that a header names."""
        if self.named != named:
            raise ContextError(
                f"made with another context ({named}; given is {self.named}): give that text with --context FILE"
            )

    def part(self, part: Part, block: int) -> bytes:
        """The bytes of a part for a block of so many bytes. Raises CorruptError for what no encoder writes."""
        length = len(self.text) - part.skip - part.rest
        if not 0 < length <= MOST_PRIMED + _PRIMED_A_BYTE * block:
            raise CorruptError("a block builds on an impossible part of the context: the file is damaged")
        return self.text[part.skip : part.skip + length]

    def choose(self, data: bytes, most: int) -> Part:
        """The part of at most `most` bytes that a block builds on: all of it, or where most of the block is found."""
        text = self.text
        if len(text) <= most:
            return Part()
        places = sorted(place for place in self._found(data) if place >= 0)
        if not places:
            return Part(skip=_line(text, len(text) - most))
        # The window over the found places that holds the most of them, with as much room before as behind.
        first = max(range(len(places)), key=lambda at: (bisect_left(places, places[at] + most) - at, at))
        last = places[bisect_left(places, places[first] + most) - 1] + _PROBE
        start = max(0, min(len(text) - most, (places[first] + last - most) // 2))
        begin = _line(text, start)
        return Part(begin, len(text) - min(len(text), start + most))

    def knows(self, data: bytes) -> bool:
        """Whether much of a block stands in it, whatever kind of data that is."""
        found = self._found(data)
        return sum(place >= 0 for place in found) > _KNOWN * len(found)

    def _found(self, data: bytes) -> list[int]:
        """Where some bytes of the block stand in the text, -1 where nowhere."""
        probes = min(_PROBES, max(1, len(data) // (2 * _PROBE)))
        starts = [(len(data) - _PROBE) * probe // probes for probe in range(probes)] if len(data) >= _PROBE else []
        return [self.text.find(data[start : start + _PROBE]) for start in starts]


def _line(text: bytes, at: int) -> int:
    """Where a part begins that was to begin at `at`: behind a line end if there is one nearby."""
    end = text.find(b"\n", max(0, at - 1), at + _NEAR_LINE)
    return at if end < 0 else end + 1
