"""What is told of a run: its progress, and at the end what was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmzip.codec.pipeline import ShareDone

BytesDone = Callable[[int], None]
"""Told how many bytes of the original were newly done."""


@dataclass
class Summary:
    """What a run did. original, compressed: bytes; seconds: of wall clock, from the first block to the last.

    characters: Unicode characters of the original, None where it is not all UTF-8. tokens: of blocks that the model coded.
    unverified: blocks that the model coded but did not restore when they were verified, and that were stored otherwise.
    repaired: blocks in which drift beyond the tolerance had to be put right.
    """

    original: int = 0
    compressed: int = 0
    characters: int | None = 0
    blocks: int = 0
    tokens: int = 0
    unverified: int = 0
    repaired: int = 0
    seconds: float = 0.0

    def count_text(self, data: bytes) -> None:
        """Add one block of the original."""
        self.original += len(data)
        self.blocks += 1
        if self.characters is not None and data.isascii():
            self.characters += len(data)
        elif self.characters is not None:
            try:
                self.characters += len(data.decode())
            except UnicodeDecodeError:
                self.characters = None


def portion(report: ShareDone, start: float, stop: float) -> ShareDone:
    """Tells the shares of a part that goes from `start` to `stop` of the whole."""
    return lambda share: report(start + share * (stop - start))


class Reporter:
    """Turns the share of a block that is done into newly done bytes."""

    def __init__(self, progress: BytesDone | None, length: int) -> None:
        self._progress, self._length, self._done = progress, length, 0

    def __call__(self, share: float) -> None:
        done = int(share * self._length)
        if self._progress and done > self._done:
            self._progress(done - self._done)
            self._done = done
