"""Code lengths by a model with mixing, or by the mixer and its table alone: what the codec would make of the text.

K(x) is what `estimate` prints as "after mixing" for a text in one stream. For K(x|y) the text y comes first: its tokens
lie in the model's window when x begins, and the mixer has learnt from them. Both sides of a code would have to know y.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.codec import Codec
from llmzip.codec.evaluation import Session
from llmzip.codec.layout import Layout
from llmzip.codec.quantising import Cells
from llmzip.codec.settings import Settings
from llmzip.measures.continuations import Continuations
from llmzip.measures.lengths import Progress, Size, Wanted, unwatched
from llmzip.measures.priming import PrimedMixer
from llmzip.model._masses import Masses

_STORED_BITS = 8  # what a byte costs that no token stands for
_PARTS = 8  # contexts that do not fit are cut to so many parts of a window, half of it at least

_GRAIN = 64  # positions of caches are multiples of it

_BASES = frozenset(b"ACGTNacgtn\r\n")


@dataclass(frozen=True)
class _Coded:
    """A text as tokens (n,). stored: bits of what no token stands for."""

    tokens: NDArray[np.int32]
    stored: int


class ModelLengths:
    """Lengths by a model with mixing; with a `level` from 1 to 3 by the mixer and its table of n-grams alone.

    settings: model, window, mixing and threads as for the codec. separator: stands between a context and the text.
    Sequences of the letters ACGTN are read letter by letter where there is no network: a tokenizer cuts equal stretches
    differently. Raises ModelError, UsageError.
    """

    def __init__(self, settings: Settings | None = None, separator: bytes = b"\n\n") -> None:
        self._codec = Codec(settings=settings or Settings())
        agreement = self._codec.choice.for_writing()
        self._pipeline = self._codec.choice.pipeline(agreement.coding)
        self.separator = separator
        coding = agreement.coding
        window = coding.window
        self.identity = " ".join(
            [
                agreement.identity.hex(),
                f"coder {agreement.header().coder}",
                f"{window.context}/{window.parts}" if window else "alone",
                f"{coding.tolerance} {coding.mixing} {coding.table.hex()} {separator!r}",
            ]
        )
        self.name = "model" if window else "mixer"
        self._window = window
        self._known: dict[bytes, _Coded] = {}
        self._letters: dict[int, int] = {}
        self.rows = self.needed = 0
        """Rows of the network that were evaluated, and those that could not have been left out."""

    def close(self) -> None:
        """Free the model."""
        self._codec.close()

    def __enter__(self) -> ModelLengths:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- texts -------------------------------------------------------------------------------------------------------

    def _coded(self, text: bytes) -> _Coded:
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._spelt(text) or self._tokenised(text)
        return found

    def _tokenised(self, text: bytes) -> _Coded:
        tokens, _ = self._pipeline.tokens_of(text)
        return _Coded(tokens.tokens, _STORED_BITS * sum(len(literal) for _, literal in tokens.literals))

    def _spelt(self, text: bytes) -> _Coded | None:
        """A sequence of bases letter by letter, None for what is none."""
        if self._pipeline.network or not text or not _BASES.issuperset(text):
            return None
        if not self._letters:
            pieces = self._pipeline.vocabulary.pieces
            self._letters = {piece[0]: token for token, piece in enumerate(pieces) if len(piece) == 1}
        if any(letter not in self._letters for letter in set(text)):
            return None
        table = np.zeros(256, np.int32)
        table[list(self._letters)] = list(self._letters.values())
        return _Coded(table[np.frombuffer(text, np.uint8)], 0)

    @property
    def session(self) -> Session:
        """The network. Raises RuntimeError where there is none."""
        return self._pipeline.session

    def tokens(self, text: bytes) -> NDArray[np.int32]:
        """The tokens of a text as they are measured, (n,)."""
        return self._coded(text).tokens

    def sizes(self, texts: Sequence[bytes]) -> list[Size]:
        """Bytes and tokens."""
        return [Size(len(text), len(self._coded(text).tokens)) for text in texts]

    def notices(self, contexts: Sequence[bytes], texts: Sequence[bytes]) -> list[str]:
        """What a reader has to know of texts that do not fit the window, a sentence each; none if all do."""
        if not self._window:
            return []
        window = self._window.context
        longest = max((len(self._coded(text).tokens) for text in texts), default=0)
        extra = len(self._coded(self.separator).tokens)
        cut = sum(len(self._coded(each).tokens) + extra + longest > window for each in contexts)
        slid = sum(len(self._coded(each).tokens) > window for each in texts)
        told = []
        if slid:
            told.append(
                f"{slid} of {len(texts)} texts are longer than the window of {window} tokens: it slides over them as in files"
            )
        if cut:
            told.append(
                f"{cut} of {len(contexts)} contexts do not fit the window of {window} tokens beside the longest text: there the "
                f"network sees as many of their last tokens as fit, in steps of {window // _PARTS} ({window // 2} at least); the "
                "mixer learns from all"
            )
        return told

    # -- lengths -----------------------------------------------------------------------------------------------------

    def alone(self, texts: Sequence[bytes], progress: Progress = unwatched) -> NDArray[np.float64]:
        """K(x) of each text in bits, (n,)."""
        coded = [self._coded(text) for text in texts]
        nothing = np.empty(0, np.int32)
        return self._after(nothing, coded, np.ones(len(texts), np.bool_), self._positions([nothing], coded), progress)

    def given(
        self, contexts: Sequence[bytes], texts: Sequence[bytes], wanted: Wanted, progress: Progress = unwatched
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """As `CodeLengths`."""
        coded = [self._coded(text) for text in texts]
        between = self._coded(self.separator).tokens
        before = [np.concatenate([self._coded(context).tokens, between]) for context in contexts]
        positions = self._positions(before, coded)
        for number, tokens in enumerate(before):
            yield number, self._after(tokens, coded, wanted[number], positions, progress)

    def _positions(self, before: Sequence[NDArray[np.int32]], texts: Sequence[_Coded]) -> int:
        """Of a stream's cache: enough for the longest pair that fits the window."""
        if self._window is None:
            return 0
        longest = max(map(len, before)) + max((len(text.tokens) for text in texts), default=0)
        return min(self._window.context, -(-(longest + 1) // _GRAIN) * _GRAIN)

    def _after(
        self,
        before: NDArray[np.int32],
        texts: Sequence[_Coded],
        wanted: NDArray[np.bool_],
        positions: int,
        progress: Progress,
    ) -> NDArray[np.float64]:
        """K of the wanted texts after these tokens, (n,), nan elsewhere."""
        found = np.full(len(texts), np.nan)
        members = np.flatnonzero(wanted)
        if not len(members):
            return found
        scored: Iterable[tuple[int, Cells | None]]
        primed: Cells | None = None
        if self._window is None:
            scored = ((i, None) for i in sorted(members.tolist(), key=lambda i: len(texts[i].tokens)))
        else:
            primed = _empty(len(before), self._pipeline.tree.depth)
            scored = self._evaluated(before, primed, [text.tokens for text in texts], members, positions)
        mixer = PrimedMixer(self._pipeline, before, primed, (len(texts[i].tokens) for i in members.tolist()))
        for i, cells in scored:
            found[i] = mixer.bits(texts[i].tokens, cells) + texts[i].stored
            progress(1)
        return found

    # -- the network -------------------------------------------------------------------------------------------------

    def _evaluated(
        self,
        before: NDArray[np.int32],
        primed: Cells,
        texts: list[NDArray[np.int32]],
        members: NDArray[np.intp],
        positions: int,
    ) -> Iterator[tuple[int, Cells]]:
        """Cells of each of these texts after the context; those of the context itself are in `primed` by then."""
        window = self._pipeline.window.context
        fits: dict[int, list[int]] = {}
        slides = []
        for i in members.tolist():
            kept = kept_tokens(len(before), len(texts[i]), window)
            if kept is None:
                slides.append(i)
            else:
                fits.setdefault(kept, []).append(i)
        if len(before) not in fits:
            self._slid(before, 0, primed)
        for kept in sorted(fits, reverse=True):
            yield from self._continued(before, kept, primed, texts, np.array(fits[kept], np.intp), positions)
        for i in slides:
            tail = before[max(0, len(before) - window // 2) :]
            cells = _empty(len(texts[i]), self._pipeline.tree.depth)
            self._slid(np.concatenate([tail, texts[i]]), len(tail), cells)
            yield i, cells

    def _slid(self, tokens: NDArray[np.int32], first: int, out: Cells) -> None:
        """Cells of the tokens from the first one on, over windows that slide as in files."""
        found = self._pipeline.quantise(tokens, Layout(len(tokens), 1))
        self.rows += len(tokens)
        self.needed += len(tokens)
        out.states[:], out.cells[:] = found.states[first:], found.cells[first:]

    def _continued(
        self,
        before: NDArray[np.int32],
        kept: int,
        primed: Cells,
        texts: list[NDArray[np.int32]],
        members: NDArray[np.intp],
        positions: int,
    ) -> Iterator[tuple[int, Cells]]:
        """Cells of the texts after the last `kept` tokens of the context, which share its cache."""
        pipeline = self._pipeline
        shared = Continuations(pipeline.session, texts, positions)
        masses = Masses(pipeline.tree.order, 1)
        made = {i: _empty(len(texts[i]), pipeline.tree.depth) for i in members.tolist()}
        left = {i: len(texts[i]) for i in members.tolist()}

        def quantised(
            tokens: NDArray[np.int32], logits: NDArray[np.float32]
        ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
            odds = np.empty((len(tokens), pipeline.tree.depth))
            masses.path_odds(logits, pipeline.tree.ranks[tokens], odds)
            return pipeline.cells(tokens, odds)

        tail = before[len(before) - kept :]
        for _, places, logits in shared.context(tail):
            within = places < kept
            if kept == len(before) and within.any():
                at = places[within]
                primed.states[at], primed.cells[at] = quantised(tail[at], logits[: len(at)])
        for numbers, places, logits in shared.texts(members):
            tokens = np.array([texts[i][at] for i, at in zip(numbers.tolist(), places.tolist(), strict=True)], np.int32)
            states, cells = quantised(tokens, logits)
            begins = np.flatnonzero(np.diff(numbers, prepend=-1))
            for start, stop in zip(begins.tolist(), [*begins[1:].tolist(), len(numbers)], strict=True):
                i = int(numbers[start])
                made[i].states[places[start:stop]] = states[start:stop]
                made[i].cells[places[start:stop]] = cells[start:stop]
                left[i] -= stop - start
                if not left[i]:
                    yield i, made.pop(i)
        for i in [i for i in left if i in made]:
            yield i, made.pop(i)
        self.rows += shared.rows
        self.needed += shared.needed


def _empty(count: int, depth: int) -> Cells:
    return Cells(np.empty(count, np.uint8), np.empty((count, depth), np.uint8))


def kept_tokens(before: int, length: int, window: int) -> int | None:
    """How many of the last tokens of a context the network sees before a text of so many tokens: all if they fit, else as many
    eighths of a window as fit, half a window at least; None where the text does not fit beside that.

    The choice is ours: few different cuts of one context mean that its cache is shared.
    """
    length = max(1, length)  # the start token stands in front, and of a text the last token is not fed
    if before + length <= window:
        return before
    for part in range(_PARTS - 1, _PARTS // 2 - 1, -1):
        kept = window * part // _PARTS
        if kept <= before and kept + length <= window:
            return kept
    return None
