"""The vocabulary tree: coding a token is coding the left/right turns on the path to its leaf."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# format: bits of a token's kind, as in turn.h.
FIELD, LINE, NUMBER, EDGE = 1, 2, 4, 8


_HEX_LETTERS = frozenset(bytes([letter]) for letter in b"abcdefABCDEF")
_PLAIN = [byte < 128 and not chr(byte).isalnum() for byte in range(256)]  # neither letter, digit nor beyond ASCII
_BEGINS, _ENDS = [FIELD * plain for plain in _PLAIN], [EDGE * plain for plain in _PLAIN]
_LAST_OF_NUMBERS = frozenset(b"0123456789 \t\n\r\v\f")
_LAST_BYTES = 8


def kind_of(piece: bytes) -> int:
    """What a token means for the layout of a text: whether it begins a field (not with a letter, a digit or a byte beyond
    ASCII), whether it ends a line (a line end, or the brace that ends a record), whether it is a number (digits, or a letter that
    may be a hexadecimal one: it seldom is a token of its own otherwise)."""
    if not piece:
        return 0
    last = piece[-1]
    kind = _BEGINS[piece[0]] | _ENDS[last]
    if b"\n" in piece or b"}" in piece:
        kind |= LINE
    if (last in _LAST_OF_NUMBERS and piece.strip().isdigit()) or piece in _HEX_LETTERS:
        kind |= NUMBER
    return kind


def traits_of(pieces: Iterable[bytes]) -> bytes:
    """What the mixer knows of tokens, 10 bytes each: its kind, the number of its last bytes, at most 8, and those, at the end."""
    heads = [[bytes([kind, count]) for count in range(_LAST_BYTES + 1)] for kind in range(2 * EDGE)]
    padding = bytes(_LAST_BYTES)
    return b"".join(
        [heads[kind_of(piece)][min(len(piece), _LAST_BYTES)] + (padding + piece)[-_LAST_BYTES:] for piece in pieces]
    )


class VocabularyTree:
    """A balanced binary tree over the tokens sorted by their bytes, so that a subtree is a common prefix.

    Leaf r (a token's *rank*) is the token `order[r]`; `ranks` is the inverse, `traits` holds
    what the mixer is told of the leaves' tokens. `ranks_of` and `tokens_of` need no arrays. A path has `depth` = ceil(log2 V) turns,
    the bits of the rank from the highest down (1 = right). Where a node's right child holds no leaf the turn is forced.

    format: the order of the leaves decides what every turn means.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        if len(pieces) < 2:
            raise ValueError("a vocabulary needs at least two tokens")
        order = sorted(range(len(pieces)), key=pieces.__getitem__)  # of equal pieces the lower token comes first
        ranks = [0] * len(order)
        for rank, token in enumerate(order):
            ranks[token] = rank
        self._order, self._ranks = order, ranks
        self.traits = traits_of([pieces[token] for token in order])
        self.leaves = len(order)
        self.depth = (self.leaves - 1).bit_length()

    @cached_property
    def order(self) -> NDArray[np.int32]:
        """The token of each leaf, (leaves,)."""
        import numpy as np

        return np.array(self._order, np.int32)

    @cached_property
    def ranks(self) -> NDArray[np.uint32]:
        """The leaf of each token, (leaves,)."""
        import numpy as np

        return np.array(self._ranks, np.uint32)

    def ranks_of(self, tokens: Iterable[int]) -> array[int]:
        """The leaves of tokens, four bytes each."""
        return array("I", map(self._ranks.__getitem__, tokens))

    def tokens_of(self, ranks: Iterable[int]) -> array[int]:
        """The tokens of leaves, four bytes each."""
        return array("i", map(self._order.__getitem__, ranks))

    @property
    def fewest_turns(self) -> int:
        """Coded turns on the way to a leaf at least: those of the last one, all of whose turns to the left are forced."""
        return (self.leaves - 1).bit_count()

    def coded(self, level: int, ranks: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether the turn at this level is coded, on the way to each of these leaves, (n,)."""
        node = ranks.astype("i8") >> (self.depth - level)
        return (2 * node + 1) << (self.depth - level - 1) < self.leaves


class LeaningTree(VocabularyTree):
    """A tree of the same leaves in the same order, in which frequent tokens have short paths: `lengths` (leaves,) turns.

    The mixer knows the paths; here ranks stay places in the order of leaves.
    """

    def __init__(self, pieces: Sequence[bytes], lengths: bytes) -> None:
        super().__init__(pieces)
        self.lengths = lengths
        self.depth = max(lengths)

    @property
    def fewest_turns(self) -> int:
        """Turns of the shortest path."""
        return min(self.lengths)

    def coded(self, level: int, ranks: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether the turn at this level is coded, on the way to each of these leaves, (n,)."""
        import numpy as np

        coded: NDArray[np.bool_] = np.frombuffer(self.lengths, np.uint8)[ranks] > level
        return coded
