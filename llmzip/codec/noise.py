"""Bytes in which there is nothing to find: what is compressed or encrypted already, samples of noise, numbers as chance would have them.

A model would go over all of them, only to lose against a classic codec. Three looks of rising cost tell them from programs, pictures,
sound and records, all of which the mixer codes smaller: that they are no text; that zstd finds no repeats, so that it does no better than the
entropy of single bytes; that bytes say next to nothing of those soon behind them.
"""

from __future__ import annotations

from collections import Counter
from math import log, log2

_SAMPLE = 1 << 14  # bytes, from the middle
_CONTROLS = bytes({*range(0x01, 0x20), 0x7F} - set(b"\t\n\f\r\x1b"))
_STRANGE = 0.1  # share of the bytes of a text that no text holds, at most
_NO_REPEATS = 0.97  # of the entropy of single bytes
_LAGS = 4
_TELLING = 0.35  # bits; of records and smooth sound half a bit and more, of floating point numbers a third, of noise less than a tenth
_TOP = bytes(byte >> 5 for byte in range(256))


def strange(data: bytes) -> int:
    """How many bytes are control characters or no part of UTF-8. NUL counts as neither: archives pad with it."""
    odd = len(data) - len(data.translate(None, _CONTROLS))
    return odd if data.isascii() else odd + len(data) - len(data.decode("utf-8", "ignore").encode())


def is_text(data: bytes) -> bool:
    """Whether bytes are mostly UTF-8 without control characters."""
    return strange(data) <= _STRANGE * len(data)


def is_noise(data: bytes, classic_length: int) -> bool:
    """Whether a block of some 16 KiB and more is noise. classic_length: what zstd makes of it in passing."""
    at = max(0, (len(data) - _SAMPLE) // 2)
    sample = data[at : at + _SAMPLE]
    if is_text(sample) or classic_length < _NO_REPEATS * _entropy(Counter(data)) * len(data) / 8:
        return False
    return all(told(sample, lag) < _TELLING for lag in range(1, _LAGS + 1))


def told(data: bytes, lag: int) -> float:
    """Bits that the three highest bits of a byte tell of the byte `lag` places behind it, beyond what its place, even or odd, tells.

    Mutual information, less the bias of its estimate from few samples (Miller, "Note on the bias of information estimates", 1955).
    """
    tops = data.translate(_TOP)
    bits = 0.0
    for parity in (0, 1):
        bytes_, before = data[lag + parity :: 2], tops[parity : len(data) - lag : 2]
        if not bytes_:
            return 0.0
        one, other, both = Counter(bytes_), Counter(before), Counter(zip(before, bytes_, strict=True))
        bias = (len(both) - len(one) - len(other) + 1) / (2 * log(2) * len(bytes_))
        bits += (_entropy(one) + _entropy(other) - _entropy(both) - bias) / 2
    return bits


def _entropy(counts: Counter[int] | Counter[tuple[int, int]]) -> float:
    """Bits of one of the things that were counted."""
    total = counts.total()
    return log2(total) - sum([count * log2(count) for count in counts.values()]) / total
