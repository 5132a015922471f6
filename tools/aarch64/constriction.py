"""The part of `constriction` that the encoder uses, in plain Python, for an emulated processor that it has no wheel for.

`make.sh` puts it in the way of imports there, and nowhere else; `tests/test_rangecoder.py` holds it to the library.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD, _STATE, _PRECISION = (1 << 32) - 1, (1 << 64) - 1, 24


class RangeEncoder:
    """Martin's range coder with words of 32 bits and a state of 64: `constriction.stream.queue.RangeEncoder` for turns."""

    def __init__(self) -> None:
        self._lower, self._range = 0, _STATE
        self._words: list[int] = []
        self._held, self._first = 0, 0  # words that a carry may still change, and the first of them

    def encode(self, bits: NDArray[np.int32], model: Any, chances: NDArray[np.float64]) -> None:
        """Append turns: bits (n,), probabilities (n,) of bit 1, multiples of 1/65536."""
        rights = np.rint(np.asarray(chances) * 65536).astype(np.int64).tolist()
        for bit, right in zip(np.asarray(bits).tolist(), rights, strict=True):
            left = ((65536 - right) * ((1 << _PRECISION) - 2) >> 16) + 1
            scale = self._range >> _PRECISION
            self._range = scale * ((1 << _PRECISION) - left if bit else left)
            lower = (self._lower + scale * (left if bit else 0)) & _STATE
            if self._held and (lower + self._range) & _STATE > lower:
                self._release(lower < self._lower)
            self._lower = lower
            if self._range < 1 << 32:
                word = lower >> 32
                self._lower, self._range = (lower << 32) & _STATE, (self._range << 32) & _STATE
                if self._held:
                    self._held += 1
                elif (self._lower + self._range) & _STATE > self._lower:
                    self._words.append(word)
                else:
                    self._held, self._first = 1, word

    def _release(self, carried: bool) -> None:
        self._words.append((self._first + carried) & _WORD)
        self._words += [0 if carried else _WORD] * (self._held - 1)
        self._held = 0

    def pos(self) -> tuple[int, tuple[int, int]]:
        """Words that are settled but for a carry; lower end and width of the interval behind them."""
        return len(self._words) + self._held, (self._lower, self._range)

    def get_compressed(self) -> NDArray[np.uint32]:
        """All turns so far as words."""
        if self._range == _STATE:
            return np.empty(0, np.uint32)
        held = self._words, self._held, self._first
        self._words = list(self._words)
        point = (self._lower + (1 << 32) - 1) & _STATE
        if self._held:
            self._release(point < self._lower)
        self._words.append(point >> 32)
        if ((self._lower + self._range) & _STATE) >> 32 == point >> 32:
            self._words.append(0)
        words, (self._words, self._held, self._first) = self._words, held
        return np.array(words, np.uint32)


stream = types.SimpleNamespace(
    model=types.SimpleNamespace(Bernoulli=lambda perfect: None),
    queue=types.SimpleNamespace(RangeEncoder=RangeEncoder),
)
