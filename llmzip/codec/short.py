"""The short form: one message with a byte before and a check behind what the model makes of it (docs/format.md, "Short form").

A file's header, checks and digest are some 40 bytes, as much as many messages. What they say is agreed on here: the built-in model or the
table alone, portable, with mixing, in one stream. Whatever else codes a message says so in the fields of a header.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import BinaryIO
from zlib import crc32

from llmzip.codec import policy
from llmzip.codec.agreement import PORTABLE_TOLERANCE, Agreement, Coding, require_known
from llmzip.codec.choice import ModelChoice
from llmzip.codec.context import Part
from llmzip.codec.decoding import decode_block, decode_words
from llmzip.codec.head import MAX_LITERALS, BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.settings import Settings
from llmzip.codec.summary import BytesDone, Summary
from llmzip.coding.table_file import IDENTITY as TABLE
from llmzip.container import NO_MODEL, TAG_CONTEXT, Fields, Header, write_all
from llmzip.container.fields import encode_varint
from llmzip.container.format import MAGIC, MAX_SHORT, SHORT_LEADS
from llmzip.errors import ContextError, CorruptError, UsageError
from llmzip.model import embedded
from llmzip.text.tokens import TokenText

# format: bits of the first byte, behind the two that tell it from a file's; and sizes.
_DESCRIBED = 0x20
_KIND_SHIFT, _GENERATION_MASK = 2, 3
_GENERATION = 0
"""What is agreed on: another built-in model or table gets the next number."""
_CONTEXT = 4  # bytes of a context's identity
_CRLF, _DIGITS = 1, 2  # flags of messages that build on a context
_LONG = 128  # tokens or raw bytes from which on the check has three bytes in place of two

MAX_STORED = MAX_SHORT + (1 << 17)
"""Bytes of a message: no more than a header and a few beyond the original."""

_AGREED = Coding(embedded.WINDOW, PORTABLE_TOLERANCE, True, table=TABLE)
_DAMAGED = "the message is damaged, or not all of it: get it again"


class Kind(IntEnum):
    """What codes a message: bits 2 to 4 of its first byte."""

    NETWORK = 0
    TABLE = 1
    RAW = 2
    NETWORK_ON_CONTEXT = 4
    TABLE_ON_CONTEXT = 5
    NETWORK_CRLF = 6
    TABLE_CRLF = 7

    @property
    def network(self) -> bool:
        """Whether a network takes part."""
        return self in (Kind.NETWORK, Kind.NETWORK_ON_CONTEXT, Kind.NETWORK_CRLF)

    @property
    def on_context(self) -> bool:
        """Whether it builds on a context."""
        return self in (Kind.NETWORK_ON_CONTEXT, Kind.TABLE_ON_CONTEXT)


def _agreed_header(network: bool) -> Header:
    agreement = Agreement(embedded.IDENTITY, _AGREED) if network else Agreement(NO_MODEL, _AGREED.alone)
    return agreement.header()


def _sealed(stored: bytes, original: bytes, size: int) -> bytes:
    """A message with its check: of a CRC-32 over what is stored and the original, the lowest bytes."""
    return stored + crc32(original, crc32(stored)).to_bytes(4, "little")[:size]


def _check_size(length: int) -> int:
    return 3 if length >= _LONG else 2


def _lead(kind: Kind, described: bool = False) -> bytes:
    return bytes([SHORT_LEADS.start | _DESCRIBED * described | kind << _KIND_SHIFT | _GENERATION])


# ---- writing ----


class ShortCoder:
    """Makes messages. Raises ModelError."""

    def __init__(self, settings: Settings, choice: ModelChoice) -> None:
        self._settings, self._choice = settings, choice
        self.agreement = choice.for_writing()
        coding = replace(self.agreement.coding, context=None)
        self.agreed = not self.agreement.extras and (self.agreement.identity, coding) in (
            (embedded.IDENTITY, _AGREED),
            (NO_MODEL, _AGREED.alone),
        )

    def code(self, data: bytes) -> bytes:
        """The smallest message for these bytes. Raises UsageError for too many."""
        coding = self.agreement.coding
        alone = self._choice.pipeline(coding.alone) if coding.table else None
        messages = [raw(data)]
        bits = 0.0
        if alone:
            text, crlf = alone.tokens_of(data)
            messages += self._coded(alone, data, text, crlf)
            bits = 8 * len(messages[-1]) / max(1, len(data))
        if coding.window and (not alone or self._network_pays(text, bits, alone)):
            with self._choice.lock:
                network = self._choice.pipeline(coding)
                messages += self._coded(network, data, *network.tokens_of(data))
        return min(messages, key=len)

    def _network_pays(self, text: TokenText, bits: float, alone: BlockPipeline) -> bool:
        if self._settings.thorough:
            return True
        with self._choice.lock:
            return policy.network_pays(text, bits, alone, lambda: self._choice.pipeline(self.agreement.coding))

    def _coded(self, pipeline: BlockPipeline, data: bytes, text: TokenText, crlf: bool) -> list[bytes]:
        """The message by a pipeline; none where it cannot spell the bytes well."""
        if len(text.literals) > (MAX_LITERALS if not self.agreed else 0):
            return []
        part = pipeline.part_for(data, policy.context_bytes(len(data), self._settings.thorough))
        if not self.agreed:
            header = self.agreement.header().pack()[len(MAGIC) + 1 : -4]
            stored = _lead(Kind.NETWORK if pipeline.network else Kind.TABLE, True) + header
            return [_sealed(stored + pipeline.encode(text, crlf, 1, part=part), data, 3)]
        known = pipeline.known(part, len(data))
        layout = Layout(len(text.tokens), 1)
        cells = pipeline.quantise(text.tokens, layout, lead=pipeline.lead(part, known)) if pipeline.network else None
        words = pipeline.words(pipeline.turns(text.tokens, layout, cells, known=known))
        return [message(pipeline, data, crlf, layout.count, words, part)]


def raw(data: bytes) -> bytes:
    """The message of bytes as they are. Raises UsageError for too many."""
    check_length(len(data))
    return _sealed(_lead(Kind.RAW) + data, data, _check_size(len(data)))


def message(
    pipeline: BlockPipeline, data: bytes, crlf: bool, tokens: int, words: bytes, part: Part | None = None
) -> bytes:
    """The message for `data` of so many tokens, which the pipeline made `words` of, coded as agreed."""
    if part and pipeline.context:
        kind = Kind.NETWORK_ON_CONTEXT if pipeline.network else Kind.TABLE_ON_CONTEXT
        stored = (
            _lead(kind) + pipeline.context.named.identity[:_CONTEXT] + bytes([_CRLF * crlf | _DIGITS * part.digits])
        )
        stored += encode_varint(part.skip) + encode_varint(part.rest)
        stored += encode_varint(part.back) if pipeline.network else b""
    else:
        plain, turned = (Kind.NETWORK, Kind.NETWORK_CRLF) if pipeline.network else (Kind.TABLE, Kind.TABLE_CRLF)
        stored = _lead(turned if crlf else plain)
    if pipeline.network:
        words = BlockHead.justifying(words, tokens)
    return _sealed(stored + encode_varint(tokens) + words, data, _check_size(tokens))


class ShortCompressor:
    """Makes one message of data as it comes: `feed` any number of times, then `finish`, which writes it."""

    def __init__(self, settings: Settings, choice: ModelChoice, sink: BinaryIO, progress: BytesDone | None) -> None:
        self._began = time.monotonic()
        with choice.lock:
            self._coder = ShortCoder(settings, choice)
        self._sink, self._progress, self._held = sink, progress, bytearray()

    def feed(self, data: bytes | memoryview) -> None:
        """Take more of the original. Raises UsageError for too much."""
        self._held += data
        check_length(len(self._held))

    def finish(self) -> Summary:
        """Code and write the message; the sink stays open. Raises ModelError, OSError."""
        data, summary = bytes(self._held), Summary()
        packed = self._coder.code(data)
        write_all(self._sink, packed)
        if self._progress:
            self._progress(len(data))
        summary.count_text(data)
        summary.compressed, summary.seconds = len(packed), time.monotonic() - self._began
        return summary

    def close(self) -> None:
        """Give up what was not written."""
        self._held.clear()


def check_length(length: int) -> None:
    """Raises UsageError for more bytes than the short form takes."""
    if length > MAX_SHORT:
        raise UsageError(f"the short form takes {MAX_SHORT:,} bytes, and the input is longer: leave out --short")


# ---- reading ----


@dataclass(frozen=True)
class Parsed:
    """A message taken apart. payload: what the model or nobody coded, without the check; head: of what is coded as agreed."""

    kind: Kind
    stored: bytes
    check: bytes
    payload: bytes
    header: Header | None = None
    head: BlockHead | None = None
    context: bytes = b""

    def fits(self, original: bytes) -> bool:
        """Whether the check was made from these bytes."""
        fewest = self.head.tokens if self.head else 0  # every token stands for a byte at least
        sealed = _sealed(self.stored, original, len(self.check))
        return fewest <= len(original) <= MAX_SHORT and sealed == self.stored + self.check


def parse(data: bytes) -> Parsed:
    """A message's parts. Raises CorruptError."""
    fields = Fields(data, _DAMAGED)
    lead = fields.take(1)[0]
    if lead not in SHORT_LEADS:
        raise CorruptError("is no message in the short form")
    described, number = bool(lead & _DESCRIBED), lead >> _KIND_SHIFT & 7
    known = (Kind.NETWORK, Kind.TABLE) if described else tuple(Kind)
    if number not in known or lead & _GENERATION_MASK != _GENERATION:
        raise CorruptError("the message is damaged, or made by a newer llmzip: update this one")
    kind = Kind(number)
    if described:
        length = fields.varint("the message")
        header = Header.unpack(fields.take(length))
        return Parsed(kind, *_split(data, fields, 3), header=header)
    if kind is Kind.RAW:
        size = 3 if fields.left >= _LONG + 3 else 2
        return Parsed(kind, *_split(data, fields, size))
    context, part, crlf = b"", None, kind in (Kind.NETWORK_CRLF, Kind.TABLE_CRLF)
    if kind.on_context:
        context, flags = fields.take(_CONTEXT), fields.take(1)[0]
        if flags & ~(_CRLF | _DIGITS):
            raise CorruptError(_DAMAGED)
        skip, rest = fields.varint("the message"), fields.varint("the message")
        back = fields.varint("the message") if kind.network else 0
        crlf, part = bool(flags & _CRLF), Part(skip, rest, bool(flags & _DIGITS), back)
    tokens = fields.varint("the message")
    stored, check, words = _split(data, fields, _check_size(tokens))
    if tokens > MAX_SHORT:
        raise CorruptError(_DAMAGED)
    BlockHead.plausible(tokens, len(words))
    if kind.network:
        BlockHead.justified(tokens, len(words))
    return Parsed(
        kind, stored, check, words, head=BlockHead(crlf, tokens, 1, [], kind.network, False, part), context=context
    )


def _split(data: bytes, fields: Fields, size: int) -> tuple[bytes, bytes, bytes]:
    """What the check covers, the check, and what is left between the fields and it."""
    rest = fields.rest()
    if len(rest) < size:
        raise CorruptError(_DAMAGED)
    return data[:-size], data[-size:], rest[:-size]


def coding_for(parsed: Parsed, choice: ModelChoice) -> Coding:
    """How a message is coded; its model is held afterwards. Raises ContextError, ModelError, CorruptError."""
    network = parsed.kind.network
    if parsed.header:
        network = BlockHead.unpack(parsed.payload, MAX_SHORT)[0].network
    header = parsed.header or _agreed_header(parsed.kind.network)
    if parsed.kind.on_context and not parsed.header:
        context = choice.context
        if context is None or context.named.identity[:_CONTEXT] != parsed.context:
            given = f"; given is {context.named.identity[:_CONTEXT].hex()}" if context else ""
            raise ContextError(
                f"made with {'another' if context else 'a'} context ({parsed.context.hex()}...{given}): give that text with "
                "--context FILE"
            )
        header = replace(header, extras={**header.extras, TAG_CONTEXT: context.named.pack()})
    require_known(header)
    coding = choice.for_reading(header, network or header.exact)
    return coding if network else coding.alone


def decode(data: bytes, choice: ModelChoice, memory_limit: int | None = None) -> bytes:
    """The original of a message. Raises CorruptError, ContextError, ModelError, ArithmeticMismatchError; LlmzipError where it takes more
    than about so many bytes of memory."""
    parsed = parse(data)
    if parsed.kind is Kind.RAW:
        return verified(parsed, parsed.payload)
    with choice.lock:
        coding = coding_for(parsed, choice)
        pipeline = choice.pipeline(coding)
        if memory_limit:
            from llmzip.codec import resources

            head = parsed.head or BlockHead.unpack(parsed.payload, MAX_SHORT)[0]
            resources.require(memory_limit, resources.coded(head, MAX_SHORT, len(data), pipeline), "the message")
        with choice.unless_replaced():
            if parsed.head is None:
                return decode_block(pipeline, parsed.payload, MAX_SHORT, parsed.fits, patience=0)[0]
            return decode_words(pipeline, parsed.head, parsed.payload, MAX_SHORT, parsed.fits, patience=0)[0]


def verified(parsed: Parsed, original: bytes | None) -> bytes:
    """The original, if the check was made from it. Raises CorruptError."""
    if original is None or not parsed.fits(original):
        raise CorruptError(_DAMAGED)
    return original
