"""The vocabulary tree: coding a token is coding the left/right turns on the path to its leaf."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# format: bits of a token's kind, as in turn.h.
FIELD, LINE, NUMBER, EDGE = 1, 2, 4, 8


_HEX_LETTERS = frozenset(bytes([letter]) for letter in b"abcdefABCDEF")
_PLAIN = [byte < 128 and not chr(byte).isalnum() for byte in range(256)]  # neither letter, digit nor beyond ASCII


def kind_of(piece: bytes) -> int:
    """What a token means for the layout of a text: whether it begins a field (not with a letter, a digit or a byte beyond
    ASCII), whether it ends a line (a line end, or the brace that ends a record), whether it is a number (digits, or a letter that
    may be a hexadecimal one: it seldom is a token of its own otherwise)."""
    if not piece:
        return 0
    number = piece.strip().isdigit() or piece in _HEX_LETTERS
    begins, edge = _PLAIN[piece[0]], _PLAIN[piece[-1]]
    return EDGE * edge | FIELD * begins | LINE * (b"\n" in piece or b"}" in piece) | NUMBER * number


def trait_of(piece: bytes) -> bytes:
    """What the mixer knows of a token, 10 bytes: its kind, the number of its last bytes, at most 8, and those, at the end."""
    last = piece[-8:]
    return bytes([kind_of(piece), len(last)]) + last.rjust(8, b"\0")


class VocabularyTree:
    """A balanced binary tree over the tokens sorted by their bytes, so that a subtree is a common prefix.

    Leaf r (a token's *rank*) is the token `order[r]`; `ranks` is the inverse, `traits` holds
    what the mixer is told of the leaves' tokens. A path has `depth` = ceil(log2 V) turns,
    the bits of the rank from the highest down (1 = right). Where a node's right child holds no leaf the turn is forced.

    format: the order of the leaves decides what every turn means.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        if len(pieces) < 2:
            raise ValueError("a vocabulary needs at least two tokens")
        order = sorted(range(len(pieces)), key=pieces.__getitem__)  # of equal pieces the lower token comes first
        self.order: NDArray[np.int32] = np.array(order, np.int32)
        self.ranks: NDArray[np.uint32] = np.empty(len(order), np.uint32)
        self.ranks[self.order] = np.arange(len(order), dtype=np.uint32)
        self.traits = b"".join(trait_of(pieces[token]) for token in order)
        self.leaves = len(order)
        self.depth = (self.leaves - 1).bit_length()

    def coded(self, level: int, ranks: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether the turn at this level is coded, on the way to each of these leaves, (n,)."""
        node = ranks.astype(np.int64) >> (self.depth - level)
        return (2 * node + 1) << (self.depth - level - 1) < self.leaves


class LeaningTree(VocabularyTree):
    """A tree of the same leaves in the same order, in which frequent tokens have short paths: `lengths` (leaves,) turns.

    The mixer knows the paths; here ranks stay places in the order of leaves.
    """

    def __init__(self, pieces: Sequence[bytes], lengths: NDArray[np.uint8]) -> None:
        super().__init__(pieces)
        self.lengths = lengths
        self.depth = int(lengths.max())

    def coded(self, level: int, ranks: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether the turn at this level is coded, on the way to each of these leaves, (n,)."""
        return self.lengths[ranks] > level
