"""The codec: byte streams in, byte streams out, with one model kept loaded."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from llmzip.codec import policy
from llmzip.codec.block import BlockCodec, Coding
from llmzip.codec.blocks import blocks
from llmzip.codec.evaluation import Session
from llmzip.codec.models import load_model
from llmzip.codec.quantiser import PORTABLE_TOLERANCE
from llmzip.container import (
    MAX_BLOCK,
    TAG_NAME,
    Block,
    BlockKind,
    Footer,
    Header,
    MemberWriter,
    classic,
    read_members,
    write_all,
)
from llmzip.errors import CorruptError, ModelError, UsageError
from llmzip.model import embedded
from llmzip.model.base import LanguageModel, Window

DEFAULT_BLOCK = 4 << 20
SMALLEST_BLOCK = 1 << 12

Progress = Callable[[int], None]
"""Told how many bytes of the original were newly done."""


@dataclass
class Summary:
    """What a run did. `characters` is the number of Unicode characters, None where the original is not all UTF-8."""

    original: int = 0
    compressed: int = 0
    characters: int | None = 0
    blocks: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def count_text(self, data: bytes) -> None:
        """Add one block of the original."""
        self.original += len(data)
        self.blocks += 1
        if self.characters is not None:
            try:
                self.characters += len(data.decode())
            except UnicodeDecodeError:
                self.characters = None


class Codec:
    """Compresses and decompresses; loads its model when it is first needed and keeps it.

    model: path of a GGUF file, None for the embedded model. threads: 0 = all usable cores; never changes the bytes that
    come back. mix: whether the adaptive mixer is used. streams: streams of a block, None = by its length.
    context: tokens of a window, None = the model's own. block_size: bytes of a block, 4 KiB to 64 MiB.

    Not safe for use by several threads at once. Raises UsageError for arguments outside their range.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int = 0,
        mix: bool = True,
        streams: int | None = None,
        context: int | None = None,
        exact: bool | None = None,
        block_size: int = DEFAULT_BLOCK,
    ) -> None:
        if not SMALLEST_BLOCK <= block_size <= MAX_BLOCK:
            raise UsageError(f"a block must hold {SMALLEST_BLOCK} to {MAX_BLOCK} bytes, not {block_size}")
        if streams is not None and not 1 <= streams <= policy.MAX_STREAMS:
            raise UsageError(f"there can be 1 to {policy.MAX_STREAMS} streams, not {streams}")
        if context is not None and not 16 <= context <= 1 << 20:
            raise UsageError(f"a window can hold 16 to {1 << 20} tokens, not {context}")
        if threads < 0:
            raise UsageError(f"the number of threads cannot be {threads}")
        if exact:
            raise UsageError("exact arithmetic is not implemented: files are portable")
        self._path, self._threads = model, threads
        self._mix, self._streams, self._context, self._block_size = mix, streams, context, block_size
        self._session: Session | None = None
        self._coders: dict[Coding, BlockCodec] = {}

    # -- the model --------------------------------------------------------------------------------------------------

    def _load(self) -> LanguageModel:
        return load_model(self._path, self._threads)

    @property
    def session(self) -> Session:
        """The loaded model."""
        if self._session is None:
            self._session = Session(self._load())
        return self._session

    def _identity_and_window(self) -> tuple[bytes, Window, str]:
        """What the header says of the model; the embedded one need not be loaded for that."""
        if self._path is None and self._session is None:
            identity, window, name = embedded.IDENTITY, embedded.WINDOW, ""
        else:
            model = self.session.model
            identity, window, name = model.identity, model.window, "" if self._path is None else model.name
        return identity, Window(self._context, window.parts) if self._context else window, name

    def _block_codec(self, coding: Coding) -> BlockCodec:
        if coding not in self._coders:
            self._coders = {coding: self._new_block_codec(coding)}
        return self._coders[coding]

    def _new_block_codec(self, coding: Coding) -> BlockCodec:
        return BlockCodec(self.session, coding)

    def close(self) -> None:
        """Free the model. The codec can be used again and loads it anew."""
        self._coders = {}
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Codec:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- compression ------------------------------------------------------------------------------------------------

    def compress(self, data: bytes) -> bytes:
        """A complete compressed file for these bytes."""
        sink = io.BytesIO()
        self.compress_stream(io.BytesIO(data), sink)
        return sink.getvalue()

    def compress_stream(self, source: BinaryIO, sink: BinaryIO, progress: Progress | None = None) -> Summary:
        """Compress all of source into sink as one member, block by block, in memory bounded by the block size.

        Raises ModelError, and OSError as source and sink do.
        """
        began, summary = time.monotonic(), Summary()
        identity, window, name = self._identity_and_window()
        coding = Coding(window, PORTABLE_TOLERANCE, self._mix)
        header = Header(
            mixing=self._mix,
            tolerance=coding.tolerance,
            context=window.context,
            parts=window.parts,
            model=identity,
            extras={TAG_NAME: name.encode()} if name else {},
        )
        writer = MemberWriter(sink, header)
        for data in blocks(source, self._block_size):
            report = _Share(progress, len(data))
            kind, payload, tokens = self._encode_block(data, coding, report)
            writer.write_block(kind, data, payload)
            report(1.0)
            summary.tokens += tokens
            summary.count_text(data)
        summary.compressed = writer.finish().compressed
        summary.seconds = time.monotonic() - began
        return summary

    def _encode_block(self, data: bytes, coding: Coding, report: Callable[[float], None]) -> tuple[BlockKind, bytes, int]:
        """Kind, payload and number of tokens of a block: the smallest of the model's and the classic codecs' work."""
        codec = self._block_codec(coding)
        by_zstd = len(classic.encode(BlockKind.ZSTD, data))
        if policy.unpromising(data, by_zstd, codec):
            return *classic.smallest(data), 0
        text, crlf = codec.tokens_of(data)
        streams = policy.streams_for(len(text.tokens), coding.window, self._streams)
        payload = codec.encode(text, crlf, streams, report)
        if policy.beyond_classic(by_zstd, len(payload)):
            return BlockKind.MODEL, payload, len(text.tokens)
        kind, best = classic.smallest(data)
        return (kind, best, 0) if len(best) < len(payload) else (BlockKind.MODEL, payload, len(text.tokens))

    # -- decompression ----------------------------------------------------------------------------------------------

    def decompress(self, data: bytes) -> bytes:
        """The original bytes of a compressed file. Raises CorruptError, ModelError."""
        sink = io.BytesIO()
        self.decompress_stream(io.BytesIO(data), sink)
        return sink.getvalue()

    def decompress_stream(self, source: BinaryIO, sink: BinaryIO, progress: Progress | None = None) -> Summary:
        """Decompress all members of source into sink. A block is written when its check has passed, never before.

        Raises CorruptError, ModelError, and OSError as source and sink do.
        """
        began, summary = time.monotonic(), Summary()
        header = Header()
        for event in read_members(source):
            if isinstance(event, Header):
                header = event
            elif isinstance(event, Block):
                report = _Share(progress, event.original_length)
                try:
                    data = self._decode_block(event, header, report)
                except CorruptError as error:
                    raise CorruptError(f"{event.where}: {error}") from None
                event.accept(data)
                write_all(sink, data)
                report(1.0)
                summary.count_text(data)
            elif isinstance(event, Footer):
                summary.compressed = event.end
        summary.seconds = time.monotonic() - began
        return summary

    def _decode_block(self, block: Block, header: Header, report: Callable[[float], None]) -> bytes:
        if block.kind is not BlockKind.MODEL:
            return classic.decode(block.kind, block.payload, block.original_length)
        if header.exact or header.continued:
            raise CorruptError("uses a feature that this llmzip cannot decode (exact arithmetic or continued mixing): update it")
        self._require(header)
        try:
            window = Window(header.context, header.parts)
        except ValueError:
            raise CorruptError(f"impossible window ({header.context} tokens in {header.parts} parts): the file is damaged") from None
        codec = self._block_codec(Coding(window, header.tolerance, header.mixing))
        return codec.decode(block.payload, block.original_length, report)

    def _require(self, header: Header) -> None:
        """Raises ModelError unless the model of this codec is the one that the header names."""
        identity, _, _ = self._identity_and_window()
        if identity != header.model:
            hint = f" ({header.name})" if header.name else ""
            have = "the embedded one" if self._path is None else f"{self._path}, which is {identity.hex()}"
            raise ModelError(f"made with the model {header.model.hex()}{hint}, not {have}; name its GGUF with --model")


class _Share:
    """Turns the share of a block that is done into newly done bytes."""

    def __init__(self, progress: Progress | None, length: int) -> None:
        self._progress, self._length, self._done = progress, length, 0

    def __call__(self, share: float) -> None:
        done = int(share * self._length)
        if self._progress and done > self._done:
            self._progress(done - self._done)
            self._done = done
