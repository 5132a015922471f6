"""Bits against context: LLMZip's table over the number of tokens that the model may look back on.

For a window of M tokens, runs of M + 1 tokens are evaluated, each from a fresh cache, and the last `stride` tokens of
each run are scored: they have M - stride + 1 to M tokens before them (and the model's start token). With a stride of 1
every token has exactly M, as in the paper, at the price of M + 1 evaluations a token. The runs go through the codec's
evaluation as so many streams of equal length. All windows score the same tokens.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from llmzip.codec.evaluation import Session, prefill
from llmzip.codec.layout import Layout
from llmzip.errors import LlmzipError
from llmzip.model.base import Window
from llmzip.report.measure.columns import Columns
from llmzip.report.measure.scores import Scores
from llmzip.report.measure.stopping import Stopped
from llmzip.report.measure.texts import Counts

SEGMENT = 64
"""Tokens that lie together among those that are scored; the unit of the intervals."""

PART = 8
"""By default the stride is this part of the window."""


@dataclass(frozen=True)
class WindowRow:
    """Bits of the scored tokens, which had `mean_context` tokens before them on average.

    counts: units of the scored tokens; margins: half widths of 95 % intervals of bits per unit, by unit.
    """

    window: int
    stride: int
    mean_context: float
    bits: float
    counts: Counts
    margins: dict[str, float]
    partial: bool = False

    def per(self, unit: str) -> float | None:
        """Bits per character, byte, word or token."""
        return self.counts.rate(self.bits, unit)


def segments(count: int, longest: int, wanted: int, seed: int) -> list[tuple[int, int]]:
    """Segments (start, stop) of the tokens to score: at least `longest` from the start, about `wanted` tokens in all.

    Raises LlmzipError for a text that is too short.
    """
    room = count - longest
    if room < 1:
        raise LlmzipError(f"has only {count} tokens: too few for a window of {longest}")
    size = min(SEGMENT, room)
    slots = list(range(longest, count - size + 1, size))
    chosen = sorted(random.Random(seed).sample(slots, min(len(slots), max(1, wanted // size))))
    return [(start, start + size) for start in chosen]


def default_stride(window: int) -> int:
    """What the stride is unless the user says otherwise."""
    return max(1, window // PART)


def evaluate_window(
    session: Session,
    columns: Columns,
    targets: Sequence[tuple[int, int]],
    window: int,
    stride: int,
    progress: Callable[[int], None] | None = None,
) -> WindowRow:
    """Score the tokens of `targets` with `window` tokens of context.

    columns: the text's tokens; progress: told of rows evaluated. A `Stopped` raised by it ends the work early: the row
    is then partial, over what was scored.
    """
    if not 1 <= stride <= window:
        raise LlmzipError(f"a stride of {stride} does not fit a window of {window}: it must be 1 to {window}")
    runs = _runs(targets, stride)
    length = window + 1
    places = np.concatenate([np.arange(stop - length, stop) for stop, _ in runs])
    wanted = np.concatenate([np.arange(length) >= length - scored for _, scored in runs])
    scores = Scores(columns.tokens[places])
    partial = False
    try:
        # A run never fills its window, so nothing slides.
        for indices, logits in prefill(
            session, scores.tokens, Layout(len(scores.tokens), len(runs)), Window(length, 1)
        ):
            mine = wanted[indices]
            if mine.any():
                scores.add(indices[mine], logits[mine])
            if progress:
                progress(len(indices))
    except Stopped:
        partial = True
    done = np.flatnonzero(scores.seen)
    part = columns.of(
        places[done], scores.bits[done], np.searchsorted([start for start, _ in targets], places[done], "right")
    )
    context = float((done % length).mean()) if len(done) else 0.0
    return WindowRow(window, stride, context, part.total(), part.counts(), part.margins(), partial)


def evaluations(count: int, windows: Sequence[int], *, stride: int | None, tokens: int, seed: int) -> int:
    """Evaluations that all windows take on a text of `count` tokens. Raises LlmzipError for one that is too short."""
    targets = segments(count, max(windows), tokens, seed)
    return sum(len(_runs(targets, stride or default_stride(window))) * (window + 1) for window in windows)


def _runs(targets: Sequence[tuple[int, int]], stride: int) -> list[tuple[int, int]]:
    """Pairs (where a run ends in the text, how many tokens at its end to score) that cover the targets."""
    return [
        (min(first + stride, stop), min(stride, stop - first))
        for start, stop in targets
        for first in range(start, stop, stride)
    ]
