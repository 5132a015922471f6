"""The codec: byte streams in, byte streams out, with one model kept loaded."""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from llmzip.codec import policy
from llmzip.codec.ahead import Ahead, workers
from llmzip.codec.choice import ModelChoice
from llmzip.codec.cutting import Cutter
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session
from llmzip.codec.head import BlockHead
from llmzip.codec.observer import SILENT, Observer
from llmzip.codec.pipeline import BlockPipeline, ShareDone, silent
from llmzip.codec.settings import Settings
from llmzip.container import (
    Block,
    BlockKind,
    Footer,
    Header,
    MemberEntry,
    MemberWriter,
    classic,
    read_indexed_block,
    read_members,
    write_all,
)
from llmzip.container.streams import PIECE, read_piece
from llmzip.errors import ArithmeticMismatchError, CorruptError
from llmzip.model.base import LanguageModel
from llmzip.text.tokens import TokenText

_ENCODING = 0.3  # about the share of encoding in the time of encoding and decoding
_UNVERIFIED = -1  # tokens of a block that the model coded and did not restore
_TABLE_SHARE = 0.1  # about the share of the table in the time of table and network

BytesDone = Callable[[int], None]
"""Told how many bytes of the original were newly done."""


@dataclass
class Summary:
    """What a run did. `characters` is the number of Unicode characters, None where the original is not all UTF-8.

    unverified: blocks that the model coded but did not restore when they were verified, and that were stored otherwise.
    repaired: blocks in which drift beyond the tolerance had to be put right.
    """

    original: int = 0
    compressed: int = 0
    characters: int | None = 0
    blocks: int = 0
    tokens: int = 0
    unverified: int = 0
    repaired: int = 0
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

    model and options are those of `Settings`, or `settings` holds them all.

    Not safe for use by several threads at once. Raises UsageError for settings outside their limits.
    """

    def __init__(
        self,
        model: str | Path | LanguageModel | None = None,
        *,
        settings: Settings | None = None,
        **options: Any,
    ) -> None:
        if settings is None:
            settings = Settings(model, **options)
        elif options or model is not None:
            settings = replace(settings, **options | ({} if model is None else {"model": model}))
        self.settings = settings
        self.choice = ModelChoice(settings)

    @property
    def session(self) -> Session:
        """The loaded model: the one that the last file needed, at first the one that the user named."""
        return self.choice.session

    def close(self) -> None:
        """Free the model. The codec can be used again and loads it anew."""
        self.choice.close()

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

    def compress_stream(
        self, source: BinaryIO, sink: BinaryIO, progress: BytesDone | None = None, observer: Observer = SILENT
    ) -> Summary:
        """Compress all of source into sink as one member, block by block, in memory bounded by the block size.

        Raises ModelError, and OSError as source and sink do.
        """
        at_once = workers(self.settings.threads, source)
        compressor = MemberCompressor(self.settings, self.choice, sink, progress, observer, at_once)
        try:
            while piece := read_piece(source, min(PIECE, self.settings.block_bytes)):
                compressor.feed(piece)
            return compressor.finish()
        finally:
            compressor.close()

    def compressor(
        self, sink: BinaryIO, progress: BytesDone | None = None, observer: Observer = SILENT
    ) -> MemberCompressor:
        """Writes a member into sink from data as it comes; the header goes out at once. Raises ModelError, OSError."""
        return MemberCompressor(self.settings, self.choice, sink, progress, observer)

    # -- decompression ----------------------------------------------------------------------------------------------

    def decompress(self, data: bytes) -> bytes:
        """The original bytes of a compressed file. Raises CorruptError, ModelError, ArithmeticMismatchError."""
        return b"".join(self.decoded(io.BytesIO(data)))

    def decompress_stream(self, source: BinaryIO, sink: BinaryIO, progress: BytesDone | None = None) -> Summary:
        """Decompress all members of source into sink. A block is written when its check has passed, never before.

        An exact file's arithmetic is checked before its first byte; in portable files drift beyond the tolerance is put
        right where it can be (`repair`). Raises CorruptError, ModelError, ArithmeticMismatchError, and OSError as source
        and sink do.
        """
        summary = Summary()
        for data in self.decoded(source, progress, summary):
            write_all(sink, data)
        return summary

    def decoded(
        self, source: BinaryIO, progress: BytesDone | None = None, summary: Summary | None = None
    ) -> Iterator[bytes]:
        """The blocks of all members of source, each when its check has passed; raises as `decompress_stream`.

        summary: is filled on the way.
        """
        began, summary = time.monotonic(), summary or Summary()
        header = Header()
        ahead: Ahead[tuple[bytes, bool]] = Ahead(workers(self.settings.threads, source))
        begun: deque[tuple[Block, _Reporter]] = deque()
        ready: deque[bytes] = deque()

        def take() -> None:
            block, report = begun.popleft()
            data, repaired = ahead.take()
            members.accept(block, data)
            summary.repaired += repaired
            summary.count_text(data)
            ready.append(data)
            report(1.0)

        def settle() -> None:
            while begun:
                take()

        members = read_members(source, settle=settle)
        try:
            for event in members:
                if isinstance(event, Header):
                    header = event
                elif isinstance(event, Block):
                    alone = self._needs_no_network(header, event)
                    if not alone:
                        settle()
                    begun.append((event, _Reporter(progress, event.original_length)))
                    ahead.put(partial(self.decode_block, header, event), begun[-1][1], here=not alone)
                    while begun and (ahead.full or not alone):
                        take()
                elif isinstance(event, Footer):
                    summary.compressed = event.end
                while ready:
                    yield ready.popleft()
                summary.seconds = time.monotonic() - began
        except Exception:
            yield from ready  # what was before the damage is whole
            raise
        finally:
            ahead.close()

    def _needs_no_network(self, header: Header, block: Block) -> bool:
        """Whether another thread can decode a block: nothing has to be loaded or kept for it."""
        if header.exact:  # whose arithmetic is proven with the model
            return False
        return block.kind is not BlockKind.MODEL or BlockHead.leaves_network_out(block.payload)

    def decode_block(self, header: Header, block: Block, progress: ShareDone | None = None) -> tuple[bytes, bool]:
        """The original of one block of a member, and whether drift had to be put right (`repair`).

        Nothing is returned that the block's check was not made from. Raises CorruptError, ModelError,
        ArithmeticMismatchError, naming the block.
        """
        try:
            if block.kind is not BlockKind.MODEL:
                if header.exact:
                    self.choice.for_reading(header)  # refused before the first byte, whatever block it is in
                data = classic.decode(block.kind, block.payload, block.original_length)
            elif header.continued:
                raise CorruptError("uses a feature that this llmzip cannot decode (continued mixing): update it")
            else:
                network = BlockHead.unpack(block.payload, block.original_length)[0].network
                coding = self.choice.for_reading(header, network or header.exact)
                pipeline = self.choice.pipeline(coding if network else coding.alone)
        except CorruptError as error:
            raise CorruptError(f"{block.where}: {error}") from None
        if block.kind is not BlockKind.MODEL:
            block.verify(data)
            return data, False
        try:
            with self.choice.unless_replaced():
                return decode_block(pipeline, block.payload, block.original_length, block.fits, progress or silent)
        except (CorruptError, ArithmeticMismatchError) as error:
            raise type(error)(f"{block.where}: {error}") from None

    def decode_indexed(self, file: BinaryIO, member: MemberEntry, number: int) -> bytes:
        """The original of block `number` (from 0) of a member of a seekable file; `member` is from `read_index`.

        No other block is read. Raises as `decode_block`, and OSError as the file does.
        """
        return self.decode_block(member.header, read_indexed_block(file, member, number))[0]


class MemberCompressor:
    """Compresses data as it comes into one member: `feed` any number of times, then `finish`; `close` in any case.

    at_once: blocks to work on at the same time, where they need no network; each is then written later.
    """

    def __init__(
        self,
        settings: Settings,
        choice: ModelChoice,
        sink: BinaryIO,
        progress: BytesDone | None,
        observer: Observer,
        at_once: int = 1,
    ) -> None:
        self._began, self._summary = time.monotonic(), Summary()
        self._begun: deque[tuple[bytes, _Reporter]] = deque()
        self._settings, self._choice, self._progress, self._observer = settings, choice, progress, observer
        agreement = choice.for_writing()
        self._coding = agreement.coding
        self._cutter = Cutter(settings.block_bytes)
        # The network is one, and has threads of its own.
        alone = self._coding.window is None and observer is SILENT
        self._ahead: Ahead[tuple[BlockKind, bytes, int]] = Ahead(at_once if alone else 1)
        if alone:
            choice.pipeline(self._coding)  # made here, before the threads share it
        self._writer = MemberWriter(sink, agreement.header())

    def feed(self, data: bytes) -> None:
        """Take more of the original; whole blocks are coded and written. Raises ModelError, OSError."""
        for block in self._cutter.feed(data):
            self._begin(block)

    def finish(self) -> Summary:
        """Code what is left and write the footer; the sink stays open."""
        for block in self._cutter.finish():
            self._begin(block)
        while self._begun:
            self._write()
        self._ahead.close()
        self._summary.compressed = self._writer.finish().compressed
        self._summary.seconds = time.monotonic() - self._began
        return self._summary

    def close(self) -> None:
        """Give up what was not written; for a compressor that is not finished."""
        self._ahead.close()

    def _begin(self, data: bytes) -> None:
        """Code a block, perhaps in another thread, and write what has to be waited for."""
        report = _Reporter(self._progress, len(data))
        self._observer.begins(data, self._network)
        self._begun.append((data, report))
        self._ahead.put(partial(self._coded, data), report)
        while self._ahead.full:
            self._write()

    def _coded(self, data: bytes, report: ShareDone) -> tuple[BlockKind, bytes, int]:
        """What is stored of a block: kind, payload and number of tokens; verified, where that is wanted."""
        encoding = _portion(report, 0, _ENCODING) if self._settings.verify else report
        kind, payload, tokens = self._encode(data, encoding)
        if self._settings.verify and kind is BlockKind.MODEL and not self._restores(payload, data, report):
            kind, payload = classic.smallest(data)
            return kind, payload, _UNVERIFIED
        return kind, payload, tokens

    def _write(self) -> None:
        data, report = self._begun.popleft()
        kind, payload, tokens = self._ahead.take()
        if tokens == _UNVERIFIED:
            tokens, self._summary.unverified = 0, self._summary.unverified + 1
        self._observer.stored(kind, payload)
        self._writer.write_block(kind, data, payload)
        report(1.0)
        self._summary.tokens += tokens
        self._summary.count_text(data)

    def _network(self) -> BlockPipeline:
        """The pipeline with everything that the member may use; loads the model."""
        return self._choice.pipeline(self._coding)

    def _encode(self, data: bytes, report: ShareDone) -> tuple[BlockKind, bytes, int]:
        """Kind, payload and number of tokens of a block: the smallest of the model's and the classic codecs' work."""
        by_zstd = classic.quick_length(data)
        alone = self._choice.pipeline(self._coding.alone) if self._coding.table else None
        first = alone or self._network()
        if policy.unpromising(data, by_zstd, first):
            return *classic.smallest(data), 0
        text, crlf = first.tokens_of(data)
        payload = self._by_table(text, crlf, alone, report) if alone else b""
        if self._coding.window and (not alone or self._network_pays(text, 8 * len(payload) / len(data), alone)):
            # The network knows numbers as its tokenizer cuts them.
            text, crlf = self._network().tokens_of(data)
            by_network = self._by_network(text, crlf, report)
            if not payload or len(by_network) < len(payload):
                payload = by_network
        if policy.beyond_classic(by_zstd, len(payload)):
            return BlockKind.MODEL, payload, len(text.tokens)
        kind, best = classic.smallest(data)
        return (kind, best, 0) if len(best) < len(payload) else (BlockKind.MODEL, payload, len(text.tokens))

    def _by_table(self, text: TokenText, crlf: bool, alone: BlockPipeline, report: ShareDone) -> bytes:
        """The payload without the network: one stream, since nothing is gained by more."""
        share = _portion(report, 0, _TABLE_SHARE) if self._coding.window else report
        return alone.encode(text, crlf, 1, progress=share)

    def _network_pays(self, text: TokenText, bits: float, alone: BlockPipeline) -> bool:
        return self._settings.thorough or policy.network_pays(text, bits, alone, self._network)

    def _by_network(self, text: TokenText, crlf: bool, report: ShareDone) -> bytes:
        """The payload with the network."""
        pipeline, settings = self._network(), self._settings
        stream_bytes = pipeline.session.model.stream_bytes(pipeline.window.context)
        wanted = settings.streams or (1 if settings.thorough else None)
        streams = policy.streams_for(len(text.tokens), pipeline.window, wanted, stream_bytes)
        share = _portion(report, _TABLE_SHARE, 1) if self._coding.table else report
        return pipeline.encode(text, crlf, streams, observer=self._observer, progress=share)

    def _restores(self, payload: bytes, data: bytes, report: ShareDone) -> bool:
        """Whether a model block decodes to its data here as it is: drift beyond the tolerance would show."""
        alone = BlockHead.leaves_network_out(payload)
        pipeline = self._choice.pipeline(self._coding.alone if alone else self._coding)
        try:
            decode_block(pipeline, payload, len(data), data.__eq__, _portion(report, _ENCODING, 1), repairing=False)
        except CorruptError:
            return False
        return True


def _portion(report: ShareDone, start: float, stop: float) -> ShareDone:
    """Tells the shares of a part that goes from `start` to `stop` of the whole."""
    return lambda share: report(start + share * (stop - start))


class _Reporter:
    """Turns the share of a block that is done into newly done bytes."""

    def __init__(self, progress: BytesDone | None, length: int) -> None:
        self._progress, self._length, self._done = progress, length, 0

    def __call__(self, share: float) -> None:
        done = int(share * self._length)
        if self._progress and done > self._done:
            self._progress(done - self._done)
            self._done = done
