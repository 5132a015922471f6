"""The tokens of a block as the decoder comes to know them: all streams in lock step, one token of each at a time.

Repair goes back to earlier steps (`rereading.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from weakref import WeakMethod

import numpy as np
from numpy.typing import NDArray

from llmzip.codec._cells import Cells
from llmzip.codec.context import Part
from llmzip.codec.evaluation import Steps
from llmzip.codec.layout import CODED_ROWS, Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.repair import Doubts
from llmzip.codec.rereading import Copies, Mark
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.model._masses import Masses
from llmzip.model.schedule import slid, span_at

_T = TypeVar("_T", bound=np.generic)
# Bytes of all copies of the network's caches; in small blocks, and for each byte of the words.
_MARKS_BYTES, _MARKS_FREE, _MARKS_A_BYTE = 192 << 20, 32 << 20, 1 << 14
_FEWEST, _FEW_WORDS = 3, 1 << 12  # how many there are; of fewer bytes of words there may be one alone
_ROWS = 1 << 12  # that there is room for at first
RESTORED = 4  # steps of the network in whose time its caches are restored
_KNOWN_A_ROW = 10  # tokens of a context that the mixer goes over in about the time of a row


def rows_of(known: NDArray[np.int32] | None) -> float:
    """Rows of the network in whose time a mixer goes over the tokens of a context."""
    return 0 if known is None else len(known) / _KNOWN_A_ROW


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
        self.step = self._evaluated = 0
        self._copies: Copies[tuple[bytes, bytes]] = Copies(layout.streams)
        self.begin()

    def begin(self) -> float:
        """Mixer and range coder anew; returns the rows of the network in whose time."""
        self._mixer = self._pipeline.mixer(self._layout, known=self._known)
        self._coder = TurnDecoder(self._words)
        return rows_of(self._known)

    def save(self) -> tuple[bytes, bytes]:
        """What mixer and range coder know."""
        return self._mixer.save(), self._coder.native.save()

    def restore(self, saved: tuple[bytes, bytes]) -> None:
        """They know that again."""
        mixer, coder = saved
        self._mixer.restore(mixer)
        self._coder.native.restore(coder)

    def replay(self, start: int, stop: int) -> None:
        """Mixer and range coder on from one step to another, by what was read there."""
        streams, size = self._layout.streams, max(1, CODED_ROWS // self._layout.streams)
        for step in range(start, stop, size):
            rows = slice(step * streams, min(step + size, stop) * streams)
            _, chances = self._mixer.encode_steps(self._ranks[rows], self._states[rows], self._cells[rows], streams)
            self._coder.decode(np.frombuffer(chances, np.uint16))

    def advance(self, doubts: Doubts | None = None) -> None:
        """The next token of every stream. Raises CorruptError, and what `doubts` raises (only one that is keeping shows it turns)."""
        layout, tree, step = self._layout, self._pipeline.tree, self.step
        active, done = layout.active(step), step * layout.streams
        self._evaluated = step + 1
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
            doubts.end(step, self._pipeline.line_ends[tree.order[self._ranks[done : done + active]]])

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

    def back(self, step: int, mark: Mark | None = None, *, again: bool = False) -> float:
        """To a step that it was at, to read on from there in another way; where the network's window has slid since, to a mark before it
        (None: the beginning). again: more than once. Returns about how many rows of the network that took.
        """
        if step == self.step == self._evaluated:
            return 0
        known, work = self._evaluation.known, 0.0
        if self._pipeline.session.model.rewinds and slid(self._evaluated, self._pipeline.window, known) < step:
            if step < self._evaluated:
                self._evaluation.rewind(span_at(step, self._pipeline.window, known))
        elif mark:
            step = mark.step
            self._evaluation.restore(mark.caches)
            work += RESTORED * self._layout.streams
        else:
            step = 0
            self._evaluation.clear()
        self.step = self._evaluated = step
        return work + self._copies.to(step, self, again=again)
