"""The vocabulary tree: coding a token is coding the left/right turns on the path to its leaf."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# format: bits of a token's kind, as in columns.h.
FIELD, LINE, NUMBER = 1, 2, 4


def kind_of(piece: bytes) -> int:
    """What a token means for the layout of a text: whether it begins a field (not with a letter, a digit or a byte beyond
    ASCII), whether it ends a line (a line end, or the brace that ends a record), whether it is a number."""
    if not piece:
        return 0
    first = piece[:1]
    begins = first.isascii() and not first.isalnum()
    number = piece.strip().isdigit()
    return FIELD * begins | LINE * (b"\n" in piece or b"}" in piece) | NUMBER * number


class VocabularyTree:
    """A balanced binary tree over the tokens sorted by their bytes, so that a subtree is a common prefix.

    Leaf r (a token's *rank*) is the token `order[r]`; `ranks` is the inverse, `kinds` holds
    the kinds of the leaves' tokens. A path has `depth` = ceil(log2 V) turns,
    the bits of the rank from the highest down (1 = right). Where a node's right child holds no leaf the turn is forced.

    format: the order of the leaves decides what every turn means.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        if len(pieces) < 2:
            raise ValueError("a vocabulary needs at least two tokens")
        order = sorted(range(len(pieces)), key=lambda token: (pieces[token], token))
        self.order: NDArray[np.int32] = np.array(order, np.int32)
        self.ranks: NDArray[np.uint32] = np.empty(len(order), np.uint32)
        self.ranks[self.order] = np.arange(len(order), dtype=np.uint32)
        self.kinds = bytes(kind_of(pieces[token]) for token in order)
        self.leaves = len(order)
        self.depth = (self.leaves - 1).bit_length()
