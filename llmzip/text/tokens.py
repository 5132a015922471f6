"""Bytes to tokens whose pieces, joined, are those very bytes.

The tokenizer proposes, the pieces dispose: every stretch of its output is compared with the input, and a stretch that
does not join to the same bytes is tokenised anew by longest match over the pieces themselves. Bytes that no token
stands for travel beside the tokens as literals. Decoding is the joining of pieces, so no detokenizer has to be trusted.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    # A block without a network is read back without NumPy, which takes longer to import than a short file to decode.
    import numpy as np
    from numpy.typing import NDArray

    Ids: TypeAlias = array[int] | NDArray[np.int32]

STRETCH = 16384  # bytes handed to the tokenizer at once: bounds memory and the cost of a tokenizer's worst case
_SMALLEST = 64  # a stretch of this length that does not round-trip is matched by pieces
_AT_ONCE = 1 << 16  # tokens
_UNDECODABLE = re.compile("[\udc80-\udcff]+")


@dataclass
class TokenText:
    """A block's tokens and literals: (number of tokens before it, bytes), in order of position.

    ids: n tokens, four bytes each. spaced: whether the first token begins with a space that the tokenizer added and that the text has not.
    """

    ids: Ids
    literals: list[tuple[int, bytes]] = field(default_factory=list)
    spaced: bool = False

    @cached_property
    def tokens(self) -> NDArray[np.int32]:
        """The tokens for calculations, shape (n,)."""
        import numpy as np

        return np.asarray(self.ids, np.int32)

    def __len__(self) -> int:
        """Tokens."""
        return len(self.ids)

    def some(self, start: int, stop: int) -> Iterator[Ids]:
        """Tokens start .. stop-1, few at once: as objects of Python they take ten times their memory."""
        for at in range(start, stop, _AT_ONCE):
            yield self.ids[at : min(at + _AT_ONCE, stop)]


class Vocabulary:
    """The tokens of a model as byte strings.

    pieces: bytes of each token id, b"" for tokens that never stand for text.
    tokenize: the model's own tokenizer, for valid UTF-8. spare: tokens that are taken only for pieces that no other token has, like the
        byte tokens of SentencePiece: a network hardly knows them beside the characters that it was trained with.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        tokenize: Callable[[bytes], Ids],
        spare: Collection[int] = (),
    ) -> None:
        self.pieces = list(pieces)
        self._lengths = [len(piece) for piece in pieces]
        self._tokenize = tokenize
        self._spare = spare

    @cached_property
    def _adds_space(self) -> bool:
        """SentencePiece models put a space before every text."""
        return self._join(self._tokenize(b"a")) == b" a"

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        """The token of every piece; one that several share belongs to the first of them that is not spare."""
        last = sorted(range(len(self.pieces)), key=lambda token: (token not in self._spare, -token))
        return {self.pieces[token]: token for token in last if self.pieces[token]}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._ids), default=0)

    def _join(self, tokens: Ids) -> bytes:
        return b"".join(map(self.pieces.__getitem__, tokens.tolist()))

    def encode(self, data: bytes) -> TokenText:
        """Tokens and literals of any bytes; `decode` gives the same bytes back (checked here).

        Of plain text the tokens are the tokenizer's own, a space that it adds to the beginning included. Only a text that begins with
        a space has one token less: the added space is taken for it.
        """
        ids = array("i")
        literals: list[tuple[int, bytes]] = []
        for part, is_text in _text_runs(data):
            for stretch in _stretches(part) if is_text else [part]:
                begins = self._adds_space and not ids and not literals
                for tokens, literal in self._encode_stretch(stretch, begins) if is_text else self._match(stretch):
                    if literal:
                        literals.append((len(ids), literal))
                    ids.frombytes(tokens.tobytes())
        result = TokenText(ids, literals)
        joined = self._joined(result)
        result.spaced = joined != data and joined == b" " + data
        if joined != data and not result.spaced:
            raise AssertionError("tokens do not join to the bytes they were made from")
        return result

    def decode(self, text: TokenText) -> bytes:
        """The bytes that tokens and literals stand for. Token ids must lie in the vocabulary."""
        joined = self._joined(text)
        return joined[1:] if text.spaced else joined

    def length(self, text: TokenText) -> int:
        """Bytes that `decode` would give, without making them."""
        length = sum(len(literal) for _, literal in text.literals) - text.spaced
        for some in text.some(0, len(text)):
            length += sum(map(self._lengths.__getitem__, some.tolist()))
        return length

    def _joined(self, text: TokenText) -> bytes:
        parts: list[bytes] = []
        done = 0
        for position, literal in [*text.literals, (len(text), b"")]:
            parts += map(self._join, text.some(done, position))
            parts.append(literal)
            done = position
        return b"".join(parts)

    def _encode_stretch(self, stretch: bytes, begins: bool) -> Iterator[tuple[Ids, bytes]]:
        """Pairs (tokens, literal before them) for valid UTF-8; begins: nothing is before it, so it may be `spaced`."""
        # Where the tokenizer adds a space, one that is there already is left to it.
        tokens = self._tokenize(stretch.removeprefix(b" ") if self._adds_space else stretch)
        joined = self._join(tokens)
        if joined == stretch or (begins and joined == b" " + stretch):
            yield tokens, b""
        elif self._adds_space and joined == b" " + stretch and self.pieces[tokens[0]].startswith(b" "):
            # Only the token that begins with the added space has to be replaced.
            yield from self._match(self.pieces[tokens[0]][1:])
            yield tokens[1:], b""
        elif len(stretch) <= _SMALLEST:
            yield from self._match(stretch)
        else:
            middle = _character_start(stretch, len(stretch) // 2)
            yield from self._encode_stretch(stretch[:middle], begins)
            yield from self._encode_stretch(stretch[middle:], False)

    def _match(self, data: bytes) -> Iterator[tuple[Ids, bytes]]:
        """Longest match over the pieces, for any bytes; what no piece matches becomes a literal."""
        tokens: list[int] = []
        literal = bytearray()
        pending = b""
        at = 0
        while at < len(data):
            token = None
            for length in range(min(self._longest, len(data) - at), 0, -1):
                token = self._ids.get(data[at : at + length])
                if token is not None:
                    break
            if token is None:
                if tokens:
                    yield array("i", tokens), pending
                    tokens, pending = [], b""
                literal.append(data[at])
                at += 1
                continue
            if literal:
                pending, literal = bytes(literal), bytearray()
            tokens.append(token)
            at += length
        if tokens:
            yield array("i", tokens), pending
        if literal:
            yield array("i"), bytes(literal)


def _text_runs(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Cut bytes into valid UTF-8 (True) and bytes that are no part of any (False)."""
    if data.isascii():  # no text beside the bytes, which would take up to four times their memory
        yield from [(data, True)] * bool(data)
        return
    text = data.decode("utf-8", "surrogateescape")
    done = 0
    for match in _UNDECODABLE.finditer(text):
        if match.start() > done:
            yield text[done : match.start()].encode(), True
        yield match.group().encode("utf-8", "surrogateescape"), False
        done = match.end()
    if done < len(text):
        yield text[done:].encode(), True


def _character_start(data: bytes, at: int) -> int:
    """The nearest position <= at where a UTF-8 character starts (at > 0 is kept above 0)."""
    start = at
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    return start or at


def _stretches(text: bytes) -> Iterator[bytes]:
    """Cut valid UTF-8 into stretches of at most STRETCH bytes, before a lone space where there is one nearby."""
    at = 0
    while len(text) - at > STRETCH:
        cut = at + STRETCH
        space = text.rfind(b" ", at + STRETCH - 1024, cut)
        while space > 0 and text[space - 1 : space].isspace():
            space = text.rfind(b" ", at + STRETCH - 1024, space)
        cut = space if space > at else _character_start(text, cut)
        yield text[at:cut]
        at = cut
    yield text[at:]
