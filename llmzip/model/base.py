"""What the codec asks of a language model: tokens in, logits out, streams of context that slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # The command line reads this module for its limits, and starts faster without arrays.
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """How much a stream remembers.

    context: positions that a stream's cache holds, in tokens.
    parts: when the cache is full, its oldest `context // parts` positions are dropped and the others move down.
    """

    context: int
    parts: int

    def __post_init__(self) -> None:
        if not (self.parts >= 1 and self.context >= 2 * self.parts):
            raise ValueError("a window needs at least two positions in every part")

    @property
    def drop(self) -> int:
        """Positions dropped when the cache is full."""
        return self.context // self.parts

    @property
    def lead(self) -> int:
        """Tokens of a text before it that a stream can be fed first: at most as many as are left of a full cache, or half of it.

        format: decides which tokens of a context the model sees.
        """
        return max(self.context - self.drop, self.context // 2)

    @property
    def near(self) -> Window:
        """Three quarters of it, which drops parts of a quarter; where a full cache is emptied, still so. Raises ValueError for less than 3
        positions.

        format: the window of blocks that say so.
        """
        less = self.context - -(-self.context // 4)
        return Window(less, 1 if self.parts == 1 else min(3 * self.parts, less // 2))


class Evaluator(Protocol):
    """A set of streams, each with a cache of its own."""

    rows: int  # the most rows of one call

    def evaluate(
        self, tokens: NDArray[np.int32], positions: NDArray[np.int32], streams: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Feed one row per token; return the logits that follow each, shape (rows, V), valid until the next call."""

    def slide(self, streams: int, drop: int) -> None:
        """Drop the oldest `drop` positions of streams 0 .. streams-1 and move the rest down."""

    def discard(self, streams: int, position: int) -> None:
        """Take back the rows at `position` and later of streams 0 .. streams-1, as if they had not been evaluated."""

    def save(self) -> NDArray[np.uint8]:
        """A copy of all streams' caches, (bytes,); not between a `slide` and the next evaluation."""

    def restore(self, caches: NDArray[np.uint8]) -> None:
        """Put back what `save` gave, here."""

    def clear(self) -> None:
        """Forget all streams."""

    def close(self) -> None:
        """Free the caches."""


class BranchingEvaluator(Evaluator, Protocol):
    """One whose streams can go on from each other, and from those of another one."""

    def copy(self, source: int, first: int, stop: int) -> None:
        """Let streams first .. stop-1 go on from what stream `source` holds; what they held before is forgotten."""

    def save_stream(self, stream: int) -> NDArray[np.uint8]:
        """A copy of one stream's cache, (bytes,); not between a `slide` and the next evaluation.

        Raises LlmzipError where the model's caches cannot be carried to another evaluator.
        """

    def restore_stream(self, stream: int, cache: NDArray[np.uint8]) -> None:
        """Let a stream go on from what `save_stream` gave, of any evaluator of the model for as long a context. Raises LlmzipError."""


class LanguageModel(Protocol):
    """A loaded model. `pieces[t]` holds the bytes that token t stands for; b"" for tokens that stand for no text."""

    identity: bytes  # 8 bytes
    name: str
    pieces: list[bytes]
    byte_tokens: frozenset[int]  # that stand for a byte of whatever has no other token
    start: int  # the token that every stream begins with; it is never coded
    window: Window  # what the encoder uses unless told otherwise
    trained: int  # tokens of context that it was trained on; 0 if unknown
    drift: int  # of log odds between builds, in units of 1e-6, that portable files must tolerate at least
    exact: bool  # quantised weights evaluated as they are: results must be reproduced exactly
    rewinds: bool  # evaluators can `discard`
    on_gpu: bool  # layers of it are on one
    lanes: int  # evaluators of one thread that work well at the same time, each called by a thread of its own
    weight_bytes: int  # of all weights, as evaluated
    arithmetic: str  # what the last digits of a logit depend on, in words

    def tokenize(self, text: bytes) -> NDArray[np.int32]:
        """Tokens of valid UTF-8 text. May fail to round-trip: the caller checks."""

    def evaluator(self, streams: int, context: int, rows: int, threads: int = 0) -> BranchingEvaluator:
        """Fresh caches for `streams` streams of `context` positions, fed at most `rows` rows a call. threads: 0 = the model's own."""

    def stream_bytes(self, context: int) -> int:
        """Memory that the cache of one stream takes, in bytes."""

    def close(self) -> None:
        """Free the model."""
