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
    active: int,
    tree: Paths,
    flags: bool,
    bits: bytes,
    probabilities: bytes,
) -> NDArray[np.float64]:
    """Bits (n,) of n tokens of whole steps with `active` streams, from the turns that the mixer gave for them.

    ranks, states: (n,), in coding order; flags: whether tokens have a state. bits, probabilities: as
    `Mixer.encode_steps` returns them. The order within a step is the bitstream's: first flags, then second flags of
    the unsafe tokens, then the turns level by level, each for all tokens of the step. Raises ValueError where the
    turns do not fit the tokens.
    """
    owners = turn_owners(ranks, states, active, tree, flags)
    turns = np.frombuffer(bits, np.uint8)
    right = np.frombuffer(probabilities, np.uint16) / 65536.0
    if len(owners) != len(turns) or len(turns) != len(right):
        raise ValueError(f"{len(turns)} turns were given for tokens that have {len(owners)}")
    return np.bincount(owners, -np.log2(np.where(turns, right, 1 - right)), len(ranks)).astype(np.float64, copy=False)


def turn_owners(
    ranks: NDArray[np.uint32], states: NDArray[np.uint8], active: int, tree: Paths, flags: bool
) -> NDArray[np.intp]:
    """The token (an index below n) that each turn belongs to, in the order of coding."""
    rows = np.arange(len(ranks))
    phases = [rows, np.flatnonzero(states)] if flags else []
    phases += [np.flatnonzero(tree.coded(level, ranks)) for level in range(tree.depth)]
    owners = np.concatenate(phases)
    phase = np.repeat(np.arange(len(phases)), [len(each) for each in phases])
    return owners[np.argsort(owners // active * len(phases) + phase, kind="stable")]


_BITS = np.concatenate([[np.inf], -np.log2(np.arange(1, 65536) / 65536.0)])


def turn_bits(bits: bytes, probabilities: bytes) -> float:
    """Bits of all these turns together, as `Mixer.encode_steps` returns them."""
    turns = np.frombuffer(bits, np.uint8)
    right = np.frombuffer(probabilities, np.uint16).astype(np.int32)
    return float(_BITS[np.where(turns, right, 65536 - right)].sum())
