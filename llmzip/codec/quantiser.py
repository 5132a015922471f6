"""The door between the soft and the hard side: odds of turns to cells, robust against drift.

The idea of sending a rare hint when a value lies close to an edge is PMATIC's (Adler and Tang, arXiv 2601.10678).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from llmzip.codec._cells import Grids
from llmzip.coding import cells

# format: the token that ends a line, and how many tolerances its turns keep from every edge. In lines of like length a network counts up to
# their end, and nothing else that it does is as sharp: nine of ten of the largest drifts are there (docs/portability.md).
LINE_END, LINE_MARGIN = b"\n", 4


class Quantiser:
    """Cells of turns, such that any odds within `tolerance` of the encoder's fall into the same cell.

    tolerance: largest drift of log odds between encoder and decoder, in units of 1e-6; 0 = odds are reproduced exactly.
    grids: the native half, for the decoder's loop.
    """

    def __init__(self, tolerance: int) -> None:
        self.tolerance = tolerance
        # With none at the ends.
        self._edges = tuple(
            np.concatenate([[-np.inf], np.array(edges) / cells.UNIT, [np.inf]])
            for edges in (cells.BASE_EDGES, cells.SHIFTED_EDGES)
        )
        self._grids = tuple(
            (first, np.exp(np.array(edges) / cells.UNIT))
            for first, edges in ((cells.BASE, cells.BASE_EDGES), (cells.SHIFTED, cells.SHIFTED_EDGES))
        )
        (base, base_edges), (shifted, shifted_edges) = self._grids
        self.grids = Grids(base, base_edges, shifted, shifted_edges, cells.NEUTRAL)

    def encode(
        self, odds: NDArray[np.float64], line_ends: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """States, shape (n,), and cells, shape (n, K), of n paths with the odds (n, K) of their turns.

        line_ends: which of the paths, (n,), lead to the end of a line; None: none.
        """
        states, found = self._encode(odds, 1)
        if self.tolerance and line_ends is not None and line_ends.any():
            states[line_ends], found[line_ends] = self._encode(odds[line_ends], LINE_MARGIN)
        return states, found

    def _encode(self, odds: NDArray[np.float64], margin: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """As `encode`; margin: from every edge, in tolerances."""
        states = np.zeros(len(odds), np.uint8)
        low, safe = self._robust_cells(0, odds, margin)
        if not safe.all():
            unsafe = np.flatnonzero(~safe)
            shifted, fits = self._robust_cells(1, odds[unsafe], margin)
            low[unsafe] = np.where(fits[:, None], shifted, np.uint8(cells.NEUTRAL))
            states[unsafe] = np.where(fits, cells.HALF_SHIFTED, cells.ESCAPED)
        return states, low

    def _robust_cells(
        self, grid: int, odds: NDArray[np.float64], margin: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        first, exact = self._grids[grid]
        if self.tolerance == 0:
            return (np.searchsorted(exact, odds, "right") + first).astype(np.uint8), np.ones(len(odds), bool)
        factor = math.exp(margin * self.tolerance * 1e-6)
        low = np.searchsorted(exact * factor, odds, "right")
        high = np.searchsorted(exact / factor, odds, "right")
        return (low + first).astype(np.uint8), (low == high).all(axis=1)

    def decode(self, odds: NDArray[np.float64], states: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        """Cells, into out (n,), of one turn in each of n paths with these odds (n,) and states (n,)."""
        found = np.empty(len(odds), np.uint8)
        self.grids.decode(np.ascontiguousarray(odds), np.ascontiguousarray(states), found)
        out[:] = found

    def nearest(
        self, odds: NDArray[np.float64], states: NDArray[np.uint8], found: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Distances (n, K) of the turns of n tokens with these states (n,) from the nearest edge of their grids, in tolerances, and the
        cells (n, K) beyond that edge, beside those that were `found`. Infinite where no edge is near: turns that are not coded, escaped tokens.
        """
        distances, beyond = np.full(odds.shape, np.inf), found.copy()
        for state, edges in zip((cells.SAFE, cells.HALF_SHIFTED), self._edges, strict=True):
            at = (states == state)[:, None] & (odds > 0)
            if at.any():
                z = np.log(odds[at])
                place = np.searchsorted(edges, z)
                below, above = z - edges[place - 1], edges[place] - z
                distances[at] = np.minimum(below, above) / (self.tolerance * 1e-6)
                beyond[at] = np.where(above < below, found[at] + 1, found[at] - 1)
        return distances, beyond
