"""What a model block's payload begins with: a check of what is stored, and what the decoder must know beforehand."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import dataclass

from llmzip.codec.context import MOST_KEPT, Part
from llmzip.container.fields import Fields, encode_varint, read_varint
from llmzip.errors import CorruptError
from llmzip.model.base import Window

# format: limits, flags and check of a model block's head.
MAX_STREAMS = 256
MAX_LITERALS = 1 << 16
# A turn takes -log2(65535 / 65536) bits at least, so few bytes cannot stand for many; behind the end of the words a decoder takes zeros.
_MOST_TURNS_A_BYTE, _ZEROS_TAKEN = 363_409, 32
# Tokens of a network, which takes its time for each, and how many more each byte of the words allows: an eighth of a bit for one.
_TOKENS, _TOKENS_A_BYTE = 1 << 10, 1 << 6
# Positions of the caches of all streams together, and how many more each byte of the payload allows.
_POSITIONS, _POSITIONS_A_BYTE = 1 << 11, 2
_CRLF = 1
_LITERALS = 2
_TABLE_ALONE = 4
_SPACED = 8
_PRIMED = 16
_DIGITS = 32
_WHOLE = 64
_NEAR = 128
_OF_PART = _DIGITS | _WHOLE
_CHECK = struct.Struct("<H")


@dataclass
class BlockHead:
    """The head inside a model block's payload (docs/format.md, "Model blocks")."""

    crlf: bool
    tokens: int
    streams: int
    literals: list[tuple[int, bytes]]
    network: bool = True  # whether the model's network takes part, or the table of n-grams is all there is
    spaced: bool = False  # whether the tokens begin with a space that the text has not
    part: Part | None = None  # of the context, that it builds on
    near: bool = False  # whether the network has three quarters of its window (`Window.near`)

    def payload(self, words: bytes) -> bytes:
        """The payload of a block: a check of what follows, this head, the range coder's bytes; with zeros, which change nothing,
        where these are too few to justify a network's time."""
        if self.network:
            words = self.justifying(words, self.tokens)
        flags = (
            _CRLF * self.crlf
            | _LITERALS * bool(self.literals)
            | _TABLE_ALONE * (not self.network)
            | _SPACED * self.spaced
            | _NEAR * self.near
        )
        part = self.part
        if part:
            flags |= _PRIMED | _DIGITS * part.digits | _WHOLE * part.whole
        head = bytearray([flags])
        head += encode_varint(self.tokens)
        # format: the table alone codes one stream.
        head += encode_varint(self.streams) if self.network else b""
        if part:
            head += b"" if part.whole else encode_varint(part.skip) + encode_varint(part.rest)
            head += encode_varint(part.back) if self.network else b""
        if self.literals:
            head += encode_varint(len(self.literals))
            done = 0
            for position, literal in self.literals:
                head += encode_varint(position - done) + encode_varint(len(literal)) + literal
                done = position
        stored = bytes(head) + words
        return _CHECK.pack(crc_hqx(stored, 0)) + stored

    @staticmethod
    def leaves_network_out(payload: bytes) -> bool:
        """Whether a payload says that the table of n-grams coded it alone; nothing is checked."""
        return len(payload) > _CHECK.size and bool(payload[_CHECK.size] & _TABLE_ALONE)

    @staticmethod
    def counts(take: Callable[[int], bytes], place: str) -> tuple[int, int, bool]:
        """Tokens and streams of the block whose payload `take` reads from its start, and whether a network coded it; nothing is
        checked.

        Raises CorruptError naming the place.
        """
        network = not take(_CHECK.size + 1)[-1] & _TABLE_ALONE
        return read_varint(take, place), read_varint(take, place) if network else 1, network

    @classmethod
    def unpack(cls, payload: bytes, original_length: int) -> tuple[BlockHead, bytes]:
        """The head and the range coder's bytes behind it. Raises CorruptError."""
        stored = payload[_CHECK.size :]
        if len(payload) < _CHECK.size or crc_hqx(stored, 0) != _CHECK.unpack_from(payload)[0]:
            raise CorruptError("the stored bytes do not match their check: the file is damaged; get it again")
        fields = Fields(stored, "a model block ends inside its head: the file is damaged")

        def number(most: int, what: str) -> int:
            value = fields.varint("a model block's head")
            if value > most:
                raise CorruptError(
                    f"a model block of {original_length} bytes claims {value} {what}, of which {most} are possible: damaged"
                )
            return value

        flags = fields.take(1)[0]
        if (flags & _OF_PART and not flags & _PRIMED) or (flags & _NEAR and flags & _TABLE_ALONE):
            raise CorruptError(f"a model block has unknown flags {flags:#04x}: damaged, or made by a newer llmzip")
        # Every token and every literal stands for at least one byte, but for an added space.
        tokens = number(original_length + bool(flags & _SPACED), "tokens")
        network = not flags & _TABLE_ALONE
        streams = number(MAX_STREAMS, "streams") if network else 1
        if not 1 <= streams <= max(tokens, 1):
            raise CorruptError(f"a model block claims {streams} streams for {tokens} tokens: damaged")
        part = None
        if flags & _PRIMED:
            whole = flags & _WHOLE
            skip = 0 if whole else number(MOST_KEPT, "bytes before its context")
            rest = 0 if whole else number(MOST_KEPT, "bytes behind its context")
            back = number(MOST_KEPT, "tokens behind its context") if network else 0
            part = Part(skip, rest, bool(flags & _DIGITS), back)
        literals = []
        if flags & _LITERALS:
            position = 0
            for _ in range(number(min(original_length, MAX_LITERALS), "literals")):
                position += number(tokens - position, "tokens before a literal")
                length = number(original_length, "literal bytes")
                if not length:
                    raise CorruptError("a model block has an empty literal: damaged")
                literals.append((position, fields.take(length)))
        words = fields.rest()
        cls.plausible(tokens, len(words))
        if network:
            cls.justified(tokens, len(words))
        crlf, spaced, near = bool(flags & _CRLF), bool(flags & _SPACED), bool(flags & _NEAR)
        return cls(crlf, tokens, streams, literals, network, spaced, part, near), words

    @staticmethod
    def justifying(words: bytes, tokens: int) -> bytes:
        """Words with as many zeros behind them, which change nothing, as justify so many tokens of a network."""
        return words.ljust(-(-(tokens - _TOKENS) // _TOKENS_A_BYTE), b"\0")

    @staticmethod
    def justified(tokens: int, words: int) -> None:
        """Raises CorruptError for more tokens of a network than so many bytes of words justify."""
        if tokens > _TOKENS + _TOKENS_A_BYTE * words:
            raise CorruptError(
                f"a model block claims {tokens} tokens of a network, more than its {words} bytes justify: damaged"
            )

    @staticmethod
    def plausible(tokens: int, words: int, turns: int = 1) -> None:
        """Raises CorruptError for more tokens, of so many turns each at least, than so many bytes of words can stand for."""
        if tokens * turns > (words + _ZEROS_TAKEN) * _MOST_TURNS_A_BYTE:
            raise CorruptError(f"a model block claims {tokens} tokens, more than {words} bytes can stand for: damaged")

    def affords(self, window: Window, words: int) -> bool:
        """Whether a payload with so many bytes of words justifies the caches that its streams need."""
        steps = -(-self.tokens // self.streams) + (window.lead if self.part else 0)
        return self.streams * min(window.context, steps) <= _POSITIONS + _POSITIONS_A_BYTE * words

    @staticmethod
    def affordable_streams(window: Window) -> int:
        """Streams whose caches need no justification."""
        return max(1, _POSITIONS // window.context)
