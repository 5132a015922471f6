"""Repeated runs in a sequence of numbers, replaced by new numbers with a dictionary: what is worth replacing, and back.

After Harvill et al., "Lossless Token Sequence Compression via Meta-Tokens" (arXiv 2506.00307): a run of length L that occurs
K times without overlap is worth replacing where L K > 1 + L + K, since the dictionary takes 1 + L numbers and the places K.
Long runs come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmzip.measures.editing import need

_EVERY_LENGTH = 48  # up to here every length is tried, beyond it every one that is a sixteenth longer than the last
SHORTEST = 2
LIMITS = (6, 10, 16, 1024)
"""Lengths that the longest run may have: long runs first is right where long stretches come twice, and wrong where a phrase comes often, in
long stretches, too. The limit that leaves least is taken."""


def worth(length: int, count: int) -> bool:
    """Whether a run of this length at so many places saves anything: the paper's condition."""
    return length * count > 1 + length + count


@dataclass(frozen=True)
class Replaced:
    """A sequence with its repeated runs taken out.

    runs: what was replaced, (L_k,) each. body: the sequence, with -1 - k in the place of run k.
    """

    runs: list[NDArray[np.int64]]
    body: NDArray[np.int64]

    @property
    def length(self) -> int:
        """Numbers of body and dictionary, each run with the one that stands for it."""
        return len(self.body) + sum(len(run) + 1 for run in self.runs)

    def expand(self) -> NDArray[np.int64]:
        """The original sequence, (n,)."""
        parts, done = [], 0
        for place in np.flatnonzero(self.body < 0).tolist():
            parts += [self.body[done:place], self.runs[-1 - int(self.body[place])]]
            done = place + 1
        return np.concatenate([*parts, self.body[done:]]).astype(np.int64)


def replace_runs(sequence: Sequence[int] | NDArray[np.int64], longest: int | None = None) -> Replaced:
    """Take out all runs that are worth it, the longest first, of equals in length the most frequent first.

    longest: no run is longer; None: whichever of `LIMITS` leaves least (the paper has a limit, too; the choice is ours). sequence: non-negative numbers, (n,). O(n log n): a suffix array, and
    a pass over what is still repeated for each of some hundred lengths. Raises ValueError for negative numbers.
    """
    numbers = np.asarray(sequence, np.int64)
    if len(numbers) and numbers.min() < 0:
        raise ValueError("a sequence of tokens has no negative numbers")
    if len(numbers) < 2 * SHORTEST:
        return Replaced([], numbers)
    order, common = _suffixes(numbers)
    repeated = min(len(numbers) // 2, int(common.max(initial=0)))
    # Limits beyond the longest repeat change nothing.
    limits = dict.fromkeys(min(limit, repeated) for limit in ((longest,) if longest else LIMITS))
    found = [_taken_out(numbers, order, common, limit) for limit in limits]
    return min(found, key=lambda each: each.length)


def _taken_out(
    numbers: NDArray[np.int64], order: NDArray[np.int64], common: NDArray[np.int64], longest: int
) -> Replaced:
    search = _Search(numbers, order, common)
    for length in _lengths(longest):
        search.take(length, longest)
    return search.replaced()


def _suffixes(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The suffix array (n,), and how much each suffix has in common with the one before it in that order, (n,), 0 for the first."""
    need("pydivsufsort")
    from pydivsufsort import divsufsort, kasai

    known, dense = np.unique(numbers, return_inverse=True)
    symbols = dense.astype(np.uint8 if len(known) <= 1 << 8 else np.uint16 if len(known) <= 1 << 16 else np.uint32)
    order = divsufsort(symbols)
    # kasai tells what each suffix has in common with the next one.
    after = np.asarray(kasai(symbols, order), np.int64)
    return np.asarray(order, np.int64), np.concatenate([[0], after[:-1]])


def _lengths(most: int) -> Iterator[int]:
    """Lengths to try, falling."""
    length = most
    while length >= SHORTEST:
        yield length
        length = length - 1 if length <= _EVERY_LENGTH else max(_EVERY_LENGTH, length - max(1, length // 16))


class _Search:
    """What is left of a sequence, and what was found."""

    def __init__(self, numbers: NDArray[np.int64], order: NDArray[np.int64], common: NDArray[np.int64]) -> None:
        self._numbers, self._order, self._common = numbers, order, common
        # The most that a suffix has in common with any other one.
        self._reach = np.maximum(common, np.concatenate([common[1:], [0]]))
        self._is_free = bytearray(b"\1") * len(numbers)
        self._free = np.frombuffer(self._is_free, np.bool_)
        self._runs: list[tuple[int, NDArray[np.int64], int]] = []

    def take(self, length: int, longest: int) -> None:
        """Replace runs of this length (longer where all places go on alike)."""
        free, order = self._free, self._order
        begins = np.flatnonzero(self._reach >= length)
        if not len(begins):
            return
        # Suffixes that begin with the same `length` numbers are neighbours: a group ends where less is in common.
        groups = np.cumsum(self._common < length)[begins]
        places = order[begins]
        # Runs taken before are at least as long, so they cannot lie between two free ends.
        open_ = free[places] & free[np.minimum(places + length - 1, len(free) - 1)]
        groups, places = groups[open_], places[open_]
        if not len(places):
            return
        sorting = np.lexsort((places, groups))
        groups, places = groups[sorting], places[sorting]
        firsts = np.flatnonzero(np.diff(groups, prepend=-1))
        counts = np.diff(firsts, append=len(groups))
        fewest = next(count for count in range(2, 6) if worth(length, count))
        # So many must fit between the first and the last without overlap.
        span = places[firsts + counts - 1] - places[firsts]
        some = np.flatnonzero((counts >= fewest) & (span >= (fewest - 1) * length))
        some = some[np.lexsort((places[firsts[some]], -counts[some]))]
        for first, count in zip(firsts[some].tolist(), counts[some].tolist(), strict=True):
            if count > fewest or (self._is_free[places[first]] and self._is_free[places[first] + length - 1]):
                self._replace(places[first : first + count], length, fewest, longest)

    def _replace(self, places: NDArray[np.int64], length: int, fewest: int, longest: int) -> None:
        free = self._free
        places = places[free[places] & free[places + length - 1]]
        if len(places) >= fewest and (np.diff(places) < length).any():
            places = _apart(places, length)
        if len(places) < fewest:
            return
        length = self._extended(places, length, longest)
        self._runs.append((int(places[0]), places, length))
        for place in places.tolist():
            free[place : place + length] = False

    def _extended(self, places: NDArray[np.int64], length: int, longest: int) -> int:
        """How long a run can be made at all these places."""
        if length <= _EVERY_LENGTH:
            return length
        gaps = np.diff(places)
        room = int(min(gaps.min(initial=longest), longest, len(self._numbers) - places[-1]))
        while length < room:
            at = places + length
            if not self._free[at].all() or (self._numbers[at] != self._numbers[at[0]]).any():
                break
            length += 1
        return length

    def replaced(self) -> Replaced:
        """The result; runs are numbered by where they are first met."""
        numbers = self._numbers
        runs = sorted(self._runs, key=lambda run: run[0])
        body, keep = numbers.copy(), np.ones(len(numbers), np.bool_)
        for k, (_, places, length) in enumerate(runs):
            for place in places.tolist():
                keep[place : place + length] = False
            body[places] = -1 - k
            keep[places] = True
        return Replaced([numbers[first : first + length].copy() for first, _, length in runs], body[keep])


def _apart(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """As many of the places, rising, as do not overlap: each the first that is free."""
    chosen, at = [], 0
    while at < len(places):
        chosen.append(int(places[at]))
        at = int(np.searchsorted(places, places[at] + length))
    return np.array(chosen, np.int64)
