"""The range coder: turns and their probabilities to bytes and back.

A thin layer over `constriction`'s queue range coder (32-bit words, 64-bit state; Martin, "Range encoding", 1979).
Probabilities are uint16 in units of 1/65536 of a right turn (bit 1), 1..65535: as float64 they are exact, so the
coder's own fixed-point form of them is the same on every machine.

format: words are written with their highest byte first, zero bytes at the end are cut, at most 16 of them (the decoder reads on as
zeros, but not for long: `rangedecoder.h`).
"""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

# `perfect` must be given: without it the library prints a warning on stdout, which may be the user's pipe, and its
# default, which decides the words, is announced to change.
_TURN = constriction.stream.model.Bernoulli(perfect=False)
_SCALE = 1.0 / 65536.0
_WORD = np.dtype(">u4")
_INTERVAL = 8  # bytes of the interval's ends behind the words that are settled
_INTERVAL_MASK = (1 << 8 * _INTERVAL) - 1
_MOST_CUT = 16  # bytes: the decoder allows for 32, of which it looks 8 ahead


class TurnEncoder:
    """Collects turns; `finish` gives the bytes."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, bits: NDArray[np.uint8] | bytes, probabilities: NDArray[np.uint16] | bytes) -> None:
        """Append turns: bits (n,) of 0 or 1, probabilities (n,) of bit 1 in units of 1/65536.

        Bytes are taken as the arrays' memory. Raises ValueError for lengths that differ or a probability of 0.
        """
        turns = np.frombuffer(bits, np.uint8).astype(np.int32)
        chances = np.frombuffer(probabilities, np.uint16) * _SCALE
        if len(turns) != len(chances):
            raise ValueError("as many probabilities as bits are needed")
        if len(turns) == 0:
            return
        if not chances.all():
            raise ValueError("a probability must be 1 to 65535")
        self._coder.encode(turns, _TURN, chances)

    @property
    def state(self) -> tuple[int, tuple[int, int]]:
        """Words that are settled; the lower end and the width of the interval behind them, in units of 2**-64 of its word pair."""
        at, (lower, width) = self._coder.pos()
        return at, (int(lower), int(width))

    def words(self) -> NDArray[np.uint32]:
        """All turns so far as whole words, (n,)."""
        words: NDArray[np.uint32] = self._coder.get_compressed()
        return words

    def finish(self) -> bytes:
        """All turns so far in as few bytes as can be.

        Any number of the last interval stands for them. Taken is the one with the most zero bytes at its end, since these are cut off;
        constriction's own has a random last word.
        """
        at, (lower, width) = self.state
        size = 4 * at + _INTERVAL
        within = int.from_bytes(self.words().astype(_WORD).tobytes().ljust(size, b"\0"), "big")
        start = within - ((within - lower) & _INTERVAL_MASK)  # a carry that is open is settled within
        for zeros in range(8 * _INTERVAL, -8, -8):
            number = -(-start >> zeros) << zeros
            if number < start + width:
                break
        return _cut(number.to_bytes(size, "big"))


def _cut(data: bytes) -> bytes:
    """Without the zeros at its end. Many turns to the left leave many zeros; a decoder that met no end of them would not see damage."""
    return data.rstrip(b"\0").ljust(len(data) - _MOST_CUT, b"\0")
