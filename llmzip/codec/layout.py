"""How the tokens of a block lie in its streams, and in which order they are coded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmzip.text.tokens import Ids

CODED_ROWS = 1 << 13
"""Rows whose turns are coded at once: bounds the memory for their probabilities."""


class Run(NamedTuple):
    """Tokens that are coded together: rows start .. stop-1 in coding order."""

    start: int
    stop: int


@dataclass(frozen=True)
class Layout:
    """`count` tokens in `streams` contiguous streams, as equal as can be, the longer ones (by one token) first.

    Step t codes token t of every stream that has one, in stream order; a token's *row* is its place in that order.

    format: fixed by the two numbers that a block's head carries.
    """

    count: int
    streams: int

    @cached_property
    def lengths(self) -> NDArray[np.intp]:
        """Tokens of each stream, (streams,)."""
        import numpy as np

        whole, longer = divmod(self.count, self.streams)
        return whole + (np.arange(self.streams) < longer).astype(np.intp)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """The first token of each stream, (streams,)."""
        import numpy as np

        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.intp)

    @property
    def steps(self) -> int:
        """Tokens of the longest stream."""
        return -(-self.count // self.streams)

    def active(self, step: int) -> int:
        """Streams that have a token in a step: the first so many."""
        return min(self.streams, self.count - step * self.streams)

    def at(self, step: int) -> NDArray[np.intp]:
        """The tokens of a step, (active,)."""
        return self.starts[: self.active(step)] + step

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """The row of every token, (count,)."""
        import numpy as np

        if not self.count:
            return np.empty(0, np.intp)
        places = [np.arange(length) * self.streams + s for s, length in enumerate(self.lengths.tolist())]
        return np.concatenate(places).astype(np.intp)

    def in_rows(self, values: Ids) -> Ids:
        """What belongs to each token, (count,), in the order of rows; the same object where that is the text's."""
        if self.streams == 1:
            return values
        import numpy as np

        arranged = np.empty_like(values)
        arranged[self.rows] = values
        return arranged

    def in_text(self, values: Ids) -> Ids:
        """What belongs to each row, (count,), in the order of the text; the same object where that is the rows'."""
        if self.streams == 1:
            return values
        import numpy as np

        return np.asarray(values)[self.rows]

    def inputs(self, tokens: NDArray[np.int32], start: int) -> NDArray[np.int32]:
        """What a model is fed for each token, (count,): the token before it, at the head of a stream `start`."""
        import numpy as np

        inputs = np.concatenate([[start], tokens[:-1]]).astype(np.int32)[: self.count]
        inputs[self.starts[self.starts < self.count]] = start
        return inputs

    def runs(self, most: int = CODED_ROWS) -> list[Run]:
        """The rows in runs of at most `most`."""
        return [Run(start, min(start + most, self.count)) for start in range(0, self.count, most)]
