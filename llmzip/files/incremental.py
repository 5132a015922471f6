"""Compression and decompression of data that comes piece by piece, in the shape of `lzma.LZMACompressor` and `LZMADecompressor`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmzip.codec.codec import Codec
from llmzip.container import Block, Header
from llmzip.container.pushed import PushedMember
from llmzip.files.shared import shared_codec
from llmzip.model.base import LanguageModel

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from llmzip.codec.compressing import MemberCompressor
    from llmzip.codec.short import ShortCompressor

    Model = str | Path | LanguageModel | None


def codec_of(model: Model, codec: Codec | None, options: dict[str, Any]) -> Codec:
    """The codec that was given, or one of the process for model and options. Raises UsageError; TypeError for both."""
    if codec is None:
        return shared_codec(model=model, **options)
    if options or model is not None:
        raise TypeError("a codec has its model and options: give either codec or these")
    return codec


class Compressor:
    """Makes one compressed file of data that comes piece by piece. For one thread at a time.

    model and options as for `Settings`, or `codec`. ahead: several blocks may be in work at once, where they need no network, and
    come later than they could. The model is found at once. Raises ModelError, UsageError.

        >>> compressor = Compressor(level=1)
        >>> packed = compressor.compress(b"a dark ") + compressor.compress(b"night") + compressor.flush()
        >>> Decompressor().decompress(packed)
        b'a dark night'
    """

    def __init__(self, model: Model = None, *, codec: Codec | None = None, ahead: bool = False, **options: Any) -> None:
        self._sink = io.BytesIO()
        made = codec_of(model, codec, options).compressor(self._sink, ahead=ahead)
        self._member: MemberCompressor | ShortCompressor | None = made

    def compress(self, data: Buffer) -> bytes:
        """Take more of the original; what is ready of the compressed file, often nothing: blocks are coded when they are full.

        Raises ValueError after `flush` or an error, TypeError for what is no buffer, ModelError.
        """
        member = self._unfinished()
        view = memoryview(data).cast("B")
        try:
            member.feed(view)
        except BaseException:
            self.close()
            raise
        return self._ready()

    def flush(self) -> bytes:
        """Code what is left; the end of the compressed file. Nothing can be compressed afterwards. Raises as `compress`."""
        member = self._unfinished()
        try:
            member.finish()
        finally:
            self.close()
        return self._ready()

    def close(self) -> None:
        """Give up a file that is not finished."""
        if self._member:
            self._member.close()
        self._member = None

    def _unfinished(self) -> MemberCompressor | ShortCompressor:
        if self._member is None:
            raise ValueError("the compressor was flushed, or failed: make a new one")
        return self._member

    def _ready(self) -> bytes:
        data = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return data


class Decompressor:
    """Decompresses one compressed file (one member) that comes piece by piece. For one thread at a time.

    model and options as for `Settings`, or `codec`. Files made of several members take a new decompressor for each, as with lzma
    and bz2: it begins with the `unused_data` of the one before.

        >>> decompressor = Decompressor()
        >>> decompressor.decompress(Compressor(level=1).flush() + b"behind")
        b''
        >>> decompressor.eof, decompressor.unused_data
        (True, b'behind')
    """

    def __init__(self, model: Model = None, *, codec: Codec | None = None, **options: Any) -> None:
        self._codec = codec_of(model, codec, options)
        self._member = PushedMember()
        self._header = Header()
        self._block, self._given = b"", 0
        self._error: Exception | None = None

    @property
    def eof(self) -> bool:
        """Whether the end was reached: all is given out and verified."""
        return self._member.ended and not self._pending

    @property
    def unused_data(self) -> bytes:
        """What came behind the end of the member; b"" before that is reached."""
        return self._member.rest if self.eof else b""

    @property
    def needs_input(self) -> bool:
        """Whether more of the compressed file has to come before more of the original can be given out."""
        return not self._pending and not self.eof and self._member.starved

    def decompress(self, data: Buffer, max_length: int = -1) -> bytes:
        """Take more of the compressed file; what is ready of the original, at most max_length bytes unless that is negative.

        What max_length keeps back comes with the next call, which may have no data. Whole blocks are decoded, each when its check
        can be verified. Raises EOFError behind the end, CorruptError, ModelError, ArithmeticMismatchError (again in every later
        call), TypeError for what is no buffer.
        """
        view = memoryview(data).cast("B")
        if self._error:
            raise self._error
        if self.eof:
            raise EOFError("the end of the compressed data was reached already")
        self._member.feed(view)
        pieces, given = [], 0
        while given != max_length and (self._pending or self._advance()):
            end = len(self._block) if max_length < 0 else self._given + max_length - given
            piece = self._block[self._given : end]
            pieces.append(piece)
            self._given += len(piece)
            given += len(piece)
        return b"".join(pieces)

    @property
    def _pending(self) -> bool:
        return self._given < len(self._block)

    def _advance(self) -> bool:
        """Decode the next block; False where more has to come, or nothing comes any more."""
        try:
            while event := self._member.take():
                if isinstance(event, Header):
                    self._header = event
                elif isinstance(event, Block):
                    data, _ = self._codec.decode_block(self._header, event)
                    self._member.accept(event, data)
                    self._block, self._given = data, 0
                    return True
        except Exception as error:
            self._error = error
            raise
        return False
