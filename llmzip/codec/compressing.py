"""Data as it comes to one member: blocks are cut, coded by whatever makes them smallest, and written in their order."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import BinaryIO

from llmzip.codec import policy
from llmzip.codec.ahead import Ahead
from llmzip.codec.choice import ModelChoice
from llmzip.codec.cutting import Cutter
from llmzip.codec.decoding import decode_block
from llmzip.codec.head import MAX_LITERALS, BlockHead
from llmzip.codec.observer import SILENT, Observer
from llmzip.codec.pipeline import BlockPipeline, ShareDone
from llmzip.codec.settings import Settings
from llmzip.codec.summary import BytesDone, Reporter, Summary, portion
from llmzip.container import MAX_BLOCK, BlockKind, MemberWriter, classic
from llmzip.errors import CorruptError
from llmzip.text.tokens import TokenText

_ENCODING = 0.3  # about the share of encoding in the time of encoding and decoding
_UNVERIFIED = -1  # tokens of a block that the model coded and did not restore
_TABLE_SHARE = 0.1  # about the share of the table in the time of table and network


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
        self._begun: deque[tuple[bytes, Reporter]] = deque()
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
        report = Reporter(self._progress, len(data))
        self._observer.begins(data, self._network)
        self._begun.append((data, report))
        self._ahead.put(partial(self._coded, data), report)
        while self._ahead.full:
            self._write()

    def _coded(self, data: bytes, report: ShareDone) -> tuple[BlockKind, bytes, int]:
        """What is stored of a block: kind, payload and number of tokens; verified, where that is wanted."""
        encoding = portion(report, 0, _ENCODING) if self._settings.verify else report
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
        if len(text.literals) > MAX_LITERALS:
            return *classic.smallest(data), 0
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
        share = portion(report, 0, _TABLE_SHARE) if self._coding.window else report
        return alone.encode(text, crlf, 1, progress=share)

    def _network_pays(self, text: TokenText, bits: float, alone: BlockPipeline) -> bool:
        return self._settings.thorough or policy.network_pays(text, bits, alone, self._network)

    def _by_network(self, text: TokenText, crlf: bool, report: ShareDone) -> bytes:
        """The payload with the network."""
        pipeline, settings = self._network(), self._settings
        stream_bytes = pipeline.session.model.stream_bytes(pipeline.window.context)
        wanted = settings.streams or (1 if settings.thorough else None)
        streams = policy.streams_for(len(text.tokens), pipeline.window, wanted, stream_bytes)
        share = portion(report, _TABLE_SHARE, 1) if self._coding.table else report
        payload = pipeline.encode(text, crlf, streams, observer=self._observer, progress=share)
        head, words = BlockHead.unpack(payload, MAX_BLOCK)
        if not head.affords(pipeline.window, len(words)):
            # So little is left of the text that readers would take the claim for a hostile one.
            streams = BlockHead.affordable_streams(pipeline.window)
            payload = pipeline.encode(text, crlf, streams, observer=self._observer, progress=share)
        return payload

    def _restores(self, payload: bytes, data: bytes, report: ShareDone) -> bool:
        """Whether a model block decodes to its data here as it is: drift beyond the tolerance would show."""
        alone = BlockHead.leaves_network_out(payload)
        pipeline = self._choice.pipeline(self._coding.alone if alone else self._coding)
        try:
            decode_block(pipeline, payload, len(data), data.__eq__, portion(report, _ENCODING, 1), repairing=False)
        except CorruptError:
            return False
        return True
