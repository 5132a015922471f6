"""What each token costs in the coded file: the turns that the coder is given, added up by the token they belong to."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Paths(Protocol):
    """The vocabulary tree, as far as its turns have to be counted."""

    @property
    def depth(self) -> int:
        """Most turns on a path."""
        ...

    def coded(self, level: int, ranks: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether the turn at this level is coded, on the way to each of these leaves, (n,)."""
        ...


def token_costs(
    ranks: NDArray[np.uint32],
    states: NDArray[np.uint8],
    tree: Paths,
    flags: bool,
    bits: bytes,
    probabilities: bytes,
) -> NDArray[np.float64]:
    """Bits (n,) of n tokens, from the turns that the mixer gave for them.

    ranks, states: (n,), in coding order; flags: whether tokens have a state. bits, probabilities: as
    `Mixer.encode` returns them, of each token a flag, a second one where it is unsafe, and the turns level by level. Raises ValueError
    where the turns do not fit the tokens.
    """
    owners = turn_owners(ranks, states, tree, flags)
    turns = np.frombuffer(bits, np.uint8)
    right = np.frombuffer(probabilities, np.uint16) / 65536.0
    if len(owners) != len(turns) or len(turns) != len(right):
        raise ValueError(f"{len(turns)} turns were given for tokens that have {len(owners)}")
    return np.bincount(owners, -np.log2(np.where(turns, right, 1 - right)), len(ranks)).astype(np.float64, copy=False)


def turn_owners(ranks: NDArray[np.uint32], states: NDArray[np.uint8], tree: Paths, flags: bool) -> NDArray[np.intp]:
    """The token (an index below n) that each turn belongs to, in the order of coding."""
    turns = 1 + (states > 0).astype(np.intp) if flags else np.zeros(len(ranks), np.intp)
    for level in range(tree.depth):
        turns += tree.coded(level, ranks)
    return np.repeat(np.arange(len(ranks)), turns)


_BITS = np.concatenate([[np.inf], -np.log2(np.arange(1, 65536) / 65536.0)])


def turn_bits(bits: bytes, probabilities: bytes) -> float:
    """Bits of all these turns together, as `Mixer.encode` returns them."""
    turns = np.frombuffer(bits, np.uint8)
    right = np.frombuffer(probabilities, np.uint16).astype(np.int32)
    return float(_BITS[np.where(turns, right, 65536 - right)].sum())
