"""Numbers of variable length, and a cursor over bytes that are all there: fields of a header, a block's head, an extra."""

from __future__ import annotations

from collections.abc import Callable

from llmzip.errors import CorruptError

MAX_VARINT = 10
"""Longest varint, in bytes."""


def encode_varint(value: int) -> bytes:
    """Unsigned LEB128, 1 to 10 bytes. Raises `ValueError` outside 0 to 2^64 - 1."""
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} does not fit a varint")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(take: Callable[[int], bytes], place: str) -> int:
    """One varint, byte by byte from `take(1)`. Raises `CorruptError` if it is over-long or exceeds 64 bits."""
    value = 0
    for position in range(MAX_VARINT):
        byte = take(1)[0]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            # format: exactly one encoding per number, so that equal content means equal bytes.
            if (byte == 0 and position) or value >= 1 << 64:
                break
            return value
    raise CorruptError(f"malformed number in {place}: the file is damaged")


def encode_reversed(value: int) -> bytes:
    """A varint stored backwards, to be read from its end towards the front."""
    return encode_varint(value)[::-1]


class Fields:
    """Takes fields from the front of `data`. A field that runs over the end raises CorruptError with the text `over`."""

    def __init__(self, data: bytes, over: str) -> None:
        self._data, self._over = data, over
        self.taken = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, self.taken = self.taken, self.taken + count
        if self.taken > len(self._data):
            raise CorruptError(self._over)
        return self._data[start : self.taken]

    def varint(self, place: str) -> int:
        """A varint; `place` is for the message if it is malformed."""
        return read_varint(self.take, place)

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self._data) - self.taken

    def rest(self) -> bytes:
        """All that has not been taken."""
        return self.take(self.left)
