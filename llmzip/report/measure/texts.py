"""The texts that are measured: whether they are text, samples of large ones, text8, and counts of their units."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzipError

_PIECES = 64  # pieces of a sample, if they can have the sizes below
_SMALLEST_PIECE, _LARGEST_PIECE = 4 << 10, 16 << 10

_MOST_ODD = 0.2  # share of control and undecodable characters in what still counts as text
_ODD = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f\udc80-\udcff]")
_WORD = re.compile(r"\S+")
_WORD_IN_BYTES = re.compile(rb"\S+")
_DIGITS = (b"zero", b"one", b"two", b"three", b"four", b"five", b"six", b"seven", b"eight", b"nine")


@dataclass(frozen=True)
class Text:
    """What is measured. `size` is that of the whole file; `joints` are the places in `data` where pieces of a sample
    begin, empty unless `sampled`."""

    name: str
    data: bytes
    size: int
    sampled: bool = False
    joints: tuple[int, ...] = ()


def take(
    stream: BinaryIO,
    name: str,
    *,
    size: int | None,
    sample: int | None = None,
    seed: int = 0,
    text8: bool = False,
    force: bool = False,
) -> Text:
    """Read a text, or seeded pieces of at most about `sample` bytes in all.

    size: bytes of the stream, None if unknown. force: take data that does not look like text.
    Raises LlmzipError for what is empty, no text, or cannot be sampled; OSError as the stream does.
    """
    pieces = None
    if sample is not None:
        if size is None:
            raise LlmzipError("cannot be sampled, since it is no regular file: leave out --sample")
        if size > max(sample, _SMALLEST_PIECE):
            pieces = [piece for piece in _pieces(stream, size, sample, seed) if piece]
    if pieces is None:
        data = stream.read()
        length = len(data)
        if not data:
            raise LlmzipError("is empty: there is nothing to measure")
        _require_text(data, force)
        data = to_text8(data) if text8 else data
        joints: tuple[int, ...] = ()
    else:
        _require_text(b"".join(pieces), force)
        length = size or 0
        if text8:
            pieces = [made for piece in pieces if (made := to_text8(piece))]
        data = b"\n".join(pieces) if not text8 else b" ".join(pieces)
        joints = tuple(np.cumsum([0, *(len(piece) + 1 for piece in pieces[:-1])]).tolist())
    if not data:
        raise LlmzipError("has no letters or digits: nothing is left after --text8")
    return Text(name, data, length, pieces is not None, joints)


def piece_size(sample: int) -> int:
    """Bytes of one piece of a sample: short enough for many pieces, long enough for some context."""
    return min(_LARGEST_PIECE, max(_SMALLEST_PIECE, sample // _PIECES))


def _pieces(stream: BinaryIO, size: int, sample: int, seed: int) -> list[bytes]:
    """Pieces of a file, one at a random place in each of as many equal parts of it, cut at blanks."""
    generator = random.Random(seed)
    length = piece_size(sample)
    count = max(1, sample // length)
    part = size / count
    found = []
    for i in range(count):
        stream.seek(int(i * part + generator.random() * (part - length)))
        found.append(_whole_words(stream.read(length)))
    return found


def _whole_words(piece: bytes) -> bytes:
    """Without the broken words at both ends, or at least without broken characters."""
    first = re.search(rb"\s", piece[:256])
    last = max(piece.rfind(b" "), piece.rfind(b"\n"))
    if first and last > len(piece) - 256:
        return piece[first.end() : last]
    start = 0
    while start < min(3, len(piece)) and piece[start] & 0xC0 == 0x80:
        start += 1
    stop = len(piece)
    for back in range(1, min(4, len(piece)) + 1):
        if piece[-back] >= 0xC0:
            stop -= back
            break
        if piece[-back] < 0x80:
            break
    return piece[start:stop]


def _require_text(data: bytes, force: bool) -> None:
    if force:
        return
    if b"\0" in data:
        raise LlmzipError(
            "is no text (it holds NUL bytes; UTF-16 must be converted first): skipped; -f measures it anyway"
        )
    odd = len(_ODD.findall(data.decode("utf-8", "surrogateescape")))
    if odd > _MOST_ODD * len(data):
        raise LlmzipError("is no text in UTF-8 (old encodings must be converted first): skipped; -f measures it anyway")


def to_text8(data: bytes) -> bytes:
    """The 27 symbols of text8: a to z and single blanks.

    The last steps of Mahoney's wikifil.pl (mattmahoney.net/dc/textdata.html): letters in lower case, digits spelled
    out, everything else a blank. Blanks at both ends are dropped.
    """
    table = bytearray(b" " * 256)
    table[ord("a") : ord("z") + 1] = bytes(range(ord("a"), ord("z") + 1))
    table[ord("A") : ord("Z") + 1] = bytes(range(ord("a"), ord("z") + 1))
    table[ord("0") : ord("9") + 1] = bytes(range(ord("0"), ord("9") + 1))
    data = data.translate(bytes(table))
    for digit, word in enumerate(_DIGITS):
        data = data.replace(b"%d" % digit, b" " + word + b" ")
    return b" ".join(data.split())


@dataclass(frozen=True)
class Counts:
    """How many units a text or a part of it has; `characters` is None where it is not all UTF-8."""

    bytes: int
    characters: int | None
    words: int
    tokens: int

    def rate(self, bits: float, unit: str) -> float | None:
        """Bits per "character", "byte", "word" or "token"; None where there is no such unit."""
        count = getattr(self, f"{unit}s")
        return bits / count if count else None


def count_units(data: bytes, tokens: int) -> Counts:
    """Counts of a whole text; words are what white space separates."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Counts(len(data), None, len(data.split()), tokens)
    return Counts(len(data), len(text), len(text.split()), tokens)


def characters_at(data: bytes, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Characters that begin in data before each offset, shape as `offsets`."""
    starts = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
    return np.concatenate([[0], np.cumsum(starts)])[offsets]


def words_at(data: bytes, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Words that begin in data before each offset, shape as `offsets`."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        starts = np.array([match.start() for match in _WORD_IN_BYTES.finditer(data)], np.int64)
    else:
        starts = np.array([match.start() for match in _WORD.finditer(text)], np.int64)
        if len(text) != len(data):
            starts = np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)[starts]
    return np.searchsorted(starts, offsets, "left")


def drawn(sizes: Sequence[int], sample: int, seed: int) -> list[int]:
    """Numbers of random documents, in their order, until they come to `sample` bytes; sizes: bytes of each."""
    order = list(range(len(sizes)))
    random.Random(seed).shuffle(order)
    chosen, size = [], 0
    for number in order:
        if size >= sample:
            break
        chosen.append(number)
        size += sizes[number]
    return sorted(chosen)
