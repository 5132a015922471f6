"""The tokens of a block as the decoder comes to know them: all streams in lock step, one token of each at a time.

Repair goes back to earlier steps (`rereading.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from llmzip.codec._cells import NONE, Cells
from llmzip.codec.context import Part
from llmzip.codec.evaluation import Steps
from llmzip.codec.layout import CODED_ROWS, Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.relay import Baton
from llmzip.codec.repair import Astray, Doubts, Turn
from llmzip.codec.rereading import Copies, Mark
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.errors import CorruptError
from llmzip.model._masses import Masses
from llmzip.model.schedule import slid, span_at
from llmzip.model.team import Share

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


class _Record:
    """What the cells of a step were found from, by streams and levels, and which are to be taken in place of those found."""

    def __init__(self, streams: int, depth: int) -> None:
        self.odds, self.states = np.zeros((streams, depth)), np.zeros(streams, np.uint8)
        self.cells, self.instead = np.zeros((streams, depth), np.uint8), np.full((streams, depth), NONE, np.uint8)

    def begin(self, instead: dict[Turn, int]) -> None:
        """Nothing of a step is known but which cells are taken for others."""
        self.odds.fill(0)  # which is near no edge
        self.states.fill(0)
        self.instead.fill(NONE)
        for turn, cell in instead.items():
            self.instead[turn.stream, turn.level] = cell


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
        self._shaken = np.float32(shaken)
        self._masses = Masses(pipeline.tree.order, layout.streams)
        self._record = record = _Record(layout.streams, pipeline.tree.depth) if keeping else None
        recorded = (record.odds, record.states, record.cells, record.instead) if record else ()
        self._source = Cells(self._masses, pipeline.quantiser.grids, *recorded).capsule
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
        first, last = start * self._layout.streams, stop * self._layout.streams
        for row in range(first, last, CODED_ROWS):
            rows = slice(row, min(row + CODED_ROWS, last))
            _, chances = self._mixer.encode(self._ranks[rows], self._states[rows], self._cells[rows])
            self._coder.decode(np.frombuffer(chances, np.uint16))

    def read(self, told: Callable[[int], None]) -> None:
        """Read on to the end. told: hears now and then how many steps have been read. Raises CorruptError, and what `told` raises."""
        while self.step < self._layout.steps and not self._evaluation.shares:
            self.advance()
            told(self.step)
        if self.step < self._layout.steps:
            self._relay(self._evaluation.shares, told)

    def _relay(self, shares: Sequence[Share], told: Callable[[int], None]) -> None:
        """The same where streams are parted over evaluators, each in a thread of its own: it takes its next step as soon as its own tokens are
        known, while the others' are decoded. The order of decoding is that of the format."""
        layout, begun = self._layout, self.step
        baton = Baton(begun * layout.streams)

        def leg(share: Share, told: Callable[[int], None]) -> None:
            for step in range(begun, layout.steps):
                stop = min(share.stop, layout.active(step))
                if stop <= share.first:
                    return
                span = span_at(step, self._pipeline.window, self._evaluation.known)
                logits = self._evaluation.evaluate_share(share, span, self._inputs(step, share.first, stop))
                self._load(step, logits, share.first)
                first = step * layout.streams
                with baton.held(first + share.first, first + stop):
                    self._decode(step, share.first, stop)
                told(step + 1)

        def others(step: int) -> None:
            """Progress is told by one."""

        self._evaluation.together(
            [partial(baton.run, leg, share, others if number else told) for number, share in enumerate(shares)],
            baton.drop,
        )

    def advance(self, doubts: Doubts | None = None) -> None:
        """The next token of every stream. Raises CorruptError, and what `doubts` raises (only one that is keeping shows it turns)."""
        layout, tree, step, record = self._layout, self._pipeline.tree, self.step, self._record
        active, done = layout.active(step), step * layout.streams
        self._evaluated = step + 1
        span = span_at(step, self._pipeline.window, self._evaluation.known)
        self._evaluation.give(span, self._inputs(step, 0, active), partial(self._load, step))
        if record:
            record.begin(doubts.instead(step) if doubts else {})
        try:
            self._decode(step, 0, active)
        except CorruptError:
            if record and doubts:
                with contextlib.suppress(Astray):
                    doubts.see(step, record.odds, record.states, record.cells, np.zeros(layout.streams, np.bool_))
            raise
        if record:
            rows = slice(done, done + active)
            self._states = self._with_room(self._states, rows.stop)
            self._cells = self._with_room(self._cells, rows.stop)
            self._states[rows], self._cells[rows] = record.states[:active], record.cells[:active]
            if doubts:
                line_ends = self._pipeline.line_ends[tree.order[self._ranks[rows]]]
                doubts.see(step, record.odds[:active], record.states[:active], record.cells[:active], line_ends)

    def _inputs(self, step: int, first: int, stop: int) -> NDArray[np.int32]:
        """What the network is fed in a step, of streams first .. stop-1."""
        if not step:
            return np.full(stop - first, self._evaluation.first_input, np.int32)
        before = (step - 1) * self._layout.streams
        return self._pipeline.tree.order[self._ranks[before + first : before + stop]]

    def _load(self, step: int, logits: NDArray[np.float32], first: int) -> None:
        """Logits of streams from `first` on; perhaps by several threads at once."""
        if self._shaken:
            # The odds of two sums change by no more than the factors of their terms, one way up and the other way down.
            noise = np.random.default_rng((self._layout.count, step, first)).random(logits.shape, np.float32)
            logits = logits + (noise - np.float32(0.5)) * self._shaken
        self._masses.load(logits, first)

    def _decode(self, step: int, first: int, stop: int) -> None:
        """The tokens of streams first .. stop-1 of a step, which are the next ones. Raises CorruptError."""
        row = step * self._layout.streams
        self._ranks = self._with_room(self._ranks, row + stop)
        self._ranks[row + first : row + stop] = self._mixer.decode(self._coder, stop - first, self._source)
        self.step = step + (stop == self._layout.active(step))

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
