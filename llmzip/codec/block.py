"""Model blocks: coding in lock step, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.arithmetic import measured_tolerance
from llmzip.codec.evaluation import Disagreement, Session, Steps, in_steps, prefill
from llmzip.codec.head import BlockHead
from llmzip.codec.quantiser import Quantiser
from llmzip.codec.repair import Doubts, readings
from llmzip.coding.mixing import Mixer
from llmzip.coding.rangecoder import TurnDecoder, TurnEncoder
from llmzip.coding.tree import VocabularyTree
from llmzip.model._masses import Masses
from llmzip.model.base import Window
from llmzip.model.schedule import spans, stream_lengths
from llmzip.text import newlines
from llmzip.text.tokens import TokenText, Vocabulary

_SAMPLE = (
    b"The drift between two machines is measured on a few words like these, since all texts of a language have it "
    b"alike, be they letters, laws or programs."
)
_CODED_ROWS = 1 << 15  # rows whose turns are coded at once: bounds the memory for probabilities

Progress = Callable[[float], None]
"""Told what share of a block, 0 to 1, is done."""

Watch = Callable[[NDArray[np.intp], NDArray[np.float32]], None]
"""Shown indices of tokens and the logits, shape (rows, V), that predict them; must leave both as they are."""


@dataclass(frozen=True)
class Coding:
    """What both sides must agree on, from the header of a member."""

    window: Window
    tolerance: int
    mixing: bool
    exact: bool = False
    rows: int = 1  # rows of a step at least, in exact files


class BlockCodec:
    """Model blocks of one member: a model's vocabulary and tree, and the agreed coding."""

    def __init__(self, session: Session, coding: Coding) -> None:
        model = session.model
        self._session, self._coding = session, coding
        self.vocabulary = Vocabulary(model.pieces, model.tokenize)
        self._tree = VocabularyTree(model.pieces)
        self._quantiser = Quantiser(coding.tolerance)

    def _mixer(self, streams: int, tokens: int, mixing: bool) -> Mixer:
        return Mixer(self._tree.leaves, streams, tokens, mix=mixing, flags=self._coding.tolerance > 0)

    def measured_tolerance(self) -> int:
        """The tolerance that a portable file by this model needs, in units of 1e-6."""
        tokens = self.vocabulary.encode(_SAMPLE).tokens
        return measured_tolerance(self._session, self._tree, tokens)

    def tokens_of(self, data: bytes) -> tuple[TokenText, bool]:
        """Tokens of a block, and whether CRLF line ends were turned into LF before."""
        text = newlines.to_lf(data)
        return self.vocabulary.encode(data if text is None else text), text is not None

    # -- encoding ---------------------------------------------------------------------------------------------------

    def encode(self, text: TokenText, crlf: bool, streams: int, progress: Progress) -> bytes:
        """The payload for a block's tokens, evaluated by prefill and coded in `streams` streams."""
        count = len(text.tokens)
        head = BlockHead(crlf, count, streams, text.literals)
        states, cells = self._quantise(text.tokens, streams, progress)
        return head.payload(self._code(self._turns(text.tokens, streams, states, cells, self._coding.mixing)))

    def _quantise(
        self, tokens: NDArray[np.int32], streams: int, progress: Progress, watch: Watch | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """States (n,) and cells (n, K) of all tokens, in coding order."""
        depth, count = self._tree.depth, len(tokens)
        states, cells = np.empty(count, np.uint8), np.empty((count, depth), np.uint8)
        if count == 0:
            return states, cells
        masses = Masses(self._tree.order, 1)
        place = coding_order(count, streams)
        done = 0
        for indices, logits in self._evaluations(tokens, streams):
            if watch:
                watch(indices, logits)
            odds = np.empty((len(indices), depth))
            masses.path_odds(logits, self._tree.ranks[tokens[indices]], odds)
            states[place[indices]], cells[place[indices]] = self._quantiser.encode(odds)
            done += len(indices)
            progress(min(1.0, done / count))
        return states, cells

    def _evaluations(
        self, tokens: NDArray[np.int32], streams: int
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """What the model predicts for each token: pairs as `prefill` gives; some tokens may come twice, the last one
        counts."""
        window, rows = self._coding.window, self._coding.rows
        if self._coding.exact and rows == 1:
            yield from in_steps(self._session, tokens, streams, window, 1)
            return
        try:
            yield from prefill(self._session, tokens, streams, window, rows)
        except Disagreement:
            yield from in_steps(self._session, tokens, streams, window, rows)

    def _turns(
        self, tokens: NDArray[np.int32], streams: int, states: NDArray[np.uint8], cells: NDArray[np.uint8], mixing: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """Bits and probabilities of all turns, in pieces of whole steps; states and cells are in coding order."""
        count = len(tokens)
        ranks = np.empty(count, np.uint32)
        ranks[coding_order(count, streams)] = self._tree.ranks[tokens]
        mixer = self._mixer(streams, count, mixing)
        for start, stop, active in step_runs(count, streams):
            yield mixer.encode_steps(ranks[start:stop], states[start:stop], cells[start:stop], active)

    def _code(self, turns: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The range coder's bytes for turns in coding order."""
        coder = TurnEncoder()
        for bits, probabilities in turns:
            coder.encode(bits, probabilities)
        return coder.finish()

    # -- decoding ---------------------------------------------------------------------------------------------------

    def decode(self, payload: bytes, original_length: int, progress: Progress) -> bytes:
        """The bytes of a block. Raises CorruptError for what no encoder writes; the caller checks the result."""
        head, words = BlockHead.unpack(payload, original_length)
        return self._decode(head, words, progress)

    def other_readings(self, payload: bytes, original_length: int) -> Iterator[bytes]:
        """What else a block may have been, likeliest first, if what `decode` gives is not what was encoded: drift may
        have exceeded the tolerance. None for exact files. Raises Astray if drift seems to have gone beyond repair, and
        CorruptError as `decode` does."""
        if self._coding.tolerance == 0:
            return
        head, words = BlockHead.unpack(payload, original_length)
        yield from readings(lambda doubts: self._decode(head, words, lambda share: None, doubts), self._quantiser)

    def _decode(self, head: BlockHead, words: bytes, progress: Progress, doubts: Doubts | None = None) -> bytes:
        tokens = self._decode_tokens(words, head.tokens, head.streams, progress, doubts)
        data = self.vocabulary.decode(TokenText(tokens, head.literals))
        return newlines.to_crlf(data) if head.crlf else data

    def _decode_tokens(
        self, words: bytes, count: int, streams: int, progress: Progress, doubts: Doubts | None
    ) -> NDArray[np.int32]:
        """Tokens of a block in their order, shape (count,)."""
        if count == 0:
            return np.empty(0, np.int32)
        window, tree, model = self._coding.window, self._tree, self._session.model
        mixer, coder = self._mixer(streams, count, self._coding.mixing), TurnDecoder(words)
        masses = Masses(tree.order, streams)
        steps = -(-count // streams)
        evaluation = Steps(self._session, streams, steps, window, self._coding.rows)
        coded = np.empty(count, np.int32)
        inputs = np.full(streams, model.start, np.int32)
        for span in spans(steps, window, 1):
            start = span.start * streams
            active = min(streams, count - start)
            masses.load(evaluation.evaluate(span, inputs[:active]))
            ranks = self._decode_step(mixer, coder, masses, active, span.start, doubts)
            inputs[:active] = coded[start : start + active] = tree.order[ranks]
            progress((start + active) / count)
        return coded[coding_order(count, streams)]

    def _decode_step(
        self, mixer: Mixer, coder: TurnDecoder, masses: Masses, active: int, step: int, doubts: Doubts | None
    ) -> NDArray[np.uint32]:
        """Ranks of the next token of every active stream."""
        states = mixer.decode_states(coder, active)
        ranks, odds, cells = np.zeros(active, np.uint32), np.empty(active), np.empty(active, np.uint8)
        for level in range(self._tree.depth):
            masses.odds(level, ranks, odds)
            self._quantiser.decode(odds, states, cells)
            if doubts:
                doubts.review(step, level, odds, states, cells)
            ranks = mixer.decode_turns(coder, cells)
        return ranks


def coding_order(count: int, streams: int) -> NDArray[np.intp]:
    """Place of every token in the order of coding: step by step, all streams of a step before the next step."""
    lengths = stream_lengths(count, streams)
    return np.concatenate([np.arange(length) * streams + s for s, length in enumerate(lengths)]).astype(np.intp)


def step_runs(count: int, streams: int) -> list[tuple[int, int, int]]:
    """Runs of whole steps, as (start, stop, active streams): rows start .. stop-1 in coding order, coded together."""
    full = count // streams * streams  # rows of the steps in which every stream is active
    batch = max(1, _CODED_ROWS // streams) * streams
    runs = [(start, min(start + batch, full), streams) for start in range(0, full, batch)]
    return runs if full == count else [*runs, (full, count, count - full)]
