"""Many short texts evaluated after contexts that they share: a context once, its cache copied, the texts in batches.

llama.cpp cuts a batch of unequal streams into pieces, so texts of like lengths go together, and the shorter ones of a
batch are filled up with rows that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.evaluation import ROWS, Session

_LOGITS = 1 << 25  # of one evaluation at most: bounds the memory for large vocabularies
_FEWEST_ROWS = 64
_MOST_STREAMS = 128
_CACHE_BYTES = 1 << 30  # of all streams together

Scored = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]
"""Rows of logits: the text and the place in it that each row predicts, (rows,) and (rows,), and logits (rows, V)."""


def batches(lengths: NDArray[np.intp], rows: int, streams: int) -> list[NDArray[np.intp]]:
    """Which texts of so many rows (n,) go together: the longest first, so that equals meet; at most `streams` of them, in at
    most `rows` rows when all are as long as the longest. Texts without rows are left out."""
    order = np.argsort(-lengths, kind="stable")
    made, at, stop = [], 0, int(np.count_nonzero(lengths))
    while at < stop:
        size = max(1, min(streams, rows // int(lengths[order[at]])))
        made.append(order[at : min(at + size, stop)])
        at += size
    return made


class Continuations:
    """Evaluates texts, (n_i,) tokens each, after contexts; a context, a text and the start token take at most `positions`.

    `rows` counts all rows that were evaluated, `needed` those that could not have been left out: each context once, and
    each text but for its last token, which predicts nothing, and its first, which the context's last row predicts.
    """

    def __init__(self, session: Session, texts: Sequence[NDArray[np.int32]], positions: int) -> None:
        self._session, self._texts = session, texts
        self._lengths = np.array([max(0, len(text) - 1) for text in texts], np.intp)
        self._most = min(ROWS, max(_FEWEST_ROWS, _LOGITS // len(session.model.pieces)))
        affordable = max(1, _CACHE_BYTES // max(1, session.model.stream_bytes(positions)) - 1)
        self._streams = min(_MOST_STREAMS, affordable)
        plan = batches(self._lengths, self._most, self._streams)
        widest = max((len(batch) for batch in plan), default=0)
        longest = int(self._lengths.max(initial=0))
        # The same shape for all contexts of these texts, so that the session need not make another evaluator.
        self._evaluator = session.evaluator(widest + 1, positions, max(self._most, longest))
        self._streams = max(1, widest)
        self.rows = self.needed = 0

    def context(self, tokens: NDArray[np.int32]) -> Iterator[Scored]:
        """Put a context, (n,), in the place of the one before. Yields logits that predict its tokens, text -1, and at last the
        one row that predicts whatever comes after it, place n."""
        self._evaluator.clear()
        inputs = np.concatenate([[self._session.model.start], tokens]).astype(np.int32)
        self._held = len(inputs)
        self.rows += self._held
        self.needed += self._held
        for start in range(0, self._held, self._most):
            stop = min(start + self._most, self._held)
            places = np.arange(start, stop)
            logits = self._evaluator.evaluate(
                inputs[start:stop], places.astype(np.int32), np.zeros(stop - start, np.int32)
            )
            if stop == self._held:
                self._last = logits[-1:].copy()
            yield np.full(stop - start, -1, np.intp), places, logits

    def texts(self, members: NDArray[np.intp]) -> Iterator[Scored]:
        """Logits that predict all tokens of these texts, (m,) numbers, after the context; valid until the next ones."""
        begun = members[[len(self._texts[i]) > 0 for i in members.tolist()]] if len(members) else members
        for at in range(0, len(begun), self._most):
            some = begun[at : at + self._most]
            yield some, np.zeros(len(some), np.intp), np.repeat(self._last, len(some), axis=0)
        for batch in batches(self._lengths[members], self._most, self._streams):
            yield self._batch(members[batch])

    def _batch(self, members: NDArray[np.intp]) -> Scored:
        count, length = len(members), int(self._lengths[members[0]])
        inputs = np.full((count, length), self._session.model.start, np.int32)
        for row, member in enumerate(members.tolist()):
            inputs[row, : self._lengths[member]] = self._texts[member][:-1]
        self._evaluator.copy(0, 1, count + 1)
        positions = np.tile(np.arange(self._held, self._held + length, dtype=np.int32), count)
        streams = np.repeat(np.arange(1, count + 1, dtype=np.int32), length)
        logits = self._evaluator.evaluate(inputs.ravel(), positions, streams)
        lengths = self._lengths[members]
        self.rows += count * length
        self.needed += int(lengths.sum())
        real = (np.arange(length) < lengths[:, None]).ravel()
        places = np.tile(np.arange(1, length + 1), count)
        if real.all():
            return np.repeat(members, length), places, logits
        return np.repeat(members, length)[real], places[real], logits[real]
