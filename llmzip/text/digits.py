"""Numbers spelt digit by digit, hexadecimal ones too: what a text of many numbers is better cut into where no network has
learnt otherwise.

A tokenizer cuts 224218 into 2, 24 and 218, and 224219 into 22, 42 and 19: what stands above or came before is then cut
otherwise, and random digits cost more than they carry. Tokens are the encoder's choice, so a decoder need not know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmzip.text.tokens import TokenText

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIGITS = b"0123456789"

MANY = 0.06  # of the bytes are digits: then it pays


class DigitSpeller:
    """Replaces the tokens of numbers by tokens of single digits, for a vocabulary that has them."""

    # Long enough to be no word, and with a digit and a letter.
    _HEXADECIMAL = re.compile(
        rb"(?<![0-9A-Za-z])(?=[a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])(?:[0-9a-f]{8,}|[0-9A-F]{8,})(?![0-9A-Za-z])"
    )

    def __init__(self, pieces: Sequence[bytes]) -> None:
        import numpy as np

        tokens = {piece: token for token, piece in reversed(list(enumerate(pieces))) if 0 < len(piece) <= 2}
        # Two spellings of every token: decimal numbers digit by digit, and everything character by character.
        decimal: list[list[int]] = []
        each: list[list[int]] = []
        for token, piece in enumerate(pieces):
            digits = piece.removeprefix(b" ")
            first = len(piece) - len(digits) + 1
            parts = [piece[:first], *(piece[at : at + 1] for at in range(first, len(piece)))]
            known = len(digits) > 1 and all(part in tokens for part in parts)
            each.append([tokens[part] for part in parts] if known else [token])
            decimal.append(each[-1] if digits.isdigit() else [token])
        spelt = decimal + each
        self._count = len(pieces)
        self._bytes = np.array([len(piece) for piece in pieces])
        self._lengths = np.array([len(parts) for parts in spelt])
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._spelt = np.array([token for parts in spelt for token in parts], np.int32)

    def spell(self, text: TokenText, data: bytes) -> TokenText:
        """The same text, which says `data`; literals stay where they are."""
        import numpy as np

        chosen = text.tokens + self._count * self._within_hexadecimal(text, data)
        lengths = self._lengths[chosen]
        ends = np.cumsum(lengths)
        offsets = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        places = np.concatenate([[0], ends])
        literals = [(int(places[position]), literal) for position, literal in text.literals]
        return TokenText(self._spelt[np.repeat(self._starts[chosen], lengths) + offsets], literals, text.spaced)

    def _within_hexadecimal(self, text: TokenText, data: bytes) -> NDArray[np.bool_]:
        """Whether each token, but for a space before it, is part of a long hexadecimal number, (n,)."""
        import numpy as np

        found = np.zeros(len(text), np.bool_)
        if text.literals:  # bytes and tokens are not side by side
            return found
        ends = np.cumsum(self._bytes[text.tokens])
        for number in self._HEXADECIMAL.finditer(data):
            first, last = np.searchsorted(ends, [number.start(), number.end()], "right")
            begins = ends[first] - self._bytes[text.tokens[first]] if first < len(ends) else 0
            space = begins == number.start() - 1 and data[begins] == 0x20
            found[first + (begins < number.start() and not space) : last] = True
        return found


def many_digits(data: bytes) -> bool:
    """Whether a text has so many digits that they are better spelt one by one."""
    return len(data) - len(data.translate(None, _DIGITS)) > MANY * len(data)
