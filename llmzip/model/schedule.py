"""Which rows are evaluated when: the same windows for the encoder's prefill and the decoder's lock step.

A stream of n tokens takes n rows: the start token, then its first n - 1 tokens; row i gives the logits of token i.
All streams of a block are aligned: they slide at the same rows, so one schedule serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llmzip.model.base import Window


@dataclass(frozen=True)
class Span:
    """Rows start .. stop-1 of a stream, evaluated at cache positions from `position` on, after a slide if `slide`."""

    start: int
    stop: int
    position: int
    slide: bool


def spans(length: int, window: Window, most: int, position: int = 0) -> Iterator[Span]:
    """Cut a stream of `length` rows into spans of at most `most` rows. With most = 1: the decoder's steps.

    position: rows that its cache holds already.

    format: where a window slides decides which tokens the model sees, hence every probability after it.
    """
    row = 0
    while row < length:
        slide = position == window.context
        if slide:
            position -= window.drop
        stop = min(row + most, length, row + window.context - position)
        yield Span(row, stop, position, slide)
        position += stop - row
        row = stop


def span_at(row: int, window: Window, position: int = 0) -> Span:
    """The decoder's step of this row: what `spans` with most = 1 comes to."""
    beyond = position + row - window.context
    if beyond < 0:
        return Span(row, row + 1, position + row, False)
    after = beyond % window.drop
    return Span(row, row + 1, window.context - window.drop + after, after == 0)


def slid(row: int, window: Window, position: int = 0) -> int:
    """The last of the decoder's steps before that of this row in which the window slid; -1 for none. position: as in `spans`."""
    beyond = position + row - 1 - window.context
    return -1 if beyond < 0 else row - 1 - beyond % window.drop
