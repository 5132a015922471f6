"""Which rows a step sees: every source in its share, each row once before any row comes again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Sampler:
    """Draws rows of `context` + 1 tokens from per-source arrays of shape (tokens,).

    Rows are taken at multiples of `context`, mostly in the middle of a document, as sliding windows are when the model
    is used. The order is a seeded permutation per source and pass; each further pass begins at another offset. The
    state is one counter per source, so that a resumed run sees exactly the rows it would have seen.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], shares: Mapping[str, float], context: int, seed: int) -> None:
        total = sum(shares[name] for name in arrays)
        if not arrays or total <= 0:
            raise ValueError("no source with a share above zero")
        self.arrays = dict(arrays)
        self.shares = {name: shares[name] / total for name in arrays}
        self.context, self.seed = context, seed
        self.drawn = dict.fromkeys(arrays, 0)
        self._order: dict[str, tuple[int, np.ndarray]] = {}
        for name, array in arrays.items():
            if len(array) < 2 * context + 1:
                raise ValueError(f"source {name}: {len(array)} tokens are too few for rows of {context}")

    def state(self) -> dict[str, int]:
        return dict(self.drawn)

    def restore(self, state: Mapping[str, int]) -> None:
        self.drawn |= {name: count for name, count in state.items() if name in self.drawn}

    def rows(self, count: int) -> np.ndarray:
        """The next rows, int64 of shape (count, context + 1)."""
        return np.stack([self._row(self._next_source()) for _ in range(count)]).astype(np.int64)

    def _next_source(self) -> str:
        """The source furthest behind its share: exact proportions without chance."""
        total = sum(self.drawn.values()) + 1
        return max(self.shares, key=lambda name: self.shares[name] * total - self.drawn[name])

    def _row(self, name: str) -> np.ndarray:
        array = self.arrays[name]
        # One row fewer than fits leaves room for the offset of later passes.
        rows = (len(array) - 1) // self.context - 1
        turn, index = divmod(self.drawn[name], rows)
        if self._order.get(name, (-1, None))[0] != turn:
            rng = np.random.default_rng([self.seed, turn, *name.encode()])
            self._order[name] = (turn, rng.permutation(rows))
        self.drawn[name] += 1
        offset = (turn * 193) % self.context
        start = int(self._order[name][1][index]) * self.context + offset
        return array[start : start + self.context + 1]
