"""Reading a block again and again, each time from where it differs from the time before, at the least work.

What the network holds is taken back step by step, as far as its window has not slid since; farther back it is copied now and then
(*marks*). What the mixer and the range coder knew is computed anew from the cells that were found, which takes a small part of the time of
the network, from one of two copies: one far behind, and one close by where readings part that are tried one after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.layout import Layout
from llmzip.codec.repair import Astray, Doubts, Turn

# Between two copies of the caches at least, but for short blocks so many copies.
_MARK_STEPS, _MARK_ROWS, _MARKS = 32, 256, 16
_MOST = 12  # copies, where there is room
REPLAYED = 24  # times as fast as the network: computing anew what mixer and range coder knew
_FAR_ROWS = 1 << 13  # from the far copy to where it was first needed
_COPYING, _COPYING_ROWS = 4, 8  # steps of the network, and rows, in whose time a mixer is copied; and restored
_RESTORING, _RESTORING_ROWS = 0.5, 1

K = TypeVar("K")
T = TypeVar("T", covariant=True)


class Mark(NamedTuple):
    """A place to go back to: the next step, and copies of the network's caches."""

    step: int
    caches: NDArray[np.uint8]


class Hard(Protocol[K]):
    """What mixer and range coder know of a reading."""

    def begin(self) -> float:
        """Forget all; returns the rows of the network in whose time."""

    def save(self) -> K:
        """A copy."""

    def restore(self, saved: K) -> None:
        """As it was when it was copied."""

    def replay(self, start: int, stop: int) -> None:
        """On from step `start` to step `stop`, by what was read there."""


class Copies(Generic[K]):
    """Takes mixer and range coder back to any step that was read, from the nearest of a few copies of them."""

    def __init__(self, streams: int) -> None:
        self._streams = streams
        self._held: list[tuple[int, K]] = []

    def to(self, step: int, hard: Hard[K], *, again: bool = False) -> float:
        """To a step. Nothing that was read behind it holds from now on. again: a copy there soon pays. Returns the rows that it took."""
        while self._held and self._held[-1][0] > step:
            self._held.pop()
        at, work = 0, 0.0
        if self._held:
            at, saved = self._held[-1]
            hard.restore(saved)
            work += _RESTORING * self._streams + _RESTORING_ROWS
        else:
            work += hard.begin()
        stops = [step]
        if step - at > 3 * (far := _FAR_ROWS // self._streams):
            stops.insert(0, step - far)
        for stop in stops:
            hard.replay(at, stop)
            work += (stop - at) * self._streams / REPLAYED
            if stop > at and (stop < step or again):
                self._held.append((stop, hard.save()))
                del self._held[1:-1]
                work += _COPYING * self._streams + _COPYING_ROWS
            at = stop
        return work


class Reading(Protocol[T]):
    """One block as it is read: a `LockStep` that is keeping."""

    step: int

    def advance(self, doubts: Doubts) -> None:
        """The next token of every stream. Raises CorruptError and Astray."""

    def mark(self) -> Mark:
        """Where it is now."""

    def back(self, step: int, mark: Mark | None, *, again: bool) -> float:
        """To a step that it was at, or to a mark before it (None: the beginning) where it cannot go back so far; returns the rows that it took."""

    @property
    def tokens(self) -> T:
        """All tokens, once all steps are done."""

    @property
    def room(self) -> int:
        """Bytes that marks may take."""

    @property
    def fewest_marks(self) -> int:
        """Marks that there is always room for."""


class Rereader(Generic[T]):
    """Reads a block again and again for `repair.readings`.

    make: begins to read it. most: rows of the network in all (a step has one of each stream), of which `left` are left.
    """

    def __init__(self, make: Callable[[], Reading[T]], layout: Layout, most: float) -> None:
        self._make, self._layout = make, layout
        self.left = most
        self._reading: Reading[T] | None = None
        self._misread: dict[Turn, int] = {}
        self._marks: list[Mark] = []
        self._parting: int | None = None

    @property
    def exhausted(self) -> bool:
        """Whether the work allowed is done."""
        return self.left <= 0

    def expect(self, readings: Sequence[dict[Turn, int]]) -> None:
        """Which turns will be taken the other way next, reading after reading."""
        parting = (self._apart(one, other) for one, other in itertools.pairwise(readings))
        self._parting = min((step for step in parting if step is not None), default=None)

    def read(self, doubts: Doubts) -> T:
        """The tokens. Raises Astray and CorruptError."""
        reading = self._return(doubts.misread)
        apart = max(1, min(max(_MARK_STEPS, _MARK_ROWS // self._layout.streams), self._layout.steps // _MARKS))
        last = reading.step
        while reading.step < self._layout.steps:
            if self.left <= 0:
                raise Astray
            if reading.step >= last + apart:
                last = reading.step
                self._marks.append(reading.mark())
                self._thin(reading.room, reading.fewest_marks)
            self.left -= self._layout.active(reading.step)
            reading.advance(doubts)
        return reading.tokens

    @staticmethod
    def _apart(one: dict[Turn, int], other: dict[Turn, int]) -> int | None:
        """The first step that is read in different ways."""
        return min((turn.step for turn, _ in one.items() ^ other.items()), default=None)

    def _return(self, misread: dict[Turn, int]) -> Reading[T]:
        """Back to where anything is read otherwise than the time before, or than in readings that are expected soon."""
        if self._reading is None:
            self._reading = self._make()
        apart = self._apart(misread, self._misread)
        step = self._reading.step if apart is None else apart
        again, self._parting = self._parting, None
        if again is not None:
            step = min(step, again)
        while self._marks and self._marks[-1].step > step:
            self._marks.pop()
        self.left -= self._reading.back(step, self._marks[-1] if self._marks else None, again=again is not None)
        self._misread = misread
        return self._reading

    def _thin(self, room: int, fewest: int) -> None:
        """Keep few marks, closer to each other the later they are."""
        marks = self._marks
        most = min(_MOST, max(fewest, room // max(1, marks[-1].caches.nbytes)))
        if len(marks) > most:
            end = marks[-1].step
            before = [0, *(mark.step for mark in marks)]
            gains = [(marks[i + 1].step - before[i]) / (end - before[i]) for i in range(len(marks) - 1)]
            del marks[int(np.argmin(gains))]
