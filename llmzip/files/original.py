"""The original of a compressed file as a raw stream: forwards block by block, elsewhere through the index."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from llmzip.codec.codec import Codec
from llmzip.container.streams import From
from llmzip.errors import LlmzipError
from llmzip.files.blocks import Blocks

if TYPE_CHECKING:
    from typing_extensions import Buffer


class OriginalStream(io.RawIOBase):
    """Reads what a compressed file stands for. The file is read from its present place on and stays the caller's to close.

    Who reads from the start to the end gets blocks decoded ahead where they need no network, and the digest of all verified.
    Who seeks gets the one block that holds the place: blocks have checks of their own. A file that cannot seek is read
    forwards only. Raises CorruptError (TruncatedError, also an EOFError, where the file is cut), ModelError,
    ArithmeticMismatchError, and OSError as the file does.
    """

    def __init__(self, file: BinaryIO, codec: Codec) -> None:
        self._can_seek = bool(file.seekable()) if hasattr(file, "seekable") else False
        start = file.tell() if self._can_seek else 0
        self._file = cast(BinaryIO, From(file, start)) if start else file
        self._codec = codec
        self._at = 0
        self._block, self._block_start = b"", 0
        self._forwards: Iterator[bytes] | None = codec.decoded(self._file)
        self._reached = 0  # the end of what came forwards
        self._ended: int | None = None  # the length of all, when it is known from reading forwards
        self._blocks: Blocks | None = None
        self._error: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        self._check()
        return self._can_seek

    def tell(self) -> int:
        self._check()
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        self._check()
        with memoryview(buffer).cast("B") as target:
            piece = self._piece()[: len(target)]
            target[: len(piece)] = piece
            self._at += len(piece)
            return len(piece)

    def readall(self) -> bytes:
        self._check()
        pieces = []
        while piece := self._piece():
            pieces.append(bytes(piece))
            self._at += len(piece)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to byte `offset` of the original; beyond its end, to the end, as gzip and lzma do. Nothing is decoded yet."""
        self._check()
        if not self._can_seek:
            raise io.UnsupportedOperation("the underlying file cannot seek: it can only be read forwards")
        if whence == io.SEEK_CUR:
            offset += self._at
        elif whence == io.SEEK_END:
            offset += self._length()
        elif whence != io.SEEK_SET:
            raise ValueError(f"whence can be 0, 1 or 2, not {whence}")
        if offset < 0:
            raise ValueError(f"there is no place {offset}")
        if offset > self._block_start + len(self._block):
            offset = min(offset, self._length())
        self._at = offset
        return offset

    def close(self) -> None:
        if not self.closed:
            self._stop()
            self._block, self._blocks = b"", None
        super().close()

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def _piece(self) -> memoryview:
        """What is at hand from the present place on; empty at the end."""
        if not self._block_start <= self._at < self._block_start + len(self._block):
            self._block_start, self._block = self._found()
        return memoryview(self._block)[self._at - self._block_start :]

    def _found(self) -> tuple[int, bytes]:
        """Start and content of the block at the present place, b"" at the end."""
        if self._error and self._at == self._reached:
            raise self._error
        fresh = self._forwards is not None and self._reached == 0
        if self._at == 0 and not fresh and self._can_seek and not (self._blocks and self._blocks.kept(0)):
            self._stop()
            self._file.seek(0)
            self._forwards, self._reached, self._error = self._codec.decoded(self._file), 0, None
        if self._forwards and self._at == self._reached:
            return self._next(self._forwards)
        if self._at == self._ended:
            return self._at, b""
        blocks = self._index()
        if self._at >= blocks.length:
            return self._at, b""
        if self._forwards:
            self._stop()
            if self._block:
                blocks.put(self._block_start, self._block)
        return blocks.around(self._at)

    def _next(self, forwards: Iterator[bytes]) -> tuple[int, bytes]:
        start = self._reached
        try:
            data = next(forwards, b"")
        except BaseException as error:
            self._stop()
            # Not to be taken for the end by who reads on.
            if isinstance(error, Exception):
                self._error = error
            elif not self._can_seek:
                self._error = LlmzipError("reading was interrupted before, and a pipe cannot be read again")
            raise
        if not data:
            self._stop()
            self._ended = start
        self._reached += len(data)
        return start, data

    def _stop(self) -> None:
        """Read forwards no more."""
        if isinstance(self._forwards, Generator):
            self._forwards.close()
        self._forwards = None

    def _length(self) -> int:
        """Bytes of the original."""
        return self._index().length if self._ended is None else self._ended

    def _index(self) -> Blocks:
        if self._blocks is None:
            place = self._file.tell()
            try:
                self._blocks = Blocks(self._codec, self._file)
            finally:
                self._file.seek(place)
        return self._blocks
