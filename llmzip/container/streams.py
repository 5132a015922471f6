"""Whole reads and whole writes on byte streams that may do less than they were asked."""

from __future__ import annotations

import io
import select
from typing import BinaryIO

from llmzip.container.fields import encode_varint, read_varint
from llmzip.container.format import Bytes
from llmzip.errors import LlmzipError, TruncatedError

PIECE = 1 << 20
"""Largest single read, in bytes: a declared size costs memory only as its bytes arrive."""


def write_all(sink: BinaryIO, data: Bytes) -> None:
    """Write every byte of `data`, also to a raw or non-blocking sink that takes it piece by piece.

    Raises `OSError` as the sink does.
    """
    view = memoryview(data).cast("B")
    while view:
        try:
            written = sink.write(view)
        except BlockingIOError as error:
            # A buffered writer over a non-blocking descriptor says here how much it took.
            written = error.characters_written
            if not written:
                select.select([], [sink], [])
        if written is None:
            select.select([], [sink], [])
            continue
        view = view[written:]


def read_piece(source: BinaryIO, count: int) -> bytes:
    """At most `count` bytes, at least one unless the source has ended.

    Raises `LlmzipError` when the source yields text, `OSError` as the source does.
    """
    while True:
        piece = source.read(count)
        if piece is None:
            # A raw non-blocking descriptor with nothing to read yet: not the end.
            select.select([source], [], [])
            continue
        if isinstance(piece, str):
            raise LlmzipError("the input yields text instead of bytes: open it in binary mode")
        return piece


def read_full(source: BinaryIO, count: int) -> bytes:
    """Exactly `count` bytes, or fewer when the source ends first; never more memory than what has arrived."""
    pieces = []
    while count:
        piece = read_piece(source, min(count, PIECE))
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Returned:
    """A byte source whose first bytes were read already and are to be read once more."""

    def __init__(self, first: bytes, source: BinaryIO) -> None:
        self._first, self._source = first, source

    def read(self, count: int) -> bytes:
        """At most `count` bytes."""
        if self._first:
            taken, self._first = self._first[:count], self._first[count:]
            return taken
        return self._source.read(count)

    def fileno(self) -> int:
        """The descriptor of the source."""
        return self._source.fileno()


class From(io.RawIOBase):
    """A seekable file from a place on, as if it began there."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self._start = file, start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes | None:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset + (self._start if whence == io.SEEK_SET else 0), whence) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start


class Cursor:
    """A byte source that knows its offset and turns a premature end into `CorruptError`.

    `place` names what is being read, for the message.
    """

    def __init__(self, source: BinaryIO, offset: int = 0, place: str = "the file") -> None:
        self._source = source
        self.offset = offset
        self.place = place
        self.last = -1  # the last byte taken

    def take_some(self, count: int) -> bytes:
        """Up to `count` bytes: fewer only where the source ends."""
        data = read_full(self._source, count)
        self.offset += len(data)
        self.last = data[-1] if data else self.last
        return data

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes; `CorruptError` when the source ends first."""
        data = self.take_some(count)
        if len(data) < count:
            raise self.truncated(count - len(data))
        return data

    def skip(self, count: int) -> None:
        """Pass over `count` bytes in bounded memory; `CorruptError` when the source ends first."""
        while count:
            count -= len(self.take(min(count, PIECE)))

    def varint(self) -> int:
        """One varint; `CorruptError` when it is over-long or cut."""
        return read_varint(self.take, self.place)

    def recorded_varint(self, record: bytearray) -> int:
        """One varint, its bytes appended to `record` (the encoding is unique, so they need not be kept)."""
        value = self.varint()
        record += encode_varint(value)
        return value

    def truncated(self, missing: int = 1) -> TruncatedError:
        """The error for an input that ends inside `place`, where at least `missing` bytes ought to follow."""
        return TruncatedError(
            f"the input ends at byte {self.offset}, inside {self.place}: it is truncated; get the whole file again",
            missing,
        )
