"""One block coded by whatever makes it smallest: the table alone, the network, or a classic codec."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from llmzip.codec import policy
from llmzip.codec.agreement import Agreement
from llmzip.codec.ahead import always
from llmzip.codec.choice import ModelChoice
from llmzip.codec.context import Part
from llmzip.codec.head import MAX_LITERALS, BlockHead
from llmzip.codec.observer import SILENT, Observer
from llmzip.codec.pipeline import BlockPipeline, ShareDone, silent
from llmzip.codec.settings import Settings
from llmzip.codec.summary import portion
from llmzip.container import classic
from llmzip.container.format import MAX_BLOCK, BlockKind
from llmzip.errors import CorruptError
from llmzip.text.tokens import TokenText

Network = Callable[[], BlockPipeline]
"""Gives the pipeline with the network, which is had for the whole block from the first time on."""

_SHAKEN = 0.5  # of the tolerance; the rest is left to the drift of this machine itself
_ENCODING = 0.3  # about the share of encoding in the time of encoding and decoding
_TABLE_SHARE = 0.1  # about the share of the table in the time of table and network


class _Vain(Exception):
    """The network is not asked after all."""


class _Stopped(Exception):
    """Nobody waits for the table any more."""


@dataclass(frozen=True)
class CodedBlock:
    """What is stored of a block. tokens: 0 where a classic codec has it; verified: False if the model did not restore it here."""

    kind: BlockKind
    payload: bytes
    tokens: int = 0
    verified: bool = True


class BlockCoder:
    """Codes blocks, each alike whatever was coded before it; several threads may do so at once."""

    def __init__(
        self, settings: Settings, choice: ModelChoice, agreement: Agreement, observer: Observer = SILENT
    ) -> None:
        self._settings, self._choice, self._observer = settings, choice, observer
        self._agreement, self._coding = agreement, agreement.coding

    def network(self) -> BlockPipeline:
        """The pipeline with everything that the member may use; loads the model. Not for several threads."""
        return self._choice.resume(self._agreement)

    def prepare(self) -> None:
        """Make what several threads share before they do."""
        if self._coding.alone.table:
            self._choice.pipeline(self._coding.alone)

    def code(self, data: bytes, report: ShareDone = silent, alone: Callable[[], bool] = always) -> CodedBlock:
        """What is stored of a block; verified, where the settings want that. Raises ModelError.

        alone: whether no other block is in work, so that this one may use all cores.
        """
        with contextlib.ExitStack() as stack:
            lent: list[BlockPipeline] = []

            def network() -> BlockPipeline:
                if not lent:
                    lent.append(stack.enter_context(self._choice.lent(self.network, alone, len(data))))
                return lent[0]

            cores = not self._coding.exact and self._choice.shares(self._agreement.identity) and alone()
            return self._code(data, network, report, at_once=cores)

    def _code(self, data: bytes, network: Network, report: ShareDone, *, at_once: bool) -> CodedBlock:
        encoding = portion(report, 0, _ENCODING) if self._settings.verify else report
        coded = self._smallest(data, network, encoding, at_once=at_once)
        if not self._settings.verify or coded.kind is not BlockKind.MODEL:
            return coded
        if self._restores(coded.payload, data, network, report):
            return coded
        return CodedBlock(*classic.smallest(data, lambda: report(0.0)), verified=False)

    def _smallest(self, data: bytes, network: Network, report: ShareDone, *, at_once: bool) -> CodedBlock:
        """The smallest of the model's and the classic codecs' work. at_once: whether there are cores for table and network at once."""
        by_zstd = classic.quick_length(data)
        alone = self._choice.pipeline(self._coding.alone) if self._coding.table else None
        first = alone or network()
        context = first.context
        if policy.unpromising(data, by_zstd, first) and not (context and context.knows(data)):
            return CodedBlock(*classic.smallest(data, lambda: report(0.0)))
        text, crlf = first.tokens_of(data)
        if len(text.literals) > MAX_LITERALS:
            return CodedBlock(*classic.smallest(data, lambda: report(0.0)))
        payload = by_network = b""
        if alone is None:
            by_network = self._by_network(data, network, report)
        elif not self._coding.window:
            payload = self._by_table(data, text, crlf, alone, report)
        elif at_once and policy.table_meanwhile(len(text), by_zstd, len(data)):
            payload, by_network = self._at_once(data, text, crlf, by_zstd, alone, network, report)
        else:
            payload = self._by_table(data, text, crlf, alone, portion(report, 0, _TABLE_SHARE))
            bits = 8 * len(payload) / len(data)
            if not self._vain(payload, text, by_zstd, data) and self._network_pays(text, bits, alone, network):
                by_network = self._by_network(data, network, portion(report, _TABLE_SHARE, 1))
        if by_network and (not payload or len(by_network) < len(payload)):
            payload = by_network
        if not policy.beyond_classic(by_zstd, len(payload)):
            kind, best = classic.smallest(data, lambda: report(0.0))
            if len(best) < len(payload):
                return CodedBlock(kind, best)
        return CodedBlock(BlockKind.MODEL, payload, BlockHead.unpack(payload, MAX_BLOCK)[0].tokens)

    def _at_once(
        self,
        data: bytes,
        text: TokenText,
        crlf: bool,
        by_zstd: int,
        alone: BlockPipeline,
        network: Network,
        report: ShareDone,
    ) -> tuple[bytes, bytes]:
        """The payloads of table and network, the latter empty where it does not pay: the same as one after the other."""
        from concurrent.futures import ThreadPoolExecutor

        stop, telling = threading.Event(), threading.Event()

        def by_table(share: float) -> None:
            if stop.is_set():
                raise _Stopped
            if telling.is_set():
                report(share)

        def by_network(share: float) -> None:
            if job.done() and self._vain(job.result(), text, by_zstd, data):
                raise _Vain
            report(share)

        found = b""
        with ThreadPoolExecutor(1, "table") as pool:
            job = pool.submit(self._by_table, data, text, crlf, alone, by_table)
            try:
                session = network().session
                session.beside = 1
                job.add_done_callback(lambda _: setattr(session, "beside", 0))
                if self._network_pays(text, math.inf, alone, network):
                    with contextlib.suppress(_Vain):
                        found = self._by_network(data, network, by_network)
                else:
                    telling.set()
                payload = job.result()
            except BaseException:
                stop.set()
                raise
        return payload, b"" if self._vain(payload, text, by_zstd, data) else found

    def _vain(self, payload: bytes, text: TokenText, by_zstd: int, data: bytes) -> bool:
        """Whether the network is not asked, by what the table makes of a block."""
        if policy.no_text(len(text), len(payload), by_zstd, len(data)):
            return True
        return not self._settings.thorough and policy.regular(8 * len(payload) / len(data))

    def _part(self, data: bytes, pipeline: BlockPipeline) -> Part | None:
        return pipeline.part_for(data, policy.context_bytes(len(data), self._settings.thorough))

    def _by_table(self, data: bytes, text: TokenText, crlf: bool, alone: BlockPipeline, report: ShareDone) -> bytes:
        """The payload without the network: one stream, since nothing is gained by more."""
        return alone.encode(text, crlf, 1, part=self._part(data, alone), progress=report)

    def _network_pays(self, text: TokenText, bits: float, alone: BlockPipeline, network: Network) -> bool:
        return self._settings.thorough or policy.network_pays(text, bits, alone, network)

    def _by_network(self, data: bytes, network: Network, report: ShareDone) -> bytes:
        """The payload with the network, which knows numbers as its tokenizer cuts them."""
        settings, pipeline = self._settings, network()
        text, crlf = pipeline.tokens_of(data)
        model = pipeline.session.model
        stream_bytes = model.stream_bytes(pipeline.window.context)
        wanted = settings.streams or (1 if settings.thorough else None)
        streams = policy.streams_for(len(text.tokens), wanted, stream_bytes)
        if not (settings.window or self._coding.exact) and policy.near_pays(streams, stream_bytes, model.weight_bytes):
            pipeline = pipeline.near
        part = self._part(data, pipeline)
        payload = pipeline.encode(text, crlf, streams, part=part, observer=self._observer, progress=report)
        head, words = BlockHead.unpack(payload, MAX_BLOCK)
        if not head.affords(pipeline.window, len(words)):
            # So little is left of the text that readers would take the claim for a hostile one.
            streams = BlockHead.affordable_streams(pipeline.window)
            payload = pipeline.encode(text, crlf, streams, part=part, observer=self._observer, progress=report)
        return payload

    def _restores(self, payload: bytes, data: bytes, network: Network, report: ShareDone) -> bool:
        """Whether a model block decodes to its data here as it is, and under drift that this machine may never show."""
        from llmzip.codec.decoding import decode_block

        alone = BlockHead.leaves_network_out(payload)
        pipeline = self._choice.pipeline(self._coding.alone) if alone else network()
        shakes = (0.0,) if alone or self._coding.exact else (0.0, _SHAKEN)
        share = (1 - _ENCODING) / len(shakes)
        try:
            for turn, shaken in enumerate(shakes):
                told = portion(report, _ENCODING + turn * share, _ENCODING + (turn + 1) * share)
                decode_block(pipeline, payload, len(data), data.__eq__, told, patience=0, shaken=shaken)
        except CorruptError:
            return False
        return True
