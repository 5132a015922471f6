"""Distances between texts from code lengths (docs/measures.md has the definitions and where they come from).

K(xy) stands for K(x) + K(y|x). None of these is a metric: real coders break the triangle inequality, symmetry, and the
zero between equals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llmzip.measures.lengths import CodeLengths, Progress, Size, unwatched

NID, NCD, CDM, CONDITIONAL = "nid", "ncd", "cdm", "conditional"

MEASURES = {
    NID: "max{K(x|y), K(y|x)} / max{K(x), K(y)}",
    NCD: "(K(xy) - min{K(x), K(y)}) / max{K(x), K(y)}",
    CDM: "K(xy) / (K(x) + K(y))",
    CONDITIONAL: "K(x|y) / K(x)",
}
"""Names and definitions, of which only the first is symmetric by itself."""

SYMMETRIC = frozenset({NID})


@dataclass(frozen=True)
class Lengths:
    """Code lengths between two lists of texts x and y, in bits.

    x, y: K of each alone, (n,) and (m,). x_given_y, y_given_x: (n, m), nan where a measure does not need them.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    x_given_y: NDArray[np.float64]
    y_given_x: NDArray[np.float64]

    def distances(self, measure: str) -> NDArray[np.float64]:
        """The measure between all of x and all of y, (n, m). Raises ValueError for a text of no bits, or an unknown measure."""
        if measure not in MEASURES:
            raise ValueError(f"there is no measure {measure!r}: there are {', '.join(MEASURES)}")
        x, y = self.x[:, None], self.y[None, :]
        if not ((self.x > 0).all() and (self.y > 0).all()):
            raise ValueError("an empty text has no distance to others")
        if measure == NID:
            return np.maximum(self.x_given_y, self.y_given_x) / np.maximum(x, y)
        if measure == CONDITIONAL:
            return self.x_given_y / x
        together = x + self.y_given_x
        if measure == CDM:
            return together / (x + y)
        return (together - np.minimum(x, y)) / np.maximum(x, y)


@dataclass(frozen=True)
class Distances:
    """The measure between texts x (rows) and y (columns), with what it rests on: sizes of the texts and their code lengths.

    notices: sentences that a reader has to know, on texts that do not fit the window. same: whether x and y are the same texts.
    """

    measure: str
    coder: str
    values: NDArray[np.float64]
    lengths: Lengths
    x_sizes: list[Size]
    y_sizes: list[Size]
    notices: list[str] = field(default_factory=list)
    same: bool = False


def pairs(measure: str, x: int, y: int, *, same: bool = False) -> int:
    """Code lengths that are worked out for a matrix of so many texts, for a progress bar."""
    both = 2 if measure == NID and not same else 1
    return both * x * y + x + (0 if same else y)


def distance_matrix(
    coder: CodeLengths,
    x: Sequence[bytes],
    y: Sequence[bytes] | None = None,
    measure: str = NID,
    progress: Progress = unwatched,
) -> Distances:
    """Distances between all texts of x and all of y; y: None = between all of x, the diagonal (a text and itself) included.

    Raises ValueError for empty texts and unknown measures, and what the coder raises.
    """
    if measure not in MEASURES:
        raise ValueError(f"there is no measure {measure!r}: there are {', '.join(MEASURES)}")
    if not all(x) or not all(y or [b"-"]):
        raise ValueError("an empty text has no distance to others")
    same = y is None
    others = x if y is None else y
    alone_x = coder.alone(x, progress)
    alone_y = alone_x if same else coder.alone(others, progress)
    nothing = np.full((len(x), len(others)), np.nan)
    x_given_y, y_given_x = nothing, nothing
    if measure in (NID, CONDITIONAL) or same:
        x_given_y = _given(coder, others, x, progress).T
        y_given_x = x_given_y.T if same else y_given_x
    if not same and measure != CONDITIONAL:
        y_given_x = _given(coder, x, others, progress)
    lengths = Lengths(alone_x, alone_y, x_given_y, y_given_x)
    told = coder.notices(others, x)
    if not same:
        told += [notice for notice in coder.notices(x, others) if notice not in told]
    return Distances(
        measure, coder.name, lengths.distances(measure), lengths, coder.sizes(x), coder.sizes(others), told, same
    )


def _given(
    coder: CodeLengths, contexts: Sequence[bytes], texts: Sequence[bytes], progress: Progress
) -> NDArray[np.float64]:
    """K of each text after each context, (contexts, texts)."""
    found = np.empty((len(contexts), len(texts)))
    for number, bits in coder.given(contexts, texts, np.ones(found.shape, np.bool_), progress):
        found[number] = bits
    return found


def symmetric(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A square matrix made symmetric by the mean of both directions, with zeros in its diagonal: what clustering takes."""
    made = np.maximum((values + values.T) / 2, 0.0)
    np.fill_diagonal(made, 0.0)
    return made
