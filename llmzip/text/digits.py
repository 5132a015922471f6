"""Numbers spelt digit by digit, hexadecimal ones too: what a text of many numbers is better cut into where no network has
learnt otherwise.

A tokenizer cuts 224218 into 2, 24 and 218, and 224219 into 22, 42 and 19: what stands above or came before is then cut
otherwise, and random digits cost more than they carry. Tokens are the encoder's choice, so a decoder need not know.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, islice

from llmzip.text.tokens import TokenText

_DIGITS = b"0123456789"

MANY = 0.06  # of the bytes are digits: then it pays


class DigitSpeller:
    """Replaces the tokens of numbers by tokens of single digits, for a vocabulary that has them."""

    # Long enough to be no word, and with a digit and a letter.
    _HEXADECIMAL = re.compile(
        rb"(?<![0-9A-Za-z])(?=[a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])(?:[0-9a-f]{8,}|[0-9A-F]{8,})(?![0-9A-Za-z])"
    )

    def __init__(self, pieces: Sequence[bytes]) -> None:
        tokens = {piece: token for token, piece in reversed(list(enumerate(pieces))) if 0 < len(piece) <= 2}
        # Two spellings of every token: decimal numbers digit by digit, and everything character by character.
        self._decimal: list[tuple[int, ...]] = []
        self._each: list[tuple[int, ...]] = []
        self._bytes = [len(piece) for piece in pieces]
        for token, piece in enumerate(pieces):
            digits = piece.removeprefix(b" ")
            first = len(piece) - len(digits) + 1
            parts = [piece[:first], *(piece[at : at + 1] for at in range(first, len(piece)))]
            known = len(digits) > 1 and all(part in tokens for part in parts)
            self._each.append(tuple(tokens[part] for part in parts) if known else (token,))
            self._decimal.append(self._each[-1] if digits.isdigit() else (token,))

    def spell(self, text: TokenText, data: bytes) -> TokenText:
        """The same text, which says `data`; literals stay where they are."""
        ids, literals = array("i"), []
        done = 0

        def go_on(stop: int, spellings: list[tuple[int, ...]]) -> None:
            nonlocal done
            for some in text.some(done, stop):
                ids.extend(chain.from_iterable(map(spellings.__getitem__, some.tolist())))
            done = stop

        for position, literal in text.literals:
            go_on(position, self._decimal)
            literals.append((len(ids), literal))
        for first, last in self._hexadecimals(text, data):
            go_on(first, self._decimal)
            go_on(last, self._each)
        go_on(len(text), self._decimal)
        return TokenText(ids, literals, text.spaced)

    def _hexadecimals(self, text: TokenText, data: bytes) -> Iterator[tuple[int, int]]:
        """First and last + 1 of the tokens of each long hexadecimal number, without a space before it, in the order of the text."""
        if text.literals:  # bytes and tokens are not side by side
            return
        ends = array("q")
        for number in self._HEXADECIMAL.finditer(data):
            if not ends:
                for some in text.some(0, len(text)):
                    lengths = map(self._bytes.__getitem__, some.tolist())
                    ends.extend(islice(accumulate(lengths, initial=ends[-1] if ends else 0), 1, None))
            first, last = bisect_right(ends, number.start()), bisect_right(ends, number.end())
            begins = ends[first] - self._bytes[text.ids[first]] if first < len(ends) else 0
            space = begins == number.start() - 1 and data[begins] == 0x20
            first += begins < number.start() and not space
            if first < last:
                yield first, last


def many_digits(data: bytes) -> bool:
    """Whether a text has so many digits that they are better spelt one by one."""
    return len(data) - len(data.translate(None, _DIGITS)) > MANY * len(data)
