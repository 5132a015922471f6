"""The tokens of a block as the decoder comes to know them: all streams in lock step, one token of each at a time.

Repair goes back to earlier steps. The caches of the network are copied now and then. What the mixer and the range coder knew is computed
anew from the cells that were found, which takes a small part of the time of the network; far behind the beginning of a block from a copy
of the mixer, of which there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar
from weakref import WeakMethod

import numpy as np
from numpy.typing import NDArray

from llmzip.codec._cells import Cells
from llmzip.codec.context import Part
from llmzip.codec.evaluation import Steps
from llmzip.codec.layout import CODED_ROWS, Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.repair import Astray, Doubts, Turn
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.model._masses import Masses
from llmzip.model.schedule import span_at

_T = TypeVar("_T", bound=np.generic)
# Between two copies of the caches at least, but for short blocks so many copies.
_MARK_STEPS, _MARK_ROWS, _MARKS = 32, 256, 16
# Bytes of all copies; in small blocks, and for each byte of the words.
_MARKS_BYTES, _MARKS_FREE, _MARKS_A_BYTE = 192 << 20, 32 << 20, 1 << 14
_FEWEST, _MOST, _FEW_WORDS = 3, 12, 1 << 12  # how many there are; of fewer bytes of words there may be one alone
_ROWS = 1 << 12  # that there is room for at first
REPLAYED = 24  # times as fast as the network: going back to a mark
BASE_ROWS = 1 << 13  # from a copy of the mixer to the mark for which it was made
COPIED = 4  # steps of the network in whose time the mixer is copied


def _told(review: Callable[[int, memoryview, memoryview, memoryview], None]) -> Callable[..., None]:
    """A method to be called without keeping its object: native objects between the two hide a circle from Python, which would keep both."""
    method = WeakMethod(review)

    def call(level: int, odds: memoryview, states: memoryview, cells: memoryview) -> None:
        if found := method():
            found(level, odds, states, cells)

    return call


class LockStep:
    """Tokens of a block with a network, step by step. part, known: of the context (`BlockPipeline.known`). keeping: also the cells they
    were coded with, so that it can go back. shaken: add noise to the logits that moves log odds by up to so much."""

    def __init__(
        self,
        pipeline: BlockPipeline,
        words: bytes,
        layout: Layout,
        part: Part | None = None,
        known: NDArray[np.int32] | None = None,
        *,
        keeping: bool = False,
        shaken: float = 0,
    ) -> None:
        self._pipeline, self._words, self._layout, self._known = pipeline, words, layout, known
        self._shaken, self._noise = np.float32(shaken), np.random.default_rng(layout.count) if shaken else None
        self._masses = Masses(pipeline.tree.order, layout.streams)
        self._doubts: Doubts | None = None
        source = Cells(self._masses, pipeline.quantiser.grids, _told(self._review) if keeping else None)
        self._source = source.capsule
        lead = pipeline.lead(part, known)
        self._evaluation = Steps(
            pipeline.session,
            layout.streams,
            layout.steps,
            pipeline.window,
            pipeline.coding.rows,
            lead,
            widens=not keeping,
        )
        self._ranks = np.empty(0, np.uint32)
        self._states = np.empty(0, np.uint8)
        self._cells = np.empty((0, pipeline.tree.depth), np.uint8)
        self._begin()

    def _begin(self) -> None:
        self._base: Base | None = None
        self._mixer = self._pipeline.mixer(self._layout, known=self._known)
        self._coder = TurnDecoder(self._words)
        self.step = 0

    def advance(self, doubts: Doubts | None = None) -> None:
        """The next token of every stream. Raises CorruptError, and what `doubts` raises (only one that is keeping shows it turns)."""
        layout, tree, step = self._layout, self._pipeline.tree, self.step
        active, done = layout.active(step), step * layout.streams
        if step:
            inputs = tree.order[self._ranks[done - layout.streams :][:active]]
        else:
            inputs = np.full(active, self._evaluation.first_input, np.int32)
        span = span_at(step, self._pipeline.window, self._evaluation.known)
        if self._noise:
            logits = self._evaluation.evaluate(span, inputs)
            # The odds of two sums change by no more than the factors of their terms, one way up and the other way down.
            self._masses.load(logits + (self._noise.random(logits.shape, np.float32) - np.float32(0.5)) * self._shaken)
        else:
            self._evaluation.give(span, inputs, self._masses.load)
        self._doubts = doubts
        self._ranks = self._with_room(self._ranks, done + active)
        self._ranks[done : done + active] = self._mixer.decode_steps(self._coder, active, self._source)
        self.step += 1
        if doubts:
            doubts.end(step)

    def _review(self, level: int, odds: memoryview, states: memoryview, cells: memoryview) -> None:
        of_tokens, found = np.frombuffer(states, np.uint8), np.frombuffer(cells, np.uint8)
        if self._doubts:
            self._doubts.review(self.step, level, np.frombuffer(odds), of_tokens, found)
        rows = slice(self.step * self._layout.streams, self.step * self._layout.streams + len(found))
        self._states, self._cells = self._with_room(self._states, rows.stop), self._with_room(self._cells, rows.stop)
        self._states[rows], self._cells[rows, level] = of_tokens, found

    @property
    def room(self) -> int:
        """Bytes that marks may take: a small block may have been made to take much."""
        return min(_MARKS_BYTES, _MARKS_FREE + _MARKS_A_BYTE * len(self._words))

    @property
    def fewest_marks(self) -> int:
        """Marks that there is always room for."""
        return _FEWEST if len(self._words) >= _FEW_WORDS else 1

    @property
    def tokens(self) -> NDArray[np.int32]:
        """All tokens in the order of the text, (count,), once all steps are done."""
        return self._pipeline.tree.order[self._ranks[: self._layout.count]][self._layout.rows]

    def _with_room(self, found: NDArray[_T], rows: int) -> NDArray[_T]:
        """The same for so many rows at least: what is claimed is not allocated before it has come."""
        if len(found) >= rows:
            return found
        grown = np.empty((min(max(2 * rows, _ROWS), self._layout.count), *found.shape[1:]), found.dtype)
        grown[: len(found)] = found
        return grown

    def mark(self) -> Mark:
        """Where it is now."""
        return Mark(self.step, self._evaluation.save())

    def back(self, mark: Mark | None, alike: int | None = None) -> float:
        """To a mark (None: to the beginning), provided that the same was read up to there since. alike: steps up to which all
        was read alike since it went back the last time; None: all. Returns about how many rows of the network it took.
        """
        if self._base and alike is not None and alike < self._base.step:
            self._base = None
        if mark is None:
            self._begin()
            self._evaluation.clear()
            return 0
        work = 0.0
        if self._base and self._base.step <= mark.step:
            self._mixer.restore(self._base.mixer)
            self._coder.native.restore(self._base.coder)
            self.step = self._base.step
            work += COPIED
        else:
            self._begin()
        base = mark.step - BASE_ROWS // self._layout.streams
        if base > self.step + BASE_ROWS * 2 // self._layout.streams:
            work += self._replay(base) + COPIED
            self._base = Base(base, self._mixer.save(), self._coder.native.save())
        work += self._replay(mark.step)
        self._evaluation.restore(mark.caches)
        return work * self._layout.streams

    def _replay(self, stop: int) -> float:
        """Mixer and range coder on to a step that was read before; returns about how many steps of the network it took."""
        streams, size, first = self._layout.streams, max(1, CODED_ROWS // self._layout.streams), self.step
        for step in range(first, stop, size):
            rows = slice(step * streams, min(step + size, stop) * streams)
            _, chances = self._mixer.encode_steps(self._ranks[rows], self._states[rows], self._cells[rows], streams)
            self._coder.decode(np.frombuffer(chances, np.uint16))
        self.step = stop
        return (stop - first) / REPLAYED


class Mark(NamedTuple):
    """A place to go back to: the next step, and copies of the network's caches."""

    step: int
    caches: NDArray[np.uint8]


class Base(NamedTuple):
    """A place to begin a replay at: the next step, and what mixer and range coder knew."""

    step: int
    mixer: bytes
    coder: bytes


class Rereader:
    """Reads a block again and again for `repair.readings`, each time from where it differs from the time before.

    make: a `LockStep` that is keeping. most: rows of the network in all (a step has one of each stream), of which `left` are left.
    before: what beginning anew takes, in rows.
    """

    def __init__(self, make: Callable[[], LockStep], layout: Layout, most: float, before: float = 0) -> None:
        self._make, self._layout = make, layout
        self.left, self._before = most, before
        self._reading: LockStep | None = None
        self._misread: dict[Turn, int] = {}
        self._marks: list[Mark] = []

    @property
    def exhausted(self) -> bool:
        """Whether the work allowed is done."""
        return self.left <= 0

    def read(self, doubts: Doubts) -> NDArray[np.int32]:
        """Tokens (count,) in the order of the text. Raises Astray and CorruptError."""
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

    def _return(self, misread: dict[Turn, int]) -> LockStep:
        """Back to the last mark before anything is read otherwise than the time before."""
        self.left -= self._before
        if self._reading is None:
            self._reading = self._make()
        else:
            apart = min((turn.step for turn, _ in misread.items() ^ self._misread.items()), default=self._reading.step)
            while self._marks and self._marks[-1].step > apart:
                self._marks.pop()
            mark = self._marks[-1] if self._marks else None
            self.left -= self._reading.back(mark, apart)
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
