"""Data as it comes to one member: blocks are cut, coded by whatever makes them smallest, and written in their order."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import BinaryIO

from llmzip.codec.ahead import Ahead
from llmzip.codec.blockcoder import BlockCoder, CodedBlock
from llmzip.codec.choice import ModelChoice
from llmzip.codec.cutting import Cutter
from llmzip.codec.observer import SILENT, Observer
from llmzip.codec.settings import Settings
from llmzip.codec.summary import BytesDone, Reporter, Summary
from llmzip.container.format import Bytes, Header
from llmzip.container.writer import MemberWriter


class MemberCompressor:
    """Compresses data as it comes into one member: `feed` any number of times, then `finish`; `close` in any case.

    at_once: blocks to work on at the same time, where several can have the network; each is then written later. header, coder: of
    somebody who can work on several blocks at once whatever they need, in place of the choice's.
    """

    def __init__(
        self,
        settings: Settings,
        choice: ModelChoice,
        sink: BinaryIO,
        progress: BytesDone | None,
        observer: Observer,
        at_once: int = 1,
        header: Header | None = None,
        coder: BlockCoder | None = None,
    ) -> None:
        self._began, self._summary = time.monotonic(), Summary()
        self._begun: deque[tuple[bytes, Reporter]] = deque()
        self._progress, self._observer = progress, observer
        self._cutter = Cutter(settings.block_bytes)
        if header is None or coder is None:
            with choice.lock:
                agreement = choice.for_writing()
            header, coder = agreement.header(), BlockCoder(settings, choice, agreement, observer)
            shared = agreement.coding.window is None or (not header.exact and choice.shares(agreement.identity))
            if shared and observer is SILENT:
                coder.prepare()
            else:
                at_once = 1
        self._coder = coder
        self._ahead: Ahead[CodedBlock] = Ahead(at_once)
        self._writer = MemberWriter(sink, header)

    def feed(self, data: Bytes) -> None:
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
        self._observer.begins(data, self._coder.network)
        self._begun.append((data, report))
        self._ahead.put(partial(self._coder.code, data, alone=self._ahead.alone), report)
        while self._ahead.full:
            self._write()

    def _write(self) -> None:
        data, report = self._begun.popleft()
        coded = self._ahead.take()
        self._summary.unverified += not coded.verified
        self._observer.stored(coded.kind, coded.payload)
        self._writer.write_block(coded.kind, data, coded.payload)
        report(1.0)
        self._summary.tokens += coded.tokens
        self._summary.count_text(data)
