"""Putting right what drift beyond the tolerance misled: other readings of a portable block, likeliest first.

An encoder leaves marks of its own: no turn that it wrote lies within the tolerance of an edge of its grid, and a token is
flagged unsafe only if one of its turns does lie so near to an edge of the first grid (the end of a line within `LINE_MARGIN` tolerances). What is read behind a misread turn is noise,
which knows nothing of that: about once in `1 / rate` tokens it shows a turn that no encoder writes, or a flag without a
reason. Such *violations* tell that a reading has gone astray, and about where. What was misread there is likeliest a turn close to
an edge, since drift is mostly small, but any turn may be.

So readings are tried as the stack algorithm of sequential decoding does it (Zigangirov 1966; Jelinek 1969): a hypothesis is a
set of turns that are taken the other way; the best one is read until it shows a violation, and extended by one more turn
behind its last. The score is a logarithm of a likelihood: how large a drift each of its turns takes, and how far it reads
without a violation. That a violation is none after all, but a drift, is a hypothesis like the others.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.quantiser import LINE_MARGIN, Quantiser
from llmzip.errors import CorruptError


class Turn(NamedTuple):
    """A turn of a block; their order is the order of coding."""

    step: int
    stream: int
    level: int


# In tolerances: an encoder's turns lie at least 1 from every edge, and flagged ones at most 1 from an edge of the first
# grid. Drift is mostly a small part of the tolerance, so what is beyond these is a violation.
DOUBTFUL, _UNFOUNDED = 0.75, 1.25
RATE = 80.0  # violations in a token of noise, times the tolerance in log odds (docs/portability.md)
_FARTHEST = 1500.0  # tolerances from an edge: what lies farther is never misread

# Logarithms of probabilities: that drift exceeds the tolerance in a turn, in a turn of a token of which it did in another, and in one
# soon after; with the powers that they fall with. A violation that is none.
_ANYWHERE, _SAME_TOKEN, _SOON = (-18.0, 5.0), (-2.3, 2.0), (-9.0, 4.0)
_SOON_STEPS = 64
_HONEST = -9.0
_CONVINCED = 12.0  # violations that were to be expected: a reading without any is right, and the check is not
_HOPELESS = -40.0  # behind the likeliest turn of a reading: not worth a try
_WIDEST, _WIDTH = 8192, 256  # turns of the first reading, and of one with misread turns, that are kept to be tried
_TOGETHER = 256  # hypotheses that are taken together at most

T = TypeVar("T", covariant=True)


class Astray(Exception):
    """A reading has become noise; or all likely readings of a block do."""


def _rate(quantiser: Quantiser) -> float:
    """Violations in a token of noise."""
    return RATE * quantiser.tolerance * 1e-6


class Suspects(NamedTuple):
    """Turns that may be misread, the likeliest first: arrays of shape (n,). scores: logarithms of likelihoods; beyond: the cells on the
    other side of the nearest edge; rows: of their tokens in coding order."""

    scores: NDArray[np.float64]
    turns: NDArray[np.int64]  # (n, 3)
    beyond: NDArray[np.uint8]
    rows: NDArray[np.int64]


class Doubts:
    """Watches one reading: takes turns the other way (`misread`: their cells), and looks for violations and suspects behind the last
    of these. trusted: rows up to which violations do not end it, and `harmless` is how many it has had there."""

    def __init__(
        self,
        quantiser: Quantiser,
        streams: int,
        misread: dict[Turn, int] | None = None,
        trusted: int = 0,
        harmless: int = 0,
    ) -> None:
        self.misread, self._trusted, self._harmless = misread or {}, trusted, harmless
        self.rate = _rate(quantiser)
        self.violations: list[int] = []  # behind what is trusted
        self.row = 0
        self._quantiser, self._streams = quantiser, streams
        self._steps = {turn.step for turn in self.misread}
        self._behind = max(self.misread, default=Turn(-1, 0, 0))
        # Of turns: step, stream and level, distance in tolerances, cell beyond, violations before it.
        self._near: list[tuple[int, int, int, float, int, int]] = []

    def instead(self, step: int) -> dict[Turn, int]:
        """The turns of a step that are taken the other way, and their cells."""
        if step not in self._steps:
            return {}
        return {turn: cell for turn, cell in self.misread.items() if turn.step == step}

    def see(
        self,
        step: int,
        odds: NDArray[np.float64],
        states: NDArray[np.uint8],
        cells: NDArray[np.uint8],
        line_ends: NDArray[np.bool_],
    ) -> None:
        """Look at the tokens of a step: odds and cells (n, K) of their turns, states (n,), and which of them, (n,), end a line. Raises
        Astray where one shows a violation."""
        self.row = (step + 1) * self._streams
        if step < self._behind.step:
            return
        margins = np.where(line_ends, float(LINE_MARGIN), 1.0)[:, None]
        distances, beyond = self._quantiser.nearest(odds, states, cells)
        distances /= margins
        for stream, level in np.argwhere(distances < _FARTHEST).tolist():
            row = step * self._streams + stream
            if row >= self._trusted and (step, stream, level) > self._behind:
                distance = float(distances[stream, level])
                self._near.append((step, stream, level, distance, int(beyond[stream, level]), self.borne))
                if distance < DOUBTFUL:
                    self.violations.append(row)
        flagged = np.flatnonzero(states)
        if len(flagged):
            first = self._quantiser.nearest(odds[flagged], np.zeros_like(states[flagged]), cells[flagged])[0]
            reasons = (first / margins[flagged]).min(axis=1)
            for stream in flagged[reasons > _UNFOUNDED].tolist():
                row = step * self._streams + stream
                if row >= self._trusted and (step, stream) > self._behind[:2]:
                    self.violations.append(row)
        if len(self._near) > _WIDEST * 8:
            oldest = (self.row + _HOPELESS / self.rate) / self._streams
            del self._near[: bisect.bisect_left(self._near, (math.floor(oldest),))]
        if self.violations:
            raise Astray

    @property
    def borne(self) -> int:
        """Violations so far that are taken for drift."""
        return self._harmless + len(self.violations)

    def suspects(self) -> Suspects:
        """Turns behind the last misread one that may be misread as well."""
        table = np.array(self._near, np.float64).reshape(-1, 6)
        turns = table[:, :3].astype(np.int64)
        rows = turns[:, 0] * self._streams + turns[:, 1]
        scores = self._priors(turns, table[:, 3]) + self.rate * rows + _HONEST * table[:, 5]
        best = np.argsort(-scores, kind="stable")[: _WIDTH if self.misread else _WIDEST]
        best = best[scores[best] > scores[best[:1]] + _HOPELESS]
        return Suspects(scores[best], turns[best], table[best, 4].astype(np.uint8), rows[best])

    @property
    def as_it_is(self) -> float:
        """The logarithm of the likelihood that nothing more is misread up to here."""
        return self.rate * self.row + _HONEST * self.borne

    @property
    def convincing(self) -> bool:
        """Whether so much was read without a violation that it must be right."""
        return not self.borne and self.row * self.rate > _CONVINCED

    def _priors(self, turns: NDArray[np.int64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """That each of these turns, (n, 3), is misread, with what is misread already."""
        likelier = np.full(len(turns), False), np.full(len(turns), False)
        for turn in self.misread:
            after = np.where(turns[:, 1] == turn.stream, turns[:, 0] - turn.step, _SOON_STEPS + 1)
            likelier[0][after == 0] = True
            likelier[1][after <= _SOON_STEPS] = True
        levels, powers = (
            np.select(likelier, (same, soon), other)
            for same, soon, other in zip(_SAME_TOKEN, _SOON, _ANYWHERE, strict=True)
        )
        likelihoods: NDArray[np.float64] = levels - powers * np.log1p(distances)
        return likelihoods


class Reader(Protocol[T]):
    """Reads one block as often as is wanted."""

    def expect(self, readings: Sequence[dict[Turn, int]]) -> None:
        """Be told which turns will be taken the other way next, reading after reading."""

    def read(self, doubts: Doubts) -> T:
        """Read the block, showing every turn to `doubts`. Raises Astray, also when the work allowed is done, and CorruptError."""

    @property
    def exhausted(self) -> bool:
        """Whether the work allowed is done."""


@dataclass(frozen=True)
class Hypothesis:
    """Which turns are misread, and what tells how likely that is. trusted, harmless: of `Doubts`; prior: the logarithm of its
    likelihood but for how far it reads; behind: turns that may be misread behind those of `misread`, `at` is the one that is."""

    misread: dict[Turn, int] = field(default_factory=dict)
    trusted: int = 0
    harmless: int = 0
    prior: float = 0.0
    behind: Suspects | None = None
    at: int = 0

    @property
    def score(self) -> float:
        """The logarithm of its likelihood, of one with a turn behind the others."""
        return self.prior + float(self.behind.scores[self.at]) if self.behind else self.prior

    def next(self) -> Hypothesis | None:
        """The same with the next likely turn in place of the last."""
        if not self.behind or self.at + 1 == len(self.behind.scores):
            return None
        return replace(self, at=self.at + 1)

    def extended(self, rate: float) -> Hypothesis:
        """The same, with its turn behind the others among them."""
        if not self.behind:
            return self
        turn = Turn(*map(int, self.behind.turns[self.at]))
        prior = self.score - rate * float(self.behind.rows[self.at])
        return Hypothesis(self.misread | {turn: int(self.behind.beyond[self.at])}, prior=prior)


class _Waiting:
    """Hypotheses that have not been read, by their scores."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hypothesis]] = []
        self._numbers = itertools.count()

    def add(self, score: float, hypothesis: Hypothesis) -> None:
        heapq.heappush(self._heap, (-score, next(self._numbers), hypothesis))

    @property
    def best(self) -> float:
        """The score of the likeliest."""
        return -self._heap[0][0] if self._heap else -math.inf

    def take(self, most: int, rate: float) -> list[tuple[float, Hypothesis]]:
        """The likeliest with their scores, those first that part last from the others."""
        likeliest: list[tuple[float, Hypothesis]] = []
        while self._heap and len(likeliest) < most:
            score, _, chosen = heapq.heappop(self._heap)
            if other := chosen.next():
                self.add(other.score, other)
            likeliest.append((-score, chosen.extended(rate)))
        return sorted(likeliest, key=lambda one: sorted(one[1].misread), reverse=True)


def readings(reader: Reader[T], quantiser: Quantiser, streams: int) -> Iterator[T]:
    """Results of reading a block in other ways, the likeliest first. Raises Astray at the end if reading it as it is gives noise.

    Ever more hypotheses are taken together and read from the one that parts last from the others to the one that parts first, so that little is
    read twice; until one of them leads on to what is likelier than all that are left.
    """
    waiting, rate = _Waiting(), _rate(quantiser)
    waiting.add(0.0, Hypothesis())
    astray, most = False, 1
    while not reader.exhausted and (together := waiting.take(most, rate)):
        most = min(most + most // 4 + 1, _TOGETHER)
        reader.expect([chosen.misread for _, chosen in together])
        while together and not reader.exhausted:
            _, chosen = together.pop(0)
            doubts = Doubts(quantiser, streams, chosen.misread, chosen.trusted, chosen.harmless)
            try:
                yield reader.read(doubts)
                if not chosen.misread and doubts.convincing:
                    return
            except CorruptError:
                astray = astray or not chosen.misread
            except Astray:
                astray = astray or not chosen.misread
                trusting = replace(chosen, trusted=doubts.row, harmless=doubts.borne)
                waiting.add(chosen.prior + doubts.as_it_is, trusting)
            if len((behind := doubts.suspects()).scores):
                further = Hypothesis(chosen.misread, prior=chosen.prior, behind=behind)
                waiting.add(further.score, further)
            if together and waiting.best > max(score for score, _ in together):
                for score, hypothesis in together:
                    waiting.add(score, hypothesis)
                together, most = [], 1
    if astray:
        raise Astray
