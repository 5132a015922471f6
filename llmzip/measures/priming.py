"""The mixer after a context: it learns from that once for all texts of about one length, and is put back there for each.

What a mixer predicts depends on how large its tables are, and that on the length of context and text together. Few
sizes come up among texts of like lengths, so lengths are what a mixer made for each text alone would give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantising import Cells
from llmzip.coding.mixing import Mixer, sizes
from llmzip.report.measure.costs import turn_bits


class PrimedMixer:
    """Bits of texts after a context, (n,) tokens; cells: of the context by the network, filled before the first text comes, None
    without one. lengths: tokens of all texts that will come.

    One copy of a mixer is held at a time: texts that come by length need the fewest.
    """

    def __init__(
        self, pipeline: BlockPipeline, context: NDArray[np.int32], cells: Cells | None, lengths: Iterable[int]
    ) -> None:
        self._pipeline = pipeline
        # Without mixing nothing is learnt.
        self._context, self._cells = (context, cells) if pipeline.coding.mixing else (context[:0], None)
        self._left: Counter[tuple[int, ...]] = Counter()
        self._longest: dict[tuple[int, ...], int] = {}
        for length in filter(None, lengths):
            size = self._size(length)
            self._left[size] += 1
            self._longest[size] = max(length, self._longest.get(size, 0))
        self._held: tuple[tuple[int, ...], Mixer, bytes] | None = None

    def _size(self, length: int) -> tuple[int, ...]:
        return sizes(len(self._context) + length, traits=True)

    def bits(self, tokens: NDArray[np.int32], cells: Cells | None) -> float:
        """Of one of the texts, (m,) tokens, with its cells."""
        if not len(tokens):
            return 0.0
        return turn_bits(*self._coded(self._before(self._size(len(tokens))), tokens, cells))

    def _before(self, size: tuple[int, ...]) -> Mixer:
        """A mixer of that size that has learnt from the context and from nothing else."""
        self._left[size] -= 1
        if self._held and self._held[0] == size:
            _, mixer, saved = self._held
            mixer.restore(saved)
            return mixer
        self._held = None
        mixer = self._pipeline.mixer(Layout(len(self._context) + self._longest[size], 1))
        if len(self._context):
            self._coded(mixer, self._context, self._cells)
        if self._left[size]:
            self._held = size, mixer, mixer.save()
        return mixer

    def _coded(self, mixer: Mixer, tokens: NDArray[np.int32], cells: Cells | None) -> tuple[bytes, bytes]:
        states = cells.states if cells else np.zeros(len(tokens), np.uint8)
        return mixer.encode(self._pipeline.tree.ranks[tokens], states, cells.cells if cells else None)
