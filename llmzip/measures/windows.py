"""Parts of equal-info windows: intervals and how turns divide them, windows that are being filled or read, rows of evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.evaluation import Session
from llmzip.coding import cells

PIECES = 30  # in a window at most
_POSITIONS = 32

# Probability of a right turn in units of 2^-16, by cell: integers, the same everywhere.
RIGHT = np.clip(np.rint(65536 / (1 + np.exp(-np.array(cells.CENTRES) / cells.UNIT))), 1, 65535).astype(np.int64)


def turned(
    turn: NDArray[np.bool_],
    coded: NDArray[np.bool_],
    found: NDArray[np.uint8],
    low: NDArray[np.int64],
    size: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Intervals after a turn: the left part comes first; a forced turn takes all."""
    right = (size * RIGHT[found] + (1 << 15)) >> 16
    left = size - right
    return np.where(coded & turn, low + left, low), np.where(coded, np.where(turn, right, left), size)


class Lane:
    """A part of a text on its way into windows. natural: tokens by where they begin. pieces: how many the open window has; token: the
    last of them."""

    def __init__(self, text: bytes, natural: dict[int, int]) -> None:
        self.text, self.at, self.natural = text, 0, natural
        self.codes: list[int] = []
        self.pieces = self.low = self.size = self.token = 0

    def take(self, token: int, length: int, low: int, size: int) -> None:
        """A piece more; the window ends where nothing can follow."""
        self.at += length
        self.token, self.low, self.size = token, low, size
        self.pieces += 1
        if size == 1 or self.pieces == PIECES or self.at == len(self.text):
            self.end()

    def end(self) -> None:
        """Write the window: the lowest number of its interval."""
        self.codes.append(self.low)
        self.pieces = 0


@dataclass
class Window:
    """A window that is being decoded."""

    number: int
    code: int
    tokens: list[int]
    low: int
    size: int

    @property
    def done(self) -> bool:
        """Whether no piece follows."""
        return self.size == 1 or self.code == self.low or len(self.tokens) == PIECES


class Steps:
    """One row for each of some windows at a time. Stream 0 holds the start token, which every window begins with."""

    def __init__(self, session: Session, lanes: int) -> None:
        self._evaluator = session.evaluator(lanes + 1, _POSITIONS, lanes + 1)
        start = np.array([session.model.start], np.int32)
        self._evaluator.evaluate(start, np.zeros(1, np.int32), np.zeros(1, np.int32))

    def evaluate(self, rows: list[tuple[int, int, int]]) -> NDArray[np.float32]:
        """Logits (rows, V) that follow these: (lane, token, its place in the window, from 1 on)."""
        for lane, _, place in rows:
            if place == 1:
                self._evaluator.copy(0, lane + 1, lane + 2)
        lanes, tokens, places = (np.array(column, np.int32) for column in zip(*rows, strict=True))
        return self._evaluator.evaluate(tokens, places, lanes + 1)
