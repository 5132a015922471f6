"""What the model alone says of every token: its cost in bits, its rank, and what else was likely."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_CELLS = 1 << 22  # logits looked at together: bounds the memory


class Scores:
    """Filled in as a block's logits pass by (`add` is a `Watch` of the codec).

    tokens: (n,). alternatives: how many likely tokens to keep with each token, 0 for none.
    After `add` for all rows: bits (n,), float64, -log2 p; ranks (n,), int32, 0 for the most likely token;
    likely (n, alternatives), int32, the most likely tokens in order; chances (n, alternatives), float32, their p.
    Rows not seen yet have bits nan and rank -1.
    """

    def __init__(self, tokens: NDArray[np.int32], alternatives: int = 0) -> None:
        count = len(tokens)
        self.tokens = tokens
        self.bits = np.full(count, np.nan)
        self.ranks = np.full(count, -1, np.int32)
        self.likely = np.zeros((count, alternatives), np.int32)
        self.chances = np.zeros((count, alternatives), np.float32)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which tokens have been scored, (n,)."""
        return self.ranks >= 0

    def add(self, indices: NDArray[np.intp], logits: NDArray[np.float32]) -> None:
        """Score the tokens at `indices` (rows,) by the logits (rows, V) that predict them."""
        step = max(1, _CELLS // logits.shape[1])
        for start in range(0, len(indices), step):
            self._add(indices[start : start + step], logits[start : start + step])

    def _add(self, indices: NDArray[np.intp], logits: NDArray[np.float32]) -> None:
        tokens = self.tokens[indices]
        own = logits[np.arange(len(tokens)), tokens]
        peak = logits.max(axis=1)
        # Single precision for the terms, double for their sum: the error of a token's bits stays below 1e-6.
        total = np.exp(logits - peak[:, None]).sum(axis=1, dtype=np.float64)
        self.bits[indices] = (np.log(total) + peak.astype(np.float64) - own) / math.log(2)
        self.ranks[indices] = stable_ranks(logits, tokens, own)
        kept = self.likely.shape[1]
        if kept:
            some = np.argpartition(logits, -kept, axis=1)[:, -kept:]
            values = np.take_along_axis(logits, some, 1)
            order = np.lexsort((some, -values))
            self.likely[indices] = np.take_along_axis(some, order, 1)
            values = np.take_along_axis(values, order, 1)
            self.chances[indices] = np.exp(values.astype(np.float64) - peak[:, None]) / total[:, None]


def stable_ranks(logits: NDArray[np.float32], tokens: NDArray[np.int32], own: NDArray[np.float32]) -> NDArray[np.int32]:
    """Places (rows,) of the tokens in a stable descending sort of each row: among equals the smaller id comes first."""
    ranks: NDArray[np.int64] = np.count_nonzero(logits > own[:, None], axis=1)
    tied = np.flatnonzero(np.count_nonzero(logits == own[:, None], axis=1) > 1)
    for row in tied:
        ranks[row] += np.count_nonzero(logits[row, : tokens[row]] == own[row])
    return ranks.astype(np.int32)
