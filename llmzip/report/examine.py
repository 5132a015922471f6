"""A text through the codec with every step looked at: the compressor's own evaluation, its own decisions, no output.

The codec is told to compress into nothing. What it evaluates, quantises and codes on the way is noted for each block.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.block import BlockCodec, Coding, coding_order, step_runs
from llmzip.codec.codec import Codec
from llmzip.codec.codec import Progress as BytesDone
from llmzip.codec.evaluation import Session
from llmzip.codec.head import BlockHead
from llmzip.container import BlockKind
from llmzip.report.costs import token_costs
from llmzip.report.scores import Scores
from llmzip.report.stopping import Stopped
from llmzip.text import newlines
from llmzip.text.tokens import TokenText

STORED_BITS = 8  # what a byte costs that no token stands for


@dataclass
class BlockFacts:
    """One block. Its arrays have a row for each of its n tokens, in the order of the text.

    quantised, mixed: bits of each token as coded, without and with mixing; None until the block is coded, and `mixed`
    also where mixing is off. lengths: bytes that each token stands for. text: what was evaluated, CRLF turned into LF.
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
    """A codec that also notes what it does.

    Arguments as for `Codec`; alternatives: likely tokens to keep with each token.
    """

    def __init__(self, *arguments: object, alternatives: int = 0, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._alternatives = alternatives
        self._found: list[BlockFacts] = []

    def __enter__(self) -> Examiner:
        return self

    def examine(self, data: bytes, progress: BytesDone | None = None) -> Examination:
        """Everything about compressing `data`. A `Stopped` raised by `progress` ends it early, with what is known so
        far.

        Raises ModelError and LlmzipError as compression does.
        """
        began = time.monotonic()
        self._found = []
        result = Examination(self._found)
        try:
            result.compressed = self.compress_stream(io.BytesIO(data), cast(BinaryIO, _Nothing()), progress).compressed
        except Stopped:
            result.stopped = True
        result.seconds = time.monotonic() - began
        return result

    def _new_block_codec(self, coding: Coding) -> BlockCodec:
        return _NotingBlockCodec(self.session, coding, self._alternatives, lambda block: self._found.append(block))

    def _encode_block(
        self, data: bytes, coding: Coding, report: Callable[[float], None]
    ) -> tuple[BlockKind, bytes, int]:
        noted = len(self._found)
        evaluated = newlines.to_lf(data) or data
        try:
            result = super()._encode_block(data, coding, report)
        finally:
            # Samples that the codec took to find out whether the model suits the block are not the text.
            self._found[noted:] = [block for block in self._found[noted:] if block.data == evaluated]
        if len(self._found) == noted:
            # The codec leaves blocks that do not suit the model to the classic codecs; what the model says of them
            # still counts.
            codec = self._block_codec(coding)
            codec.encode(*codec.tokens_of(data), 1, report)
        return result


class _Nothing(io.RawIOBase):
    """A sink that keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        return memoryview(data).nbytes


class _NotingBlockCodec(BlockCodec):
    """Encodes as ever, and notes scores and costs of every token."""

    def __init__(self, session: Session, coding: Coding, alternatives: int, note: Callable[[BlockFacts], None]) -> None:
        super().__init__(session, coding)
        self._alternatives, self._note = alternatives, note
        self._lengths = np.array([len(piece) for piece in self.vocabulary.pieces], np.int64)

    def encode(self, text: TokenText, crlf: bool, streams: int, progress: Callable[[float], None]) -> bytes:
        tokens, mixing = text.tokens, self._coding.mixing
        scores = Scores(tokens, self._alternatives)
        block = BlockFacts(text, crlf, streams, scores, self._lengths[tokens], self.vocabulary.decode(text))
        self._note(block)
        states, cells = self._quantise(tokens, streams, progress, scores.add)
        turns = list(self._turns(tokens, streams, states, cells, mixing))
        costs = self._costs(tokens, streams, states, turns)
        if mixing:
            block.mixed = costs
            costs = self._costs(tokens, streams, states, self._turns(tokens, streams, states, cells, False))
        block.quantised = costs
        return BlockHead(crlf, len(tokens), streams, text.literals).payload(self._code(turns))

    def _costs(
        self,
        tokens: NDArray[np.int32],
        streams: int,
        states: NDArray[np.uint8],
        turns: Iterable[tuple[bytes, bytes]],
    ) -> NDArray[np.float64]:
        """Bits (n,) of every token, in the order of the text.

        states: in coding order; turns: as `_turns` gives them.
        """
        place = coding_order(len(tokens), streams)
        ranks, costs = np.empty(len(tokens), np.uint32), np.empty(len(tokens))
        ranks[place] = self._tree.ranks[tokens]
        runs = step_runs(len(tokens), streams)
        for (start, stop, active), (bits, chances) in zip(runs, turns, strict=True):
            rows = slice(start, stop)
            flags = self._coding.tolerance > 0
            costs[rows] = token_costs(ranks[rows], states[rows], active, self._tree.leaves, flags, bits, chances)
        return costs[place]
