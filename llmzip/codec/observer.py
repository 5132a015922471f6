"""Looking on while a text is compressed: what the codec tells, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmzip.codec.layout import Layout, Run
    from llmzip.codec.pipeline import BlockPipeline
    from llmzip.codec.quantising import Cells
    from llmzip.container.format import BlockKind
    from llmzip.text.tokens import TokenText


class Observer:
    """Told by `Codec.compress_stream` what it does, block by block; override what is of interest.

    For each block: `begins`; where the network codes it `tokens`, `logits` (several times), `cells`, `turns` (several
    times); then `stored`. Arrays belong to the codec: copy what is kept, change nothing. What is raised ends the work.
    """

    def begins(self, data: bytes, network: Callable[[], BlockPipeline]) -> None:
        """A block of the original; `network` gives the pipeline that may code it, with everything the member may use."""

    def tokens(self, text: TokenText, crlf: bool, layout: Layout) -> None:
        """The block as tokens, and how they lie in streams; crlf: CRLF was turned into LF before."""

    def logits(self, indices: NDArray[np.intp], logits: NDArray[np.float32]) -> None:
        """What the model predicts, shape (rows, V), for tokens[indices]; some tokens may come twice, the last counts."""

    def cells(self, cells: Cells) -> None:
        """States and cells of all tokens."""

    def turns(self, run: Run, bits: bytes, probabilities: bytes) -> None:
        """Turns as coded for a run of rows: bits (uint8) and probabilities of bit 1 (uint16, 1/65536)."""

    def stored(self, kind: BlockKind, payload: bytes) -> None:
        """What is written for the block."""


SILENT = Observer()
"""Looks away."""
