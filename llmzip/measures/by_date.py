"""Code lengths of texts over time: what a model has not seen costs more, so its cut-off shows.

After Li et al., "Evaluating Large Language Models for Generalization and Robustness via Data Compression" (arXiv 2402.00861).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from llmzip.errors import LlmzipError
from llmzip.measures.collections import Item
from llmzip.measures.lengths import CodeLengths, Progress, unwatched
from llmzip.report.measure.intervals import half_width
from llmzip.report.measure.texts import drawn

PERIODS = ("year", "quarter", "month")
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:[-_./]?(0[1-9]|1[0-2])(?:[-_./]?(0[1-9]|[12]\d|3[01]))?)?(?!\d)")
_MOST_PERIODS = 24  # with a period that was not named


def date_in(text: str) -> str | None:
    """The last date in a name or a field, as ISO (a year, year and month, or day); None where there is none."""
    found = None
    for match in _DATE.finditer(text):
        year, month, day = match.groups()
        try:
            date(int(year), int(month or 1), int(day or 1))
        except ValueError:
            continue
        found = "-".join(part for part in (year, month, day) if part)
    return found


def dated(item: Item) -> str:
    """The date of a text: of its record, else of its name. Raises LlmzipError where it has none."""
    found = date_in(item.date) if item.date is not None else date_in(item.name.rpartition("/")[2])
    if found is None:
        where = f"in {item.date!r}" if item.date is not None else "in its name"
        raise LlmzipError(
            f"{item.name} has no date {where}: name the column with --date-column, or files like 2024-07-01.txt"
        )
    return found


def period_of(day: str, period: str) -> str:
    """The period that a date lies in: "2024", "2024 Q3", "2024-07". Raises LlmzipError for a date that is not exact enough."""
    if period == "year":
        return day[:4]
    if len(day) < 7:
        raise LlmzipError(f"the date {day} has no month: use --period year")
    return day[:7] if period == "month" else f"{day[:4]} Q{(int(day[5:7]) + 2) // 3}"


def fitting_period(days: Sequence[str]) -> str:
    """The shortest period that leaves few enough points to look at."""
    if all(len(day) >= 7 for day in days):
        for period in reversed(PERIODS):
            if len({period_of(day, period) for day in days}) <= _MOST_PERIODS:
                return period
    return "year"


@dataclass(frozen=True)
class Dated:
    """The texts of one period."""

    period: str
    texts: list[bytes]


def periods(
    items: Sequence[Item],
    period: str | None = None,
    *,
    sample: int | None = None,
    cut: int | None = None,
    seed: int = 0,
) -> list[Dated]:
    """The texts by period, in order of time.

    cut: of each text only so many bytes from its beginning (whole characters). sample: of each period only random texts, until
    they come to so many bytes. Raises LlmzipError for texts without a date.
    """
    days = [dated(item) for item in items]
    chosen = period or fitting_period(days)
    found: dict[str, list[bytes]] = {}
    for item, day in zip(items, days, strict=True):
        data = item.data if cut is None else _beginning(item.data, cut)
        found.setdefault(period_of(day, chosen), []).append(data)
    return [Dated(name, _sampled(found[name], sample, seed)) for name in sorted(found)]


def _beginning(data: bytes, cut: int) -> bytes:
    if len(data) <= cut:
        return data
    while cut > 0 and data[cut] & 0xC0 == 0x80:
        cut -= 1
    return data[:cut]


def _sampled(texts: list[bytes], sample: int | None, seed: int) -> list[bytes]:
    return texts if sample is None else [texts[number] for number in drawn(list(map(len, texts)), sample, seed)]


@dataclass(frozen=True)
class Point:
    """Bits per character of the texts of a period. margin: half width of the 95 % interval over texts, None for fewer than two."""

    period: str
    texts: int
    bytes: int
    tokens: int
    characters: int
    bits: float
    margin: float | None

    @property
    def rate(self) -> float:
        """Bits per character."""
        return self.bits / self.characters


def over_time(coder: CodeLengths, dated_texts: Sequence[Dated], progress: Progress = unwatched) -> list[Point]:
    """A point for each period; every text is coded alone. Raises LlmzipError for texts that are not UTF-8."""
    made = []
    for group in dated_texts:
        try:
            characters = np.array([len(text.decode()) for text in group.texts], np.float64)
        except UnicodeDecodeError:
            raise LlmzipError(f"a text of {group.period} is not UTF-8: it has no characters to count by") from None
        bits = coder.alone(group.texts, progress)
        sizes = coder.sizes(group.texts)
        made.append(
            Point(
                group.period,
                len(group.texts),
                sum(size.bytes for size in sizes),
                sum(size.tokens or 0 for size in sizes),
                int(characters.sum()),
                float(bits.sum()),
                half_width(bits, characters),
            )
        )
    return made
