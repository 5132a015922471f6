"""A text through the codec with every step looked at: the compressor's own evaluation, its own decisions, no output.

The codec compresses into nothing; an observer notes what it evaluates, quantises and codes on the way, block by block.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.codec import Codec
from llmzip.codec.layout import Layout, Run
from llmzip.codec.observer import Observer
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.policy import context_bytes
from llmzip.codec.quantising import Cells
from llmzip.codec.summary import BytesDone
from llmzip.container import BlockKind
from llmzip.report.measure.costs import token_costs
from llmzip.report.measure.scores import Scores
from llmzip.report.measure.stopping import Stopped
from llmzip.text.tokens import TokenText

STORED_BITS = 8  # what a byte costs that no token stands for


@dataclass
class BlockFacts:
    """One block. Its arrays have a row for each of its n tokens, in the order of the text.

    quantised, mixed: bits of each token as coded, without and with mixing; None until the block is coded, `mixed`
    also where mixing is off, `quantised` where there is no network. lengths: bytes that each token stands for. text: what was evaluated, CRLF turned into LF.
    """

    text: TokenText
    crlf: bool
    streams: int
    scores: Scores
    lengths: NDArray[np.int64]
    data: bytes = b""
    quantised: NDArray[np.float64] | None = None
    mixed: NDArray[np.float64] | None = None

    @property
    def literal_bytes(self) -> int:
        """Bytes that no token stands for."""
        return sum(len(literal) for _, literal in self.text.literals)

    def offsets(self) -> NDArray[np.int64]:
        """Places (n + 1,) in `data` where each token begins, and where the last one ends."""
        places = np.concatenate([[0], np.cumsum(self.lengths)])
        if self.text.literals:
            before, literals = zip(*self.text.literals, strict=True)
            ends = np.cumsum([len(literal) for literal in literals])
            done = np.searchsorted(np.array(before), np.arange(len(places)), "right")
            places = places + np.concatenate([[0], ends])[done]
        return places


@dataclass
class Examination:
    """All blocks of a text. compressed: bytes of the whole .llmz file, None when the work was stopped before."""

    blocks: list[BlockFacts] = field(default_factory=list)
    compressed: int | None = None
    seconds: float = 0.0
    stopped: bool = False


class Examiner(Codec):
    """A codec that can also tell everything about what it does. Arguments as for `Codec`; alternatives: likely tokens to
    keep with each token."""

    def __init__(self, *arguments: Any, alternatives: int = 0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._alternatives = alternatives

    def __enter__(self) -> Examiner:
        return self

    def examine(self, data: bytes, progress: BytesDone | None = None) -> Examination:
        """Everything about compressing `data`. A `Stopped` raised by `progress` ends it early, with what is known so
        far.

        Raises ModelError and LlmzipError as compression does.
        """
        began = time.monotonic()
        notes = _Notes(self._alternatives, progress)
        result = Examination(notes.blocks)
        try:
            sink = cast(BinaryIO, _Nothing())
            result.compressed = self.compress_stream(io.BytesIO(data), sink, progress, notes).compressed
        except Stopped:
            result.stopped = True
        result.seconds = time.monotonic() - began
        return result


class _Nothing(io.RawIOBase):
    """A sink that keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        return memoryview(data).nbytes


class _Notes(Observer):
    """Notes scores and costs of every token of every block."""

    def __init__(self, alternatives: int, progress: BytesDone | None) -> None:
        self.blocks: list[BlockFacts] = []
        self._alternatives, self._progress = alternatives, progress

    def begins(self, data: bytes, network: Callable[[], BlockPipeline]) -> None:
        pipeline = network()
        self._data, self._pipeline, self._evaluated = data, pipeline, False
        self._lengths = np.array([len(piece) for piece in pipeline.vocabulary.pieces], np.int64)

    def tokens(self, text: TokenText, crlf: bool, layout: Layout) -> None:
        scores = Scores(text.tokens, self._alternatives)
        evaluated = self._pipeline.vocabulary.decode(text)
        self._evaluated, self._layout = True, layout
        lengths = self._lengths[text.tokens]
        lengths[:1] -= text.spaced
        self.blocks.append(BlockFacts(text, crlf, layout.streams, scores, lengths, evaluated))
        self._states = np.zeros(layout.count, np.uint8)
        self._ranks = np.empty(layout.count, np.uint32)
        self._ranks[layout.rows] = self._pipeline.tree.ranks[text.tokens]
        self._mixed = np.zeros(layout.count)
        if not layout.count and self._pipeline.coding.mixing:
            self.blocks[-1].mixed = self._mixed  # without tokens there are no turns to come

    def logits(self, indices: NDArray[np.intp], logits: NDArray[np.float32]) -> None:
        self.blocks[-1].scores.add(indices, logits)

    def cells(self, cells: Cells) -> None:
        block, pipeline = self.blocks[-1], self._pipeline
        self._states = cells.states
        unmixed = np.zeros(self._layout.count)
        for run, bits, probabilities in pipeline.turns(block.text.tokens, self._layout, cells, mixing=False):
            self._add(unmixed, run, bits, probabilities)
        block.quantised = unmixed[self._layout.rows]

    def turns(self, run: Run, bits: bytes, probabilities: bytes) -> None:
        self._add(self._mixed, run, bits, probabilities)
        if run.stop == self._layout.count and self._pipeline.coding.mixing:
            self.blocks[-1].mixed = self._mixed[self._layout.rows]

    def stored(self, kind: BlockKind, payload: bytes) -> None:
        if not self._evaluated:
            # The codec leaves blocks that do not suit the model to the classic codecs or to the table alone; what the
            # model says of them still counts. Where there is no network the table is the model.
            part = self._pipeline.part_for(self._data, context_bytes(len(self._data), thorough=False))
            text, crlf = self._pipeline.tokens_of(self._data)
            self._pipeline.encode(text, crlf, 1, part=part, observer=self, progress=self._check)

    def _check(self, share: float) -> None:
        """Give whoever watches the progress a chance to stop the work."""
        if self._progress:
            self._progress(0)

    def _add(self, costs: NDArray[np.float64], run: Run, bits: bytes, probabilities: bytes) -> None:
        rows, pipeline = slice(run.start, run.stop), self._pipeline
        flags = pipeline.coding.tolerance > 0
        costs[rows] = token_costs(self._ranks[rows], self._states[rows], pipeline.tree, flags, bits, probabilities)
