"""One block through the codec, step by step: tokens, logits, cells, turns, words.

    data --tokens_of--> tokens --evaluate--> logits --quantise--> cells --turns--> bits and probabilities --words--> bytes

Without a network there are no logits and no cells: the table of n-grams inside the mixer is the model.

`encode` goes all the way; studies and benchmarks take single steps. `decoding` is the way back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from llmzip.codec.agreement import Coding
from llmzip.codec.context import Context, Part
from llmzip.codec.head import BlockHead
from llmzip.codec.layout import CODED_ROWS, Layout, Run
from llmzip.codec.meanwhile import import_meanwhile
from llmzip.codec.observer import SILENT, Observer
from llmzip.codec.quantising import Await, Cells, at_hand, quantising
from llmzip.coding.mixing import MOST_LEAVES, Mixer
from llmzip.coding.table_file import find_start, find_table
from llmzip.coding.tree import LeaningTree, VocabularyTree
from llmzip.container.format import MAX_BLOCK
from llmzip.errors import CorruptError, ModelError
from llmzip.text import newlines
from llmzip.text.digits import many_digits
from llmzip.text.embedded_vocabulary import digit_speller, embedded_vocabulary
from llmzip.text.tokens import TokenText, Vocabulary

if TYPE_CHECKING:
    # Blocks without a network need no arrays, and NumPy takes longer to import than a short one to code.
    import numpy as np
    from numpy.typing import NDArray

    from llmzip.codec.evaluation import Session
    from llmzip.codec.quantiser import Quantiser
    from llmzip.model.base import Window
    from llmzip.text.tokens import Ids

_SAMPLE = (
    b"The drift between two machines is measured on a few words like these, since all texts of a language have it "
    b"alike, be they letters, laws or programs."
)

_BEGINNING = 24  # bytes by which a block is looked for in its context

ShareDone = Callable[[float], None]
"""Told what share of a block, 0 to 1, is done."""


def silent(share: float) -> None:
    """Progress that nobody looks at."""


def _told(
    turns: Iterable[tuple[Run, bytes, bytes]], layout: Layout, progress: ShareDone
) -> Iterator[tuple[Run, bytes, bytes]]:
    """The same turns; progress hears of them."""
    for run, bits, probabilities in turns:
        yield run, bits, probabilities
        progress(run.stop / layout.count)


class BlockPipeline:
    """The steps from a block's bytes to its payload, for one model and one coding.

    vocabulary: bytes to tokens; tree: tokens to turns; quantiser: log odds to cells; context: what blocks may build on.
    """

    def __init__(self, session: Session | None, coding: Coding, context: Context | None = None) -> None:
        if session is None and not coding.table:
            raise CorruptError("neither a network nor a table of n-grams is named: the file is damaged")
        self.coding, self._session, self.context = coding, session, context
        self.nearer = False  # whether it has three quarters of the window that the header says
        self._known: tuple[Part, NDArray[np.int32]] | None = None
        if session:
            self.vocabulary = Vocabulary(session.model.pieces, session.model.tokenize, session.model.byte_tokens)
        else:
            self.vocabulary = embedded_vocabulary()
        self._start = None if session else find_start(coding.table)
        pieces = self.vocabulary.pieces
        if len(pieces) > MOST_LEAVES:
            raise ModelError(
                f"the model's vocabulary has {len(pieces)} tokens, and files can have {MOST_LEAVES} at most; use another model"
            )
        self.tree = LeaningTree(pieces, self._start.lengths) if self._start else VocabularyTree(pieces)
        self.table = find_table(coding.table) if coding.table else None
        if self.table and self.table.vocabulary != self.tree.leaves:
            raise CorruptError("the table of n-grams is not of the model's vocabulary: the file is damaged")

    @cached_property
    def quantiser(self) -> Quantiser:
        """Log odds of the network to cells."""
        from llmzip.codec.quantiser import Quantiser

        return Quantiser(self.coding.tolerance)

    @property
    def network(self) -> bool:
        """Whether a network takes part."""
        return self._session is not None

    @property
    def session(self) -> Session:
        """The network."""
        if self._session is None:
            raise RuntimeError("a pipeline without a network has no session")
        return self._session

    @property
    def window(self) -> Window:
        """The network's window."""
        if self.coding.window is None:
            raise RuntimeError("a pipeline without a network has no window")
        return self.coding.window

    @property
    def fewest_turns(self) -> int:
        """Turns, and bits of its state, that a token takes at least."""
        return self.tree.fewest_turns + (2 if self.network and self.coding.tolerance else 0)

    @property
    def near(self) -> BlockPipeline:
        """The same with three quarters of the network's window, for blocks that say so. Raises CorruptError where that is none."""
        one = copy.copy(self)
        try:
            one.coding, one.nearer = replace(self.coding, window=self.window.near), True
        except ValueError:
            raise CorruptError(
                f"three quarters of a window of {self.window.context} tokens are none: the file is damaged"
            ) from None
        return one

    def of(self, head: BlockHead) -> BlockPipeline:
        """The one for a block with this head. Raises CorruptError."""
        return self.near if head.near else self

    def on(self, session: Session) -> BlockPipeline:
        """The same with another session of its model, for a thread of its own."""
        one = copy.copy(self)
        one._session = session
        return one

    def mixer(self, layout: Layout, mixing: bool | None = None, known: NDArray[np.int32] | None = None) -> Mixer:
        """The mixer of a block, fresh, or gone over the tokens `known`; mixing: None = as the coding says."""
        return Mixer(
            self.tree.leaves,
            layout.streams,
            layout.count,
            mix=self.coding.mixing if mixing is None else mixing,
            flags=self.coding.tolerance > 0,
            table=self.table,
            traits=self.tree.traits,
            start=self._start,
            seen=None if known is None else self.tree.ranks[known],
        )

    def tokens_of(self, data: bytes) -> tuple[TokenText, bool]:
        """Tokens of a block, and whether CRLF line ends were turned into LF before."""
        return self._spelt(data, self._digits(data))

    def _digits(self, data: bytes) -> bool:
        """Whether numbers are spelt digit by digit."""
        return not self.network and many_digits(data)

    def _spelt(self, data: bytes, digits: bool) -> tuple[TokenText, bool]:
        turned = newlines.to_lf(data)
        lines = data if turned is None else turned
        text = self.vocabulary.encode(lines)
        return digit_speller().spell(text, lines) if digits else text, turned is not None

    def part_for(self, data: bytes, most: int) -> Part | None:
        """What of the context a block builds on, of at most `most` bytes; None without a context."""
        if self.context is None:
            return None
        part = replace(self.context.choose(data, most), digits=self._digits(data))
        if not self.network or (known := self.known(part, MAX_BLOCK)) is None:
            return part
        import numpy as np

        # The network best reads what stands before the block's beginning, where that is found, else the last tokens.
        place = self.context.part(part, MAX_BLOCK).find(data[:_BEGINNING]) if len(data) >= _BEGINNING else -1
        ends = np.cumsum([len(self.vocabulary.pieces[token]) for token in known.tolist()])
        before = int(np.searchsorted(ends, place, "right"))
        return replace(part, back=len(known) - before) if before > self.window.lead // 2 else part

    def known(self, part: Part | None, block: int) -> NDArray[np.int32] | None:
        """The tokens of a part of the context, (n,), for a block of so many bytes; None without one.

        format: both sides find these tokens by the model's own tokenizer; literals are left out. Raises CorruptError.
        """
        if part is None:
            return None
        if self.context is None:
            raise CorruptError("a block builds on a context and the header names none: the file is damaged")
        held = self._known
        if held is None or replace(held[0], back=part.back) != part:
            held = self._known = part, self._spelt(self.context.part(part, block), part.digits)[0].tokens
        else:
            self.context.part(part, block)
        if part.back > len(held[1]):
            raise CorruptError("a block builds on an impossible part of the context: the file is damaged")
        return held[1]

    def lead(self, part: Part | None, known: NDArray[np.int32] | None) -> NDArray[np.int32] | None:
        """What each stream is fed first, (n,): the start token and the last tokens known; None for the start token alone.

        format: as many as the window's `lead`. Exact files have none: their bits rest on the shapes of steps.
        """
        if part is None or known is None or self.coding.exact:
            return None
        import numpy as np

        end = len(known) - part.back
        before = known[max(0, end - self.window.lead) : end]
        return np.concatenate([[self.session.model.start], before]).astype(np.int32)

    def evaluate(
        self,
        tokens: NDArray[np.int32],
        layout: Layout,
        lead: NDArray[np.int32] | None = None,
        groups: Iterable[slice] | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """What the model predicts for each token: pairs (indices, logits (rows, V)), valid until the next pair.

        Some tokens may come twice: the last one counts. lead: as of `lead`. groups: of streams, as of `groups_of`, in portable files.
        """
        from llmzip.codec.evaluation import Disagreement, in_steps, prefill

        window, rows = self.window, self.coding.rows
        if self.coding.exact and rows == 1:
            yield from in_steps(self.session, tokens, layout, window, 1)
            return
        try:
            yield from prefill(self.session, tokens, layout, window, rows, lead, groups)
        except Disagreement:
            yield from in_steps(self.session, tokens, layout, window, rows)

    def odds(
        self,
        tokens: NDArray[np.int32],
        evaluations: Iterable[tuple[NDArray[np.intp], NDArray[np.float32]]],
        out: Callable[[NDArray[np.intp], NDArray[np.float64]], None],
    ) -> None:
        """Odds of the turns that lead to each token: calls out(indices, odds (rows, K)) for every pair of `evaluations`."""
        import numpy as np

        from llmzip.model._masses import Masses

        masses = Masses(self.tree.order, 1)
        for indices, logits in evaluations:
            odds = np.empty((len(indices), self.tree.depth))
            masses.path_odds(logits, self.tree.ranks[tokens[indices]], odds)
            out(indices, odds)

    @cached_property
    def line_ends(self) -> NDArray[np.bool_]:
        """Which tokens, (V,), end a line and are nothing else."""
        import numpy as np

        from llmzip.codec.quantiser import LINE_END

        return np.array([piece == LINE_END for piece in self.vocabulary.pieces])

    def cells(
        self, tokens: NDArray[np.int32], odds: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """States (n,) and cells (n, K) of n tokens, by the odds (n, K) of their turns."""
        return self.quantiser.encode(odds, self.line_ends[tokens])

    def quantise(
        self,
        tokens: NDArray[np.int32],
        layout: Layout,
        *,
        lead: NDArray[np.int32] | None = None,
        observer: Observer = SILENT,
        progress: ShareDone = silent,
    ) -> Cells:
        """Evaluate all tokens and put the odds of their turns into cells. lead: as of `lead`."""
        with quantising(self, tokens, layout, lead=lead, observer=observer, progress=progress) as (cells, _):
            pass
        return cells

    def turns(
        self,
        tokens: Ids,
        layout: Layout,
        cells: Cells | None,
        *,
        mixing: bool | None = None,
        most: int = CODED_ROWS,
        known: NDArray[np.int32] | None = None,
        wait: Await = at_hand,
    ) -> Iterator[tuple[Run, bytes, bytes]]:
        """Turns of each run of rows: bits (uint8) and probabilities of bit 1 (uint16, in 1/65536) as raw bytes.

        cells: None without a network. mixing: None = as the coding says. most: rows of a run. known: tokens that the mixer goes
        over first. wait: called before the cells of a run are looked at.
        """
        tokens = layout.in_rows(tokens)
        mixer = self.mixer(layout, mixing, known)
        for run in layout.runs(most):
            wait(run.stop)
            rows = slice(run.start, run.stop)
            ranks = self.tree.ranks_of(tokens[rows].tolist())
            states, of_rows = (cells.states[rows], cells.cells[rows]) if cells else (bytes(len(ranks)), None)
            yield run, *mixer.encode(ranks, states, of_rows)

    def words(self, turns: Iterable[tuple[Run, bytes, bytes]], observer: Observer = SILENT) -> bytes:
        """The range coder's bytes for turns in coding order."""
        import_meanwhile("llmzip.coding.rangecoder")
        coder: TurnEncoder | None = None
        for run, bits, probabilities in turns:
            from llmzip.coding.rangecoder import TurnEncoder

            coder = coder or TurnEncoder()
            observer.turns(run, bits, probabilities)
            coder.encode(bits, probabilities)
        return coder.finish() if coder else b""

    def encode(
        self,
        text: TokenText,
        crlf: bool,
        streams: int,
        *,
        part: Part | None = None,
        observer: Observer = SILENT,
        progress: ShareDone = silent,
    ) -> bytes:
        """The payload for a block's tokens, in `streams` streams. part: of the context, from `part_for`."""
        layout = Layout(len(text), streams)
        head = BlockHead(crlf, layout.count, streams, text.literals, self.network, text.spaced, part, self.nearer)
        known = self.known(part, MAX_BLOCK)
        observer.tokens(text, crlf, layout)
        if not self.network:
            turns = _told(self.turns(text.ids, layout, None, known=known), layout, progress)
            return head.payload(self.words(turns, observer))
        lead = self.lead(part, known)
        with quantising(self, text.tokens, layout, lead=lead, observer=observer, progress=progress) as (cells, wait):
            if observer is not SILENT:
                wait(layout.count)
                observer.cells(cells)
            return head.payload(self.words(self.turns(text.tokens, layout, cells, known=known, wait=wait), observer))

    def measured_tolerance(self) -> int:
        """The tolerance that a portable file by this model needs, in units of 1e-6."""
        from llmzip.codec.arithmetic import measured_tolerance

        return measured_tolerance(self.session, self.tree, self.vocabulary.encode(_SAMPLE).tokens)
