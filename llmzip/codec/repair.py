"""Putting right what drift beyond the tolerance misled: other readings of a portable block, likeliest first.

An encoder leaves marks of its own: no turn that it wrote lies within the tolerance of an edge of its grid, and a token is
flagged unsafe only if one of its turns does lie so near to an edge of the first grid. What is read behind a misread turn is noise,
which knows nothing of that: about once in `1 / rate` tokens it shows a turn that no encoder writes, or a flag without a
reason. Such *violations* tell that a reading has gone astray, and about where. What was misread there is likeliest a turn close to
an edge, since drift is mostly small, but any turn may be.

So readings are tried as the stack algorithm of sequential decoding does it (Zigangirov 1966; Jelinek 1969): a hypothesis is a
set of turns that are taken the other way; the best one is read until it shows a violation, and extended by one more turn
behind its last. The score is a logarithm of a likelihood: how large a drift each of its turns takes, and how far it reads
without a violation. That a violation is none after all, but a drift, is a hypothesis like the others.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.quantiser import Quantiser
from llmzip.coding.cells import SAFE
from llmzip.errors import CorruptError


class Turn(NamedTuple):
    """A turn of a block; their order is the order of coding."""

    step: int
    level: int
    stream: int


# In tolerances: an encoder's turns lie at least 1 from every edge, and flagged ones at most 1 from an edge of the first
# grid. Drift is mostly a small part of the tolerance, so what is beyond these is a violation.
_DOUBTFUL, _UNFOUNDED = 0.75, 1.25
_RATE = 80.0  # violations in a token of noise, times the tolerance in log odds (docs/portability.md)
_FARTHEST = 150.0  # tolerances from an edge: what lies farther is hardly ever misread

# Logarithms of probabilities: that drift exceeds the tolerance in a turn, in a turn of a token of which it did in another, and in one
# soon after; with the powers that they fall with. A violation that is none.
_ANYWHERE, _SAME_TOKEN, _SOON = (-18.0, 5.0), (-2.3, 2.0), (-9.0, 4.0)
_SOON_STEPS = 64
_HONEST = -7.0
_CONVINCED = 12.0  # violations that were to be expected: a reading without any is right, and the check is not
_HOPELESS = -30.0  # behind the likeliest turn of a reading: not worth a try

T = TypeVar("T", covariant=True)


class Astray(Exception):
    """A reading has become noise; or all likely readings of a block do."""


@dataclass(frozen=True)
class Suspect:
    """A turn that may be misread. beyond: the cell on the other side of the nearest edge; distance: from that edge, in
    tolerances; row: of its token in coding order; harmless: violations before it."""

    turn: Turn
    beyond: int
    distance: float
    row: int
    harmless: int


class Doubts:
    """Watches one reading: takes turns the other way (`misread`: their cells), and looks for violations and suspects behind the last
    of these. trusted: rows up to which violations do not end it."""

    def __init__(
        self, quantiser: Quantiser, streams: int, misread: dict[Turn, int] | None = None, trusted: int = 0
    ) -> None:
        self.misread, self._trusted = misread or {}, trusted
        self.rate = _RATE * quantiser.tolerance * 1e-6
        self.violations: list[int] = []
        self.row = 0
        self._quantiser, self._streams = quantiser, streams
        self._steps = {turn.step for turn in self.misread}
        self._behind = max(self.misread, default=Turn(-1, 0, 0))
        self._suspects: deque[Suspect] = deque()
        self._reasons: NDArray[np.float64] = np.empty(0)

    def review(
        self, step: int, level: int, odds: NDArray[np.float64], states: NDArray[np.uint8], cells: NDArray[np.uint8]
    ) -> None:
        """Look at the turns of all streams, shape (n,), and mend their cells."""
        if step in self._steps:
            for stream in range(len(cells)):
                cells[stream] = self.misread.get(Turn(step, level, stream), cells[stream])
        if step < self._behind.step:
            return
        if level == 0:
            self._reasons = np.where(states == SAFE, 0.0, np.inf)
        distances, beyond = self._quantiser.nearest(odds, states, cells)
        if states.any():
            first = self._quantiser.nearest(odds, np.zeros_like(states), cells)[0]
            self._reasons = np.minimum(self._reasons, first)
        for stream in np.flatnonzero(distances < _FARTHEST).tolist():
            turn, row = Turn(step, level, stream), step * self._streams + stream
            if turn > self._behind:
                distance = float(distances[stream])
                self._suspects.append(Suspect(turn, int(beyond[stream]), distance, row, len(self.violations)))
                if distance < _DOUBTFUL:
                    self.violations.append(row)
        oldest = step * self._streams + _HOPELESS / self.rate
        while self._suspects and self._suspects[0].row < oldest:
            self._suspects.popleft()

    def end(self, step: int) -> None:
        """The tokens of a step are complete. Raises Astray where one shows a violation."""
        self.row = (step + 1) * self._streams
        if step < self._behind.step:
            return
        for stream in np.flatnonzero(self._reasons > _UNFOUNDED).tolist():
            if step > self._behind.step or stream != self._behind.stream:
                self.violations.append(step * self._streams + stream)
        if self.violations and self.violations[-1] >= self._trusted:
            raise Astray

    def extensions(self) -> Iterator[tuple[float, Suspect]]:
        """Turns behind the last misread one that may be misread as well, with the logarithm of their likelihood."""
        found = [
            (self._prior(s) + self.rate * s.row + _HONEST * s.harmless, s)
            for s in self._suspects
            if s.row >= self._trusted
        ]
        best = max((score for score, _ in found), default=0.0)
        return ((score, suspect) for score, suspect in found if score > best + _HOPELESS)

    @property
    def as_it_is(self) -> float:
        """The logarithm of the likelihood that nothing more is misread up to here."""
        return self.rate * self.row + _HONEST * len(self.violations)

    @property
    def convincing(self) -> bool:
        """Whether so much was read without a violation that it must be right."""
        return not self.violations and self.row * self.rate > _CONVINCED

    def _prior(self, suspect: Suspect) -> float:
        level, power = _ANYWHERE
        for turn in self.misread:
            if turn.stream == suspect.turn.stream and suspect.turn.step - turn.step <= _SOON_STEPS:
                near = _SAME_TOKEN if suspect.turn.step == turn.step else _SOON
                level, power = max((level, power), near)
        return level - power * math.log1p(suspect.distance)


class Reader(Protocol[T]):
    """Reads one block as often as is wanted."""

    def read(self, doubts: Doubts) -> T:
        """Read the block, showing every turn to `doubts`. Raises Astray, also when the work allowed is done, and CorruptError."""

    @property
    def exhausted(self) -> bool:
        """Whether the work allowed is done."""


def readings(reader: Reader[T], quantiser: Quantiser, streams: int) -> Iterator[T]:
    """Results of reading a block in other ways, the likeliest first. Raises Astray at the end if reading it as it is gives noise."""
    waiting: list[tuple[float, int, dict[Turn, int], int, float]] = [(0.0, 0, {}, 0, 0.0)]
    numbers = itertools.count(1)
    astray = False
    while waiting and not reader.exhausted:
        _, _, misread, trusted, prior = heapq.heappop(waiting)
        doubts = Doubts(quantiser, streams, misread, trusted)
        try:
            yield reader.read(doubts)
            if not misread and doubts.convincing:
                return
        except CorruptError:
            astray = astray or not misread
        except Astray:
            astray = astray or not misread
            heapq.heappush(waiting, (-prior - doubts.as_it_is, next(numbers), misread, doubts.row, prior))
        for score, suspect in doubts.extensions():
            further = misread | {suspect.turn: suspect.beyond}
            without_row = prior + score - doubts.rate * suspect.row
            heapq.heappush(waiting, (-prior - score, next(numbers), further, 0, without_row))
    if astray:
        raise Astray
