"""Every token of a block evaluated once, by prefill: the one scoring loop of the program."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from llmzip.model.base import Evaluator, LanguageModel, Window
from llmzip.model.schedule import Span, spans, stream_lengths

ROWS = 512  # rows of one evaluation: large enough for the speed of matrix products, small enough for the cache


class Session:
    """A loaded model with its evaluators kept from block to block (making one allocates and clears its caches)."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self._evaluator: Evaluator | None = None
        self._shape: tuple[int, int, int] | None = None

    def evaluator(self, streams: int, context: int, rows: int) -> Evaluator:
        """An evaluator of this shape with empty caches; the one given out before is no longer valid."""
        shape = (streams, context, rows)
        if self._shape != shape:
            self.release()
            self._evaluator, self._shape = self.model.evaluator(*shape), shape
        self._evaluator.clear()
        return self._evaluator

    def release(self) -> None:
        """Free the caches."""
        if self._evaluator is not None:
            self._evaluator.close()
        self._evaluator = self._shape = None

    def close(self) -> None:
        """Free caches and model."""
        self.release()
        self.model.close()


def prefill(
    session: Session, tokens: NDArray[np.int32], streams: int, window: Window
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Logits of every token of a block, as pairs (indices, logits).

    logits, shape (rows, V), are what the model predicts for tokens[indices]; they are valid until the next pair.
    Streams are evaluated in groups, so that spans of a few positions still make full batches.
    """
    lengths = stream_lengths(len(tokens), streams)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    group = max(1, min(streams, ROWS // window.drop))
    longest = lengths[0] if lengths else 0
    most = min(ROWS // group, window.context)
    evaluator = session.evaluator(group, min(window.context, longest), group * most)
    inputs = np.concatenate([[session.model.start], tokens[:-1]]).astype(np.int32)
    inputs[starts] = session.model.start
    for first in range(0, streams, group):
        members = range(first, min(first + group, streams))
        if first:
            evaluator.clear()
        for span in spans(lengths[first], window, most):
            if span.slide:
                evaluator.slide(len(members), window.drop)
            indices, positions, slots = _rows(span, [(starts[s], lengths[s]) for s in members])
            yield indices, evaluator.evaluate(inputs[indices], positions, slots)


def _rows(span: Span, streams: list[tuple[int, int]]) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
    """Token indices, cache positions and stream slots of a span's rows, stream by stream."""
    stops = [min(span.stop, length) for _, length in streams]
    indices = np.concatenate([start + np.arange(span.start, stop) for (start, _), stop in zip(streams, stops, strict=True)])
    positions = np.concatenate([np.arange(stop - span.start) for stop in stops]) + span.position
    slots = np.repeat(np.arange(len(streams)), [stop - span.start for stop in stops])
    return indices, positions.astype(np.int32), slots.astype(np.int32)
