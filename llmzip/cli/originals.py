"""Files to be read as what they stand for: compressed ones decoded block by block, plain ones as they are."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from llmzip.cli.files import Input
from llmzip.cli.options import SUFFIX
from llmzip.container.format import MAGIC, is_short
from llmzip.container.streams import PIECE, read_full, read_piece
from llmzip.errors import LlmzipError

if TYPE_CHECKING:
    from llmzip.codec import Codec


class Original:
    """An open file, for a with statement. packed: whether it is a compressed one.

    plain: whether others are taken as they are; otherwise the codec says what is wrong with them. codec: is asked for one only
    if it is needed. Raises LlmzipError, OSError.
    """

    def __init__(self, path: str | None, codec: Callable[[], Codec], *, plain: bool) -> None:
        self.input = Input(path, follow=True)
        self._codec = codec
        try:
            if self.input.terminal and not plain:
                raise LlmzipError("compressed data is not read from a terminal: name a file or redirect the input")
            self._first = read_full(self.input.stream, len(MAGIC))
            self.packed = not plain or self._first == MAGIC or _may_be_message(self._first, path)
            if self.seekable:
                self.input.stream.seek(-len(self._first), io.SEEK_CUR)
                self._first = b""
        except BaseException:
            self.input.stream.close()
            raise

    @property
    def seekable(self) -> bool:
        """Whether `part` works."""
        return self.input.size is not None

    def pieces(self) -> Iterator[bytes]:
        """All of the original, piece by piece; the digest of all is verified with the last. Raises as `Codec.decoded`."""
        stream = self.input.stream if self.seekable else cast(BinaryIO, _Rest(self._first, self.input.stream))
        if self.packed:
            yield from self._codec().decoded(stream)
            return
        while piece := read_piece(stream, PIECE):
            yield piece

    def part(self, start: int, stop: int | None) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, None for the end; negative numbers count from the end, as in Python.

        Of a compressed file only the blocks that hold them are read. Raises LlmzipError where there is no such place.
        """
        if not self.seekable:
            raise LlmzipError("a part of it needs a file, not a pipe: there is no way back")
        blocks = _Plain(self.input.stream) if not self.packed else self._blocks()
        at, end = (_place(place, blocks.length) for place in (start, blocks.length if stop is None else stop))
        if at > blocks.length:
            raise LlmzipError(f"there are only {blocks.length} bytes: none at {start}")
        while at < min(end, blocks.length):
            begin, data = blocks.around(at)
            piece = data[at - begin : end - begin]
            at += len(piece)
            yield piece

    def _blocks(self) -> Any:
        from llmzip.files.blocks import Blocks

        return Blocks(self._codec(), self.input.stream)

    def __enter__(self) -> Original:
        return self

    def __exit__(self, *_: object) -> None:
        self.input.stream.close()


def _may_be_message(first: bytes, path: str | None) -> bool:
    """Whether it begins as a message in the short form and is named like a compressed file; other data may begin so, too."""
    return is_short(first) and path is not None and path.endswith(SUFFIX)


def _place(place: int, length: int) -> int:
    return max(0, place + length) if place < 0 else place


class _Plain:
    """A plain file in pieces, as `Blocks` has those of a compressed one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.length = stream.seek(0, io.SEEK_END)

    def around(self, place: int) -> tuple[int, bytes]:
        """Where a piece begins that holds this place, and the piece."""
        self._stream.seek(place)
        data = read_piece(self._stream, PIECE)
        if not data:
            raise LlmzipError("became shorter while it was read")
        return place, data


class _Rest(io.RawIOBase):
    """A pipe of which the first bytes have been read."""

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        self._first, self._stream = first, stream

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """As of the pipe."""
        first, self._first = self._first, b""
        if not first:
            return self._stream.read(size)
        self._first = first[size:] if size >= 0 else b""
        return first[:size] if size >= 0 else first + self._stream.read()
