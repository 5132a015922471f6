"""Entropy estimates: how many bits a text has by the model, and what becomes of them on the way into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmzip.report.measure import schemes
from llmzip.report.measure.columns import Columns
from llmzip.report.measure.examine import STORED_BITS, Examination, Examiner
from llmzip.report.measure.texts import Counts, Text, count_units
from llmzip.report.measure.windows import WindowRow, default_stride, evaluate_window, segments

UNITS = ("character", "byte", "word", "token")

MODEL = "model alone"
QUANTISED = "after the quantiser"
MIXED = "after mixing"
STORED = "file with container"
RANKS = "ranks and zlib"
PREFIX = "token by token"
ARITHMETIC = "arithmetic coding"

WINDOW_TOKENS = 2048
"""Tokens that are scored for every window unless told otherwise."""


@dataclass(frozen=True)
class Measure:
    """A number of bits and what it comes to per unit. margins: half widths of 95 % intervals, by unit."""

    name: str
    bits: float
    counts: Counts
    margins: dict[str, float] = field(default_factory=dict)

    def per(self, unit: str) -> float | None:
        """Bits per character, byte, word or token; None where there is no such unit in the text."""
        return self.counts.rate(self.bits, unit)


@dataclass
class Estimate:
    """What was found about one text.

    partial: the work was stopped; `counts` are then those of the part that was evaluated.
    """

    text: Text
    counts: Counts
    measures: list[Measure]
    examination: Examination
    columns: Columns
    windows: list[WindowRow] = field(default_factory=list)
    partial: bool = False

    def measure(self, name: str) -> Measure | None:
        """The measure of this name, if it was taken."""
        return next((measure for measure in self.measures if measure.name == name), None)

    @property
    def literal_bytes(self) -> int:
        """Bytes of the text that no token stands for."""
        return sum(block.literal_bytes for block in self.examination.blocks)


def estimate(examiner: Examiner, text: Text, progress: Callable[[int], None] | None = None) -> Estimate:
    """Measure one text; without a network what mixing gives and the file. A `Stopped` raised by `progress` ends the evaluation; the result is then marked partial.

    Raises ModelError and LlmzipError as compression does.
    """
    found = examiner.examine(text.data, progress)
    columns = Columns.of_blocks(found.blocks, text)
    result = Estimate(text, columns.counts(), [], found, columns, partial=found.stopped)
    literals = 0
    if not found.stopped:
        # The whole text, as it is in the file: line ends as they were, and bytes that no token stands for.
        result.counts = count_units(text.data, len(columns.tokens))
        literals = STORED_BITS * result.literal_bytes
    seen = columns.where(columns.seen)
    by_network = len(seen.tokens) > 0

    def add(name: str, bits: float, margins: dict[str, float] | None = None) -> None:
        result.measures.append(Measure(name, float(bits), result.counts, margins or {}))

    if by_network:
        add(MODEL, seen.total() + literals, seen.margins(result.counts))
    if not found.stopped and (by_network or len(columns.tokens)):
        if columns.quantised is not None:
            add(QUANTISED, columns.quantised.sum() + literals)
        if columns.mixed is not None:
            add(MIXED, columns.mixed.sum() + literals)
        if found.compressed is not None:
            add(STORED, 8 * found.compressed)
    if not by_network:
        return result
    add(RANKS, schemes.ranks_and_zlib(seen.ranks) + literals)
    add(PREFIX, schemes.token_by_token(seen.bits) + literals)
    add(ARITHMETIC, schemes.arithmetic_coding(seen.bits) + literals)
    return result


def window_rows(
    examiner: Examiner,
    result: Estimate,
    windows: Sequence[int],
    *,
    stride: int | None = None,
    tokens: int = WINDOW_TOKENS,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Append to `result.windows` a row for each window. A `Stopped` raised by `progress` ends it; the last row is then
    partial.

    stride: None = an eighth of each window; tokens: about how many to score. Raises LlmzipError for a text that is too
    short.
    """
    targets = segments(len(result.columns.tokens), max(windows), tokens, seed)
    for window in windows:
        row = evaluate_window(
            examiner.session, result.columns, targets, window, stride or default_stride(window), progress
        )
        result.windows.append(row)
        if row.partial:
            result.partial = True
            return
