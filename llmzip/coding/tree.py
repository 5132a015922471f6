"""The vocabulary tree: coding a token is coding the left/right turns on the path to its leaf."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class VocabularyTree:
    """A balanced binary tree over the tokens sorted by their bytes, so that a subtree is a common prefix.

    Leaf r (a token's *rank*) is the token `order[r]`; `ranks` is the inverse. A path has `depth` = ceil(log2 V) turns,
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
        self.leaves = len(order)
        self.depth = (self.leaves - 1).bit_length()
