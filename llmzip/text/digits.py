"""Numbers spelt digit by digit: what a text of many numbers is better cut into where no network has learnt otherwise.

A tokenizer cuts 224218 into 2, 24 and 218, and 224219 into 22, 42 and 19: what stands above or came before is then cut
otherwise, and random digits cost more than they carry. Tokens are the encoder's choice, so a decoder need not know.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmzip.text.tokens import TokenText

MANY = 0.06  # of the bytes are digits: then it pays


class DigitSpeller:
    """Replaces the tokens of numbers by tokens of single digits, for a vocabulary that has them."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        tokens = {piece: token for token, piece in reversed(list(enumerate(pieces))) if 0 < len(piece) <= 2}
        spelt: list[list[int]] = []
        for token, piece in enumerate(pieces):
            digits = piece.removeprefix(b" ")
            parts = [piece]
            if len(digits) > 1 and digits.isdigit():
                first = len(piece) - len(digits) + 1
                parts = [piece[:first], *(piece[at : at + 1] for at in range(first, len(piece)))]
            known = all(part in tokens for part in parts) and len(parts) > 1
            spelt.append([tokens[part] for part in parts] if known else [token])
        self._lengths = np.array([len(parts) for parts in spelt])
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._spelt = np.array([token for parts in spelt for token in parts], np.int32)

    def spell(self, text: TokenText) -> TokenText:
        """The same text; literals stay where they are."""
        lengths = self._lengths[text.tokens]
        ends = np.cumsum(lengths)
        offsets = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        places = np.concatenate([[0], ends])
        literals = [(int(places[position]), literal) for position, literal in text.literals]
        return TokenText(self._spelt[np.repeat(self._starts[text.tokens], lengths) + offsets], literals)


def many_digits(data: bytes) -> bool:
    """Whether a text has so many digits that they are better spelt one by one."""
    values = np.frombuffer(data, np.uint8)
    return bool(np.count_nonzero((values >= 0x30) & (values <= 0x39)) > MANY * len(values))
