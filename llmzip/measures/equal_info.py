"""Equal-info windows: text as windows of a fixed number of bits, each of which decodes by itself, to train models on.

After Lester et al., "Training LLMs over Neurally Compressed Text" (arXiv 2404.03626): a window takes in pieces of text by
arithmetic coding for as long as they fit its bits, then coder and model begin anew. So a code always stands for the same
text. Ours:

* The pieces are the tokenizer's own tokens. A first one that has no code is cut: the longest token that has one is taken.
* A code is a number in an interval that every turn in the vocabulary tree divides, by the centre of the turn's cell; a token
  with a turn near the edge of a cell is not taken, so that the drift between machines changes nothing (docs/portability.md).
* The lowest number of an interval says that the window ends, where the paper pads with zeros and looks ahead.
* A window begins anywhere in a text, so its first piece is coded by what the model predicts on average over a sample.
* Bytes that no first piece covers have codes of their own: the first 256, or with fewer than 16 bits two windows of 4 bits each,
  the only ones that need each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.codec import Codec
from llmzip.codec.evaluation import Session
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.settings import Settings
from llmzip.coding import cells
from llmzip.errors import UsageError
from llmzip.measures.lengths import Progress, unwatched
from llmzip.measures.windows import RIGHT, Lane, Steps, Window, turned
from llmzip.model._masses import Masses

FEWEST_BITS, MOST_BITS = 8, 32
LANES = 64
"""Windows that are worked on at once: streams of one evaluation."""

_WHOLE_BYTES = 16  # bits from which on every byte has a code of its own
_SINGLES = 0.5  # with fewer: weight of a text's first byte alone, beside the pieces that it begins
_SEGMENT = 512  # bytes that are worth a lane of their own

_SAMPLE = (
    b"The ship came in with the tide, later than anyone had hoped. On the quay stood a dozen people; most of them were cold, "
    b'and some had been waiting since morning. "It will not be long now," said the harbour master, who had said so twice before. '
    b"In 1998 the company sold 12 of its 40 vessels, and by the end of that year its shares had fallen from $31.50 to about $9.\n"
    b"There are three ways to do this: first, by asking; second, by looking; third, by thinking. Which of these is best depends "
    b"on what you want to know. For example, the value of x in f(x) = 2x + 1 can be found by looking at a table, but it's often "
    b"easier to work it out. See also: https://www.example.org/index.html (in English).\n"
)


def kind_for(bits: int) -> type[Any]:
    """The array type of codes of so many bits."""
    return np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32


@dataclass(frozen=True)
class Ratio:
    """How much text so many windows hold, as the paper counts."""

    bits: int
    windows: int
    bytes: int

    @property
    def bit_ratio(self) -> float:
        """Bits of the text, 8 a byte, over bits of the windows: the paper's compression ratio with a vocabulary of 256."""
        return 8 * self.bytes / (self.bits * self.windows)

    def token_ratio(self, token_bits: int) -> float:
        """Bytes of the text over tokens of so many bits each that the windows are cut into."""
        return self.bytes * token_bits / (self.bits * self.windows)


class EqualInfo:
    """Text to windows and back, by one model.

    bits: of a window, 8 to 32. settings: the model, its threads; None: the embedded one. Codes are NumPy arrays (windows,) of
    uint8, uint16 or uint32. Raises UsageError, ModelError.
    """

    def __init__(self, bits: int = 16, settings: Settings | None = None) -> None:
        if not FEWEST_BITS <= bits <= MOST_BITS:
            raise UsageError(f"a window can have {FEWEST_BITS} to {MOST_BITS} bits, not {bits}")
        settings = settings or Settings()
        if not settings.network:
            raise UsageError("windows are coded by a network: use a level from 4 to 9")
        self.bits = bits
        self._codec = Codec(settings=settings)
        agreement = self._codec.choice.for_writing()
        self._pipeline: BlockPipeline = self._codec.choice.pipeline(agreement.coding)
        self._reserved = 256 if bits >= _WHOLE_BYTES else 32
        pieces = self._pipeline.vocabulary.pieces
        self._lengths = np.array([len(piece) for piece in pieces], np.int64)
        self._ids = {piece: token for token, piece in reversed(list(enumerate(pieces))) if piece}
        self._longest = max(map(len, self._ids))
        self._first()

    def close(self) -> None:
        """Free the model."""
        self._codec.close()

    def __enter__(self) -> EqualInfo:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _session(self) -> Session:
        return self._pipeline.session

    # -- intervals ---------------------------------------------------------------------------------------------------

    def _first(self) -> None:
        """Intervals of all tokens as the first of a window: (V,) lows and sizes, size 0 where a token cannot begin one."""
        pipeline, model = self._pipeline, self._session.model
        sample = pipeline.tokens_of(_SAMPLE)[0].tokens[: min(256, pipeline.window.context) - 1]
        rows = len(sample) + 1
        evaluator = self._session.evaluator(1, rows, rows)
        inputs = np.concatenate([[model.start], sample]).astype(np.int32)
        logits = evaluator.evaluate(inputs, np.arange(rows, dtype=np.int32), np.zeros(rows, np.int32)).astype(
            np.float64
        )
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        mean = (chances / chances.sum(axis=1, keepdims=True)).mean(axis=0)
        if self.bits < _WHOLE_BYTES:
            mean += _SINGLES * self._single_bytes(mean)
        tree = pipeline.tree
        masses = Masses(tree.order, 1)
        masses.load(np.log(np.maximum(mean, 1e-30)).astype(np.float32)[None])
        ranks = tree.ranks.astype(np.uint32)
        odds = np.ones((len(ranks), tree.depth))
        for level in range(tree.depth):
            nodes, places = np.unique(ranks >> (tree.depth - level), return_inverse=True)
            of_nodes, one = np.empty(len(nodes)), np.empty(1)
            for i in range(len(nodes)):
                masses.odds(level, nodes[i : i + 1].astype(np.uint32), one)
                of_nodes[i] = one[0]
            odds[:, level] = of_nodes[places]
        low = np.full(len(ranks), self._reserved, np.int64)
        size = np.where(self._lengths > 0, (1 << self.bits) - self._reserved, 0)
        self._low, self._size = self._divided(odds, ranks, low, size)
        taken = np.flatnonzero(self._size)
        order = np.argsort(self._low[taken], kind="stable")
        self._begins, self._beginners = self._low[taken][order], taken[order]

    def _single_bytes(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chances of all tokens, (V,), given to the token that is their first byte alone."""
        pieces, found = self._pipeline.vocabulary.pieces, np.zeros_like(mean)
        for token, piece in enumerate(pieces):
            single = self._ids.get(piece[:1])
            if single is not None:
                found[single] += mean[token]
        return found

    def _divided(
        self, odds: NDArray[np.float64], ranks: NDArray[np.uint32], low: NDArray[np.int64], size: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The parts of intervals (n,) that belong to tokens of these ranks (n,), by the odds of their turns (n, K); size 0 where there is
        none, or where drift could move a turn into another cell."""
        tree = self._pipeline.tree
        states, found = self._pipeline.cells(tree.order[ranks], odds)
        size = np.where(states == cells.SAFE, size, 0)
        for level in range(tree.depth):
            turn = (ranks >> (tree.depth - 1 - level) & 1).astype(np.bool_)
            low, size = turned(turn, tree.coded(level, ranks), found[:, level], low, size)
        return low, size

    # -- text to windows ---------------------------------------------------------------------------------------------

    def encode(self, text: bytes, progress: Progress = unwatched) -> NDArray[Any]:
        """Codes (windows,) of a text. Raises RuntimeError if they would not give it back (arithmetic that drifts too far)."""
        lanes = max(1, min(LANES, len(text) // _SEGMENT))
        edges = [len(text) * i // lanes for i in range(lanes + 1)]
        found = self._encoded([text[a:b] for a, b in pairwise(edges)], progress)
        codes = np.array([code for lane in found for code in lane], kind_for(self.bits))
        if self.decode(codes) != text:
            raise RuntimeError(
                "the windows do not give the text back: this machine's arithmetic drifts more than is tolerated"
            )
        return codes

    def _encoded(self, parts: list[bytes], progress: Progress) -> list[list[int]]:
        lanes = [Lane(part, self._natural(part)) for part in parts]
        steps = Steps(self._session, len(lanes))
        masses = Masses(self._pipeline.tree.order, len(lanes))
        while True:
            working = []
            for number, lane in enumerate(lanes):
                before = lane.at
                self._begin(lane)
                progress(lane.at - before)
                if lane.pieces:
                    working.append(number)
            if not working:
                return [lane.codes for lane in lanes]
            rows = [(number, lanes[number].token, lanes[number].pieces) for number in working]
            self._go_on([lanes[number] for number in working], masses, steps.evaluate(rows), progress)

    def _begin(self, lane: Lane) -> None:
        """First pieces, until one leaves room for another or the text ends."""
        while not lane.pieces and lane.at < len(lane.text):
            token = next((t for t in self._candidates(lane) if self._size[t]), None)
            if token is None:
                byte = lane.text[lane.at]
                lane.codes += [byte] if self.bits >= _WHOLE_BYTES else [byte >> 4, 16 + (byte & 15)]
                lane.at += 1
                continue
            lane.take(token, int(self._lengths[token]), int(self._low[token]), int(self._size[token]))

    def _natural(self, text: bytes) -> dict[int, int]:
        """The tokenizer's tokens by where they begin; none where it has bytes that no token stands for."""
        coded = self._pipeline.vocabulary.encode(text)
        if coded.literals or coded.spaced:
            return {}
        lengths = self._lengths[coded.tokens]
        return dict(zip((np.cumsum(lengths) - lengths).tolist(), coded.tokens.tolist(), strict=True))

    def _candidates(self, lane: Lane) -> list[int]:
        """Tokens to try next: the tokenizer's own; where it has none here, or a window begins, then all that the rest of the
        text begins with, the longest first."""
        natural = lane.natural.get(lane.at)
        if natural is not None and lane.pieces:
            return [natural]
        rest = lane.text[lane.at : lane.at + self._longest]
        found = (self._ids.get(rest[:length]) for length in range(len(rest), 0, -1))
        others = [token for token in found if token is not None and token != natural]
        return others if natural is None else [natural, *others]

    def _go_on(self, lanes: list[Lane], masses: Masses, logits: NDArray[np.float32], progress: Progress) -> None:
        """Another piece in the window of each lane, or the end of the window."""
        tree, count = self._pipeline.tree, len(lanes)
        masses.load(np.ascontiguousarray(logits))
        candidates = [self._candidates(lane) for lane in lanes]
        open_ = set(range(count))
        for turn in range(max(map(len, candidates))):
            here = [i for i in open_ if turn < len(candidates[i])]
            if not here:
                break
            ranks = np.zeros(count, np.uint32)
            for i in here:
                ranks[i] = tree.ranks[candidates[i][turn]]
            odds = np.empty((count, tree.depth))
            column = np.empty(count)
            for level in range(tree.depth):
                masses.odds(level, ranks >> np.uint32(tree.depth - level), column)
                odds[:, level] = column
            low = np.array([lane.low + 1 for lane in lanes], np.int64)
            size = np.array([lane.size - 1 for lane in lanes], np.int64)
            lows, sizes = self._divided(odds, ranks, low, size)
            for i in here:
                if sizes[i]:
                    token = candidates[i][turn]
                    progress(int(self._lengths[token]))
                    lanes[i].take(token, int(self._lengths[token]), int(lows[i]), int(sizes[i]))
                    open_.discard(i)
        for i in open_:
            lanes[i].end()

    # -- windows to text ---------------------------------------------------------------------------------------------

    def decode(self, codes: NDArray[Any] | Sequence[int]) -> bytes:
        """The text of windows, in their order. Raises ValueError for codes that `encode` does not give."""
        values = np.asarray(codes, np.int64)
        if len(values) and not (values.min() >= 0 and values.max() < 1 << self.bits):
            raise ValueError(f"a code has {self.bits} bits")
        return b"".join(self._texts(values))

    def texts(self, codes: NDArray[Any] | Sequence[int]) -> list[bytes]:
        """The text of each window, (windows,); of a byte in two halves the second has it."""
        return self._texts(np.asarray(codes, np.int64))

    def _texts(self, values: NDArray[np.int64]) -> list[bytes]:
        found: list[bytes] = [b""] * len(values)
        waiting = []
        half = None
        for number, code in enumerate(values.tolist()):
            if code >= self._reserved:
                if half is not None:
                    raise ValueError("half a byte is missing")
                waiting.append(number)
            elif self.bits >= _WHOLE_BYTES:
                found[number] = bytes([code])
            elif (code < 16) == (half is None):
                if half is not None:
                    found[number] = bytes([half * 16 + code - 16])
                half = code if half is None else None
            else:
                raise ValueError("half a byte is missing")
        if half is not None:
            raise ValueError("half a byte is missing")
        self._decode_waiting(values, waiting, found)
        return found

    def _decode_waiting(self, values: NDArray[np.int64], waiting: list[int], found: list[bytes]) -> None:
        """Windows with tokens, as many at once as there are lanes; a lane that is done takes the next one."""
        pieces = self._pipeline.vocabulary.pieces
        waiting = waiting[::-1]
        count = min(LANES, len(waiting))
        steps = Steps(self._session, count) if count else None
        masses = Masses(self._pipeline.tree.order, max(1, count))
        lanes: list[Window | None] = [None] * count
        while True:
            for number, window in enumerate(lanes):
                while window is None or window.done:
                    if window is not None:
                        found[window.number] = b"".join([pieces[token] for token in window.tokens])
                    if not waiting:
                        window = None
                        break
                    window = self._opened(values, waiting.pop())
                lanes[number] = window
            working = [(number, window) for number, window in enumerate(lanes) if window is not None]
            if not working or steps is None:
                return
            rows = [(number, window.tokens[-1], len(window.tokens)) for number, window in working]
            self._read([window for _, window in working], masses, steps.evaluate(rows))

    def _opened(self, values: NDArray[np.int64], number: int) -> Window:
        """A window whose first piece is known. Raises ValueError for a code in no interval."""
        code = int(values[number])
        place = int(np.searchsorted(self._begins, code, "right")) - 1
        token = int(self._beginners[place]) if place >= 0 else -1
        if token < 0 or code >= self._low[token] + self._size[token]:
            raise ValueError(f"the code {code} stands for nothing")
        return Window(number, code, [token], int(self._low[token]), int(self._size[token]))

    def _read(self, windows: list[Window], masses: Masses, logits: NDArray[np.float32]) -> None:
        """The next piece of each window."""
        tree, count = self._pipeline.tree, len(windows)
        masses.load(np.ascontiguousarray(logits))
        code = np.array([window.code for window in windows], np.int64)
        low = np.array([window.low + 1 for window in windows], np.int64)
        size = np.array([window.size - 1 for window in windows], np.int64)
        prefixes, safe = np.zeros(count, np.uint32), np.zeros(count, np.uint8)
        odds, found = np.empty(count), np.empty(count, np.uint8)
        for level in range(tree.depth):
            masses.odds(level, prefixes, odds)
            self._pipeline.quantiser.decode(odds, safe, found)
            coded = (2 * prefixes.astype(np.int64) + 1) << (tree.depth - level - 1) < tree.leaves
            right = (size * RIGHT[found] + (1 << 15)) >> 16
            turn = coded & (code >= low + size - right)
            low, size = turned(turn, coded, found, low, size)
            prefixes = (prefixes * 2 + turn).astype(np.uint32)
        for window, rank, begin, width in zip(windows, prefixes.tolist(), low.tolist(), size.tolist(), strict=True):
            if not (begin <= window.code < begin + width):
                raise ValueError(f"the code {window.code} stands for nothing")
            window.tokens.append(int(tree.order[rank]))
            window.low, window.size = begin, width


def ratio(bits: int, codes: NDArray[Any], text: bytes) -> Ratio:
    """The ratio of windows of a text."""
    return Ratio(bits, len(codes), len(text))
