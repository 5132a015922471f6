"""The range coder: turns and their probabilities to bytes and back.

A thin layer over `constriction`'s queue range coder (32-bit words, 64-bit state; Martin, "Range encoding", 1979).
Probabilities are uint16 in units of 1/65536 of a right turn (bit 1), 1..65535: as float64 they are exact, so the
coder's own fixed-point form of them is the same on every machine.

format: words are written little-endian, zero bytes at the end are cut, at most 16 of them (the decoder reads on as zeros, but not for
long: `rangedecoder.h`).
"""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.coding.turndecoder import TurnDecoder
from llmzip.errors import CorruptError

# `perfect` must be given: without it the library prints a warning on stdout, which may be the user's pipe, and its
# default, which decides the words, is announced to change.
_TURN = constriction.stream.model.Bernoulli(perfect=False)
_SCALE = 1.0 / 65536.0
_WORD = np.dtype("<u4")
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
        """All turns so far as bytes."""
        return _cut(self.words().astype(_WORD).tobytes())


def _cut(data: bytes) -> bytes:
    """Without the zeros at its end. Many turns to the left leave many zeros; a decoder that met no end of them would not see damage."""
    return data.rstrip(b"\0").ljust(len(data) - _MOST_CUT, b"\0")


def shortest(bits: NDArray[np.uint8] | bytes, probabilities: NDArray[np.uint16] | bytes) -> bytes:
    """All turns in as few bytes as can be: words with their highest byte first, zero bytes at the end cut off.

    The range coder may end at any number of an interval; its own choice has a random last word. `from_shortest` makes what a
    TurnDecoder reads.
    """
    encoder = TurnEncoder()
    encoder.encode(bits, probabilities)
    at, (lower, width) = encoder.state
    words = encoder.words().astype(">u4").tobytes()
    turns, chances = np.frombuffer(bits, np.uint8), np.frombuffer(probabilities, np.uint16)
    # The number of the interval with the most zeros at its end; it may carry into earlier words.
    first = int.from_bytes(words[: 4 * at], "big") << 64
    for shift in range(56, -8, -8):
        number = -(-lower >> max(shift, 0)) << max(shift, 0)
        if number < lower + width and first + number < 1 << 8 * (4 * at + 8):
            found = _cut((first + number).to_bytes(4 * at + 8, "big"))
            decoder = TurnDecoder(from_shortest(found))
            try:
                if np.array_equal(decoder.decode(chances), turns):
                    return found
            except CorruptError:
                pass
    return _cut(words)


def _padded(data: bytes) -> bytes:
    """Whole words, with the zeros that were cut off."""
    return data + bytes(-len(data) % 4)


def from_shortest(data: bytes) -> bytes:
    """What a TurnDecoder reads, of what `shortest` made."""
    return np.frombuffer(_padded(data), ">u4").astype(_WORD).tobytes()
