"""The codec: byte streams in, byte streams out, with one model kept loaded."""

from __future__ import annotations

import contextlib
import io
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from llmzip.codec.agreement import require_known
from llmzip.codec.ahead import Ahead, always, at_once, workers
from llmzip.codec.blockcoder import BlockCoder
from llmzip.codec.choice import ModelChoice
from llmzip.codec.compressing import MemberCompressor
from llmzip.codec.head import BlockHead
from llmzip.codec.observer import SILENT, Observer
from llmzip.codec.pipeline import BlockPipeline, ShareDone, silent
from llmzip.codec.settings import Settings
from llmzip.codec.summary import BytesDone, Reporter, Summary
from llmzip.container.format import BlockKind, Header, is_short
from llmzip.container.streams import PIECE, Returned, read_full, read_piece, write_all
from llmzip.errors import ArithmeticMismatchError, CorruptError, LlmzipError
from llmzip.model.base import LanguageModel

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from llmzip.codec.evaluation import Session
    from llmzip.codec.short import ShortCompressor
    from llmzip.container import Block, BlockPlace, MemberEntry


class Codec:
    """Compresses and decompresses; loads its model when it is first needed and keeps it.

    model and options are those of `Settings`, or `settings` holds them all. sharing: a codec of the same model, threads,
    gpu_layers and exact, whose loaded model this one uses too.

    Several threads may use one codec at once: blocks that need the network wait for each other, others do not. What
    `compressor` and `decoded` return is for one thread at a time. Raises UsageError for settings outside their limits.
    """

    def __init__(
        self,
        model: str | Path | LanguageModel | None = None,
        *,
        settings: Settings | None = None,
        sharing: Codec | None = None,
        **options: Any,
    ) -> None:
        if settings is None:
            settings = Settings(model, **options)
        elif options or model is not None:
            settings = replace(settings, **options | ({} if model is None else {"model": model}))
        self.settings = settings
        self.choice: ModelChoice = ModelChoice(settings, sharing.choice.place if sharing else None)

    @property
    def session(self) -> Session:
        """The loaded model: the one that the last file needed, at first the one that the user named."""
        with self.choice.lock:
            return self.choice.session

    def close(self) -> None:
        """Free the model, when no other thread codes a block with it. The codec can be used again and loads it anew."""
        with self.choice.lock:
            self.choice.close()

    def __enter__(self) -> Codec:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- compression ------------------------------------------------------------------------------------------------

    def compress(self, data: Buffer) -> bytes:
        """A complete compressed file for the bytes of any buffer. Raises ModelError; TypeError for what is no buffer."""
        sink = io.BytesIO()
        self.compress_stream(io.BytesIO(memoryview(data)), sink)
        return sink.getvalue()

    def compress_stream(
        self, source: BinaryIO, sink: BinaryIO, progress: BytesDone | None = None, observer: Observer = SILENT
    ) -> Summary:
        """Compress all of source into sink as one member, block by block, in memory bounded by the block size.

        Raises ModelError, and OSError as source and sink do.
        """
        compressor = self._member(sink, progress, observer, self._at_once(source))
        try:
            while piece := read_piece(source, min(PIECE, self.settings.block_bytes)):
                compressor.feed(piece)
            return compressor.finish()
        finally:
            compressor.close()

    def compressor(
        self,
        sink: BinaryIO,
        progress: BytesDone | None = None,
        observer: Observer = SILENT,
        *,
        ahead: bool = False,
    ) -> MemberCompressor | ShortCompressor:
        """Writes a member into sink from data as it comes; the header goes out with the first block.

        ahead: several blocks may be in work at once, and be written later than they could. Raises ModelError, OSError.
        """
        most = at_once(self.settings.threads) if ahead else 1
        return self._member(sink, progress, observer, most)

    def _member(
        self, sink: BinaryIO, progress: BytesDone | None, observer: Observer, most: int
    ) -> MemberCompressor | ShortCompressor:
        if self.settings.short:
            from llmzip.codec.short import ShortCompressor

            return ShortCompressor(self.settings, self.choice, sink, progress)
        return MemberCompressor(self.settings, self.choice, sink, progress, observer, most)

    def _at_once(self, source: BinaryIO) -> int:
        """Blocks to work on at the same time, where several can have what they need."""
        return workers(self.settings.threads, source)

    def block_coder(self) -> BlockCoder:
        """Codes single blocks of a member; `member_header` begins it. Raises ModelError."""
        with self.choice.lock:
            return BlockCoder(self.settings, self.choice, self.choice.for_writing())

    def member_header(self) -> Header:
        """The header of new members. Raises ModelError."""
        with self.choice.lock:
            return self.choice.for_writing().header()

    def compress_many(self, texts: Sequence[Buffer]) -> list[bytes]:
        """A message in the short form for each of these texts, of at most 1 MiB each; `decompress` opens any one of them.

        The network evaluates many at once: much faster than one by one. Raises ModelError, UsageError.
        """
        from llmzip.codec import many

        return many.compress([bytes(text) for text in texts], self.settings, self.choice)

    def decompress_many(self, messages: Sequence[Buffer]) -> list[bytes]:
        """The texts of messages in the short form. Raises CorruptError naming the first damaged one; ModelError, ContextError."""
        from llmzip.codec import many

        return many.decompress([bytes(message) for message in messages], self.choice)

    # -- decompression ----------------------------------------------------------------------------------------------

    def decompress(self, data: Buffer) -> bytes:
        """The original bytes of a compressed file. Raises CorruptError, ModelError, ArithmeticMismatchError; TypeError for what
        is no buffer."""
        return b"".join(self.decoded(io.BytesIO(memoryview(data))))

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
        header, promised, most = Header(), 0, self.settings.max_size
        ahead: Ahead[tuple[bytes, bool]] = Ahead(1 if self.settings.memory_limit else self._at_once(source))
        begun: deque[tuple[Block, Reporter]] = deque()
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

        first = read_piece(source, 1)
        if is_short(first):
            yield self._decoded_short(first, source, progress, summary)
            summary.seconds = time.monotonic() - began
            return
        from llmzip.container.reader import Block, Footer, read_members

        members = read_members(cast(BinaryIO, Returned(first, source)), settle=settle)
        try:
            for event in members:
                if isinstance(event, Header):
                    header = event
                elif isinstance(event, Block):
                    shared = self._for_threads(header, event)
                    promised += event.original_length
                    if not shared or (most is not None and promised > most):
                        settle()
                    if most is not None and promised > most:
                        raise LlmzipError(
                            f"{event.where}: the original is larger than the {most} bytes that --max-size allows; no more is decoded"
                        )
                    begun.append((event, Reporter(progress, event.original_length)))
                    job = partial(self.decode_block, header, event, alone=ahead.alone)
                    ahead.put(job, begun[-1][1], here=not shared)
                    while begun and (ahead.full or not shared):
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

    def _decoded_short(self, first: bytes, source: BinaryIO, progress: BytesDone | None, summary: Summary) -> bytes:
        """The original of a source that holds a message in the short form."""
        from llmzip.codec import short

        stored = first + read_full(source, short.MAX_STORED)
        if len(stored) > short.MAX_STORED:
            raise CorruptError("is longer than any message in the short form: damaged, or something was appended")
        data, most = short.decode(stored, self.choice, self.settings.memory_limit), self.settings.max_size
        if most is not None and len(data) > most:
            raise LlmzipError(f"the original has {len(data)} bytes, more than the {most} that --max-size allows")
        summary.count_text(data)
        summary.compressed = len(stored)
        if progress:
            progress(len(data))
        return data

    def _for_threads(self, header: Header, block: Block) -> bool:
        """Whether several threads can decode blocks like this one at once."""
        if header.exact:  # whose arithmetic is proven with the model
            return False
        return self._needs_no_network(block) or self.choice.shares(header.model)

    def _needs_no_network(self, block: Block) -> bool:
        return block.kind is not BlockKind.MODEL or BlockHead.leaves_network_out(block.payload)

    def decode_block(
        self, header: Header, block: Block, progress: ShareDone | None = None, alone: Callable[[], bool] = always
    ) -> tuple[bytes, bool]:
        """The original of one block of a member, and whether drift had to be put right (`repair`).

        alone: whether no other block is in work, so that this one may use all cores. Nothing is returned that the block's check was
        not made from. Raises CorruptError, ModelError, ArithmeticMismatchError, naming the block.
        """
        from llmzip.codec.decoding import decode_block
        from llmzip.container import classic

        limit = self.settings.memory_limit
        with contextlib.ExitStack() as stack:
            try:
                pipeline = self._pipeline_for(header, block, alone, stack)
                if limit:
                    from llmzip.codec import resources

                    resources.require(limit, resources.needed(block, pipeline), block.where)
                if pipeline is None:
                    data = classic.decode(block.kind, block.payload, block.original_length)
            except CorruptError as error:
                raise CorruptError(f"{block.where}: {error}") from None
            if pipeline is None:
                block.verify(data)
                return data, False
            try:
                with self.choice.unless_replaced():
                    return decode_block(
                        pipeline,
                        block.payload,
                        block.original_length,
                        block.fits,
                        progress or silent,
                        patience=self.settings.patience,
                    )
            except (CorruptError, ArithmeticMismatchError) as error:
                raise type(error)(f"{block.where}: {error}") from None

    def _pipeline_for(
        self, header: Header, block: Block, alone: Callable[[], bool], stack: contextlib.ExitStack
    ) -> BlockPipeline | None:
        """What decodes a block, to be had until `stack` is closed; None for a classic codec."""
        if block.kind is not BlockKind.MODEL:
            if header.exact:  # refused before the first byte, whatever block it is in
                with self.choice.lock:
                    self.choice.for_reading(header)
            return None
        require_known(header)
        network = BlockHead.unpack(block.payload, block.original_length)[0].network

        def ask() -> BlockPipeline:
            coding = self.choice.for_reading(header, network or header.exact)
            return self.choice.pipeline(coding if network else coding.alone)

        return (
            stack.enter_context(self.choice.lent(ask, alone, block.original_length))
            if network or header.exact
            else ask()
        )

    def decode_indexed(self, file: BinaryIO, member: MemberEntry[BlockPlace], number: int) -> bytes:
        """The original of block `number` (from 0) of a member of a seekable file; `member` is from `read_index` or `read_places`.

        No other block is read. Raises as `decode_block`, and OSError as the file does.
        """
        from llmzip.container.index import read_indexed_block

        return self.decode_block(member.header, read_indexed_block(file, member, number))[0]
