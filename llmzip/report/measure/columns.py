"""All tokens of a text side by side, with what each costs and what units of the text begin in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.report.measure import intervals
from llmzip.report.measure.examine import BlockFacts
from llmzip.report.measure.texts import Counts, Text, characters_at, count_units, words_at


@dataclass(frozen=True)
class Columns:
    """Arrays with a row for each token, (n,), in the order of the text.

    bits: by the model alone, nan where not evaluated; ranks: -1 there. quantised, mixed: bits as coded, None if
    unknown. bytes, characters, words: how many begin in the token; characters is None where the text is not all UTF-8.
    group: the block of the confidence interval that the token belongs to.
    """

    tokens: NDArray[np.int32]
    bits: NDArray[np.float64]
    ranks: NDArray[np.int32]
    quantised: NDArray[np.float64] | None
    mixed: NDArray[np.float64] | None
    bytes: NDArray[np.int64]
    characters: NDArray[np.int64] | None
    words: NDArray[np.int64]
    group: NDArray[np.int64]

    @classmethod
    def of_blocks(cls, blocks: Sequence[BlockFacts], text: Text) -> Columns:
        """The tokens of all blocks of a text."""
        utf8 = all(count_units(block.data, 0).characters is not None for block in blocks)
        offsets = [block.offsets() for block in blocks]
        # The model is shown LF, the file has CR LF.
        returns = [_line_ends(b.data, at) * b.crlf for b, at in zip(blocks, offsets, strict=True)]
        characters = [np.diff(characters_at(b.data, at)) for b, at in zip(blocks, offsets, strict=True)]
        return cls(
            _join([block.text.tokens for block in blocks], np.int32),
            _join([block.scores.bits for block in blocks], np.float64),
            _join([block.scores.ranks for block in blocks], np.int32),
            _join_known([block.quantised for block in blocks]),
            _join_known([block.mixed for block in blocks]),
            _join([b.lengths + more for b, more in zip(blocks, returns, strict=True)], np.int64),
            _join([here + more for here, more in zip(characters, returns, strict=True)], np.int64) if utf8 else None,
            _join([np.diff(words_at(b.data, at)) for b, at in zip(blocks, offsets, strict=True)], np.int64),
            _groups(blocks, offsets, text),
        )

    @property
    def seen(self) -> NDArray[np.intp]:
        """Which tokens were evaluated, as indices."""
        return np.flatnonzero(self.ranks >= 0)

    def where(self, indices: NDArray[np.intp]) -> Columns:
        """Only the tokens at these indices."""
        return self.of(indices, self.bits[indices], self.group[indices])

    def of(self, indices: NDArray[np.intp], bits: NDArray[np.float64], group: NDArray[np.intp]) -> Columns:
        """Only the tokens at these indices, with other bits and blocks."""

        def pick(column: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if column is None else column[indices]

        return Columns(
            self.tokens[indices],
            bits,
            self.ranks[indices],
            pick(self.quantised),
            pick(self.mixed),
            self.bytes[indices],
            pick(self.characters),
            self.words[indices],
            group.astype(np.int64),
        )

    def total(self) -> float:
        """Bits of all tokens that were evaluated."""
        return float(np.nansum(self.bits))

    def counts(self) -> Counts:
        """Units of the tokens that were evaluated."""
        seen = ~np.isnan(self.bits)
        characters = None if self.characters is None else int(self.characters[seen].sum())
        return Counts(int(self.bytes[seen].sum()), characters, int(self.words[seen].sum()), int(seen.sum()))

    def margins(self, counts: Counts | None = None) -> dict[str, float]:
        """Half widths of 95 % intervals of bits per unit, by unit; all tokens must have been evaluated.

        counts: what the bits are divided by, if not by the units of the tokens (line ends that were turned into LF,
        bytes that no token stands for).
        """
        counts = counts or self.counts()
        ones = np.ones(len(self.tokens), np.int64)
        widths = {}
        for unit, units in (
            ("character", self.characters),
            ("byte", self.bytes),
            ("word", self.words),
            ("token", ones),
        ):
            count = getattr(counts, f"{unit}s")
            if units is None or not count:
                continue
            bits, sums = intervals.block_sums(self.group, self.bits, units.astype(np.float64))
            width = intervals.half_width(bits, sums)
            if width is not None:
                widths[unit] = width * float(sums.sum()) / count
        return widths


def _line_ends(data: bytes, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Line feeds between neighbouring offsets (n + 1,), shape (n,)."""
    before = np.concatenate([[0], np.cumsum(np.frombuffer(data, np.uint8) == 0x0A)])
    return np.diff(before[offsets]).astype(np.int64, copy=False)


def _join(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _join_known(parts: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known and len(known) == len(parts) else None


def _groups(blocks: Sequence[BlockFacts], offsets: Sequence[NDArray[Any]], text: Text) -> NDArray[np.int64]:
    """Runs of `intervals.BLOCK` tokens; in a sample its pieces, since those are independent, not their parts."""
    if not text.sampled:
        return np.arange(sum(len(block.text.tokens) for block in blocks)) // intervals.BLOCK
    starts = np.cumsum([0, *(len(block.data) for block in blocks[:-1])])
    places = [start + at[:-1] for start, at in zip(starts, offsets, strict=True)]
    return np.searchsorted(text.joints, _join(places, np.int64), "right")
