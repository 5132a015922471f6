"""Putting right what drift beyond the tolerance misled: other readings of a portable block, likeliest first.

An encoder writes no turn whose log odds lie within the tolerance of an edge of its grid. A decoder that finds one well
within has met a large drift: somewhat less than the tolerance if the turn lies on its true side of the edge, somewhat more
if not. Such *doubtful* turns are rare, and in a block that is not what its check says one of them is nearly always the
misread one. Where drift was several times the tolerance the misread turn lies farther from the edge, as others do; then
it is one of these *far* turns.

What is read after a misread turn is noise: odds have nothing to do with edges then, so doubtful turns are nearly as frequent
as far ones, and the range coder finds the stored words impossible sooner or later. This shows where the misread turn
has to be looked for, and that a reading which does not help can be given up.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.quantiser import Quantiser
from llmzip.errors import CorruptError

Turn = tuple[int, int, int]
"""Step, level and stream of a turn: their order is the order of coding."""

DOUBTFUL = 0.9
"""Of the tolerance: turns nearer to an edge are doubtful, since drift mostly is a small part of the tolerance."""
FAR = 3.0
"""Times the tolerance: turns up to so near to an edge may be misread ones, by drift of up to four times the tolerance."""

_RECENT = 48  # suspect turns, doubtful or far, that are remembered
_NOISE = 6  # doubtful turns among these that show noise; there are about fifteen on average
_HARMLESS = 2  # doubtful turns that may come before the misread one: a token that drifts far does so in all its turns
_FAR_CHOICES = 32  # far turns that are tried
_LONGER = 4  # times the noise at the end of a reading, for another that has come further
_READINGS = 50  # readings of a block at most

T = TypeVar("T")


class Astray(Exception):
    """A reading has become noise; or all likely readings of a block do."""


class Doubts:
    """Watches one reading: takes the turns that are thought misread the other way, and remembers suspect ones behind
    the last of these.

    most: steps after which the reading is given up at the latest. reach: the step at which it was given up.
    """

    def __init__(self, quantiser: Quantiser, misread: frozenset[Turn], most: float = math.inf) -> None:
        self.misread, self.step, self.reach, self._most = misread, 0, math.inf, most
        self._quantiser, self._behind = quantiser, max(misread, default=(-1, 0, 0))
        self._recent: deque[tuple[Turn, bool]] = deque(maxlen=_RECENT)

    def review(
        self, step: int, level: int, odds: NDArray[np.float64], states: NDArray[np.uint8], cells: NDArray[np.uint8]
    ) -> None:
        """Look at the turns of all streams, shape (n,), and mend their cells. Raises Astray."""
        self.step = step
        if step > self._most:
            raise Astray
        beyond = self._quantiser.alternatives(odds, states, cells, FAR)
        suspect = np.flatnonzero(beyond != cells)
        if not len(suspect):
            return
        doubtful = self._quantiser.alternatives(odds, states, cells, DOUBTFUL) != cells
        for stream in suspect.tolist():
            turn = (step, level, stream)
            if turn in self.misread:
                cells[stream] = beyond[stream]
            elif turn > self._behind:
                self._recent.append((turn, bool(doubtful[stream])))
        if len(self._doubtful) >= _NOISE:
            raise Astray

    @property
    def _doubtful(self) -> list[Turn]:
        return [turn for turn, doubtful in self._recent if doubtful]

    @property
    def choices(self) -> list[Turn]:
        """Turns that may be misread, likeliest first: the doubtful ones, then far ones that lie before most of these.

        None where nothing is doubtful or impossible to the end: then it is not the text that is wrong, but its check.
        """
        doubtful = self._doubtful
        if not doubtful and self.reach == math.inf:
            return []
        end = doubtful[_HARMLESS] if len(doubtful) > _HARMLESS else (self.step + 1, 0, 0)
        far = [turn for turn, near in self._recent if not near and turn < end]
        return doubtful + far[: -_FAR_CHOICES - 1 : -1]

    @property
    def noise(self) -> float:
        """About the number of steps of noise at the end of a reading that was given up."""
        doubtful = self._doubtful
        return self.reach - doubtful[len(doubtful) // 2][0] if doubtful else math.inf


def readings(read: Callable[[Doubts], T], quantiser: Quantiser, most: float = math.inf, before: int = 0) -> Iterator[T]:
    """Results of `read` with one or more turns taken the other way. Raises Astray at the end if reading them as they are
    gives noise.

    read: decodes the block, showing every turn to the `Doubts`; may raise Astray and CorruptError. most: steps of all readings
    together. before: what each takes before its first step, in steps.
    """
    spent = 0

    def attempt(misread: frozenset[Turn]) -> tuple[Doubts, list[T]]:
        nonlocal spent
        doubts = Doubts(quantiser, misread, most - spent)
        try:
            return doubts, [read(doubts)]
        except (Astray, CorruptError):
            doubts.reach = doubts.step
            return doubts, []
        finally:
            spent += doubts.step + 1 + before

    now, as_they_are = attempt(frozenset())
    left = _READINGS
    while True:
        furthest = now
        for turn in now.choices[:left]:
            if spent >= most:
                break
            doubts, results = attempt(now.misread | {turn})
            left -= 1
            yield from results
            if doubts.reach > furthest.reach:
                furthest = doubts
        # Where a second turn was misread, noise begins anew much further on; by chance it lasts that long hardly ever.
        if spent >= most or furthest is now or furthest.reach <= max(furthest.misread)[0] + _LONGER * now.noise:
            break
        now = furthest
    if not as_they_are:
        raise Astray
