"""Models ranked by how well they predict texts, and how much worse they do on what was written after a date.

Compression as a measure of models: Huang et al. 2024 (arXiv 2404.09937). Texts from before and after a model's training
data set apart what it has learnt from what it has read: Li et al. 2024 (arXiv 2402.00861).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from llmzip.errors import LlmzipError
from llmzip.report.measure.estimate import MIXED, MODEL, Estimate
from llmzip.report.measure.texts import Text, drawn, to_text8

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class Score:
    """Bits per character of one model on one collection (a text, or texts together).

    margin: half width of the 95 % interval; mixed: after the coder's own learning; None where unknown.
    """

    model: str
    collection: str
    bits: float
    characters: int
    margin: float | None
    mixed_bits: float | None

    @property
    def rate(self) -> float:
        """Bits per character by the model alone."""
        return self.bits / self.characters

    @property
    def mixed(self) -> float | None:
        """Bits per character after mixing."""
        return None if self.mixed_bits is None else self.mixed_bits / self.characters


def score(model: str, result: Estimate) -> Score:
    """The score that an estimate gives. Raises LlmzipError for a text that is not all UTF-8 or was not evaluated."""
    mixed = result.measure(MIXED)
    alone = result.measure(MODEL) or mixed  # the table of n-grams is no model apart from the mixer
    if alone is None or not result.counts.characters:
        raise LlmzipError("has no bits per character: it is not all UTF-8")
    margin = alone.margins.get("character")
    return Score(
        model, result.text.name, alone.bits, result.counts.characters, margin, None if mixed is None else mixed.bits
    )


def together(model: str, collection: str, scores: Sequence[Score]) -> Score:
    """Several texts as one collection: bits and characters added up, the errors of the texts taken as independent."""
    characters = sum(each.characters for each in scores)
    margins = [None if each.margin is None else each.margin * each.characters for each in scores]
    known = [margin for margin in margins if margin is not None]
    mixed = [each.mixed_bits for each in scores if each.mixed_bits is not None]
    return Score(
        model,
        collection,
        sum(each.bits for each in scores),
        characters,
        math.sqrt(sum(margin**2 for margin in known)) / characters if len(known) == len(margins) else None,
        sum(mixed) if len(mixed) == len(scores) else None,
    )


@dataclass(frozen=True)
class Gap:
    """How many more bits per character a model needs after the date than before it; margin as for `Score`."""

    model: str
    before: float
    after: float
    margin: float | None

    @property
    def gap(self) -> float:
        """After less before."""
        return self.after - self.before


def gap(before: Score, after: Score) -> Gap:
    """The gap of one model between two collections, whose errors are independent."""
    margin = None
    if before.margin is not None and after.margin is not None:
        margin = math.hypot(before.margin, after.margin)
    return Gap(before.model, before.rate, after.rate, margin)


def collections(
    text: Text,
    *,
    day: date | None,
    modified: float | None,
    sample: int | None = None,
    seed: int = 0,
    text8: bool = False,
) -> list[tuple[str | None, Text]]:
    """What a file adds: pairs (BEFORE or AFTER, text), or one pair (None, text) where `day` is None.

    Of JSON lines the "text" fields, one document after another, sorted by their "date" fields (ISO, or at least the
    year); `sample` and `text8` are applied to them here. Any other text belongs to the side of its file's time of
    modification (seconds since 1970). The day itself is AFTER. Raises LlmzipError for JSON lines without those fields,
    and where a date is needed and unknown.
    """
    if not is_json_lines(text.name):
        if day is None:
            return [(None, text)]
        if modified is None:
            raise LlmzipError("has no date: name a regular file, or JSON lines with a date field")
        return [(BEFORE if datetime.fromtimestamp(modified, UTC).date() < day else AFTER, text)]
    sides: dict[str | None, list[str]] = {}
    for when, body in _records(text, dated=day is not None):
        side = None if day is None else BEFORE if when < day.isoformat()[: len(when)] else AFTER
        sides.setdefault(side, []).append(body)
    made = []
    for side, bodies in sides.items():
        chosen = bodies if sample is None else _sampled(bodies, sample, seed)
        data = "\n\n".join(chosen).encode()
        data = to_text8(data) if text8 else data
        if data:
            made.append((side, Text(text.name, data, text.size)))
    if not made:
        raise LlmzipError("holds no text: there is nothing to measure")
    return made


def is_json_lines(name: str) -> bool:
    """Whether a file is taken for JSON lines."""
    return name.endswith((".jsonl", ".ndjson"))


def _sampled(bodies: list[str], sample: int, seed: int) -> list[str]:
    """Random documents, in their order, until they come to `sample` bytes."""
    return [bodies[number] for number in drawn([len(body.encode()) for body in bodies], sample, seed)]


def _records(text: Text, *, dated: bool) -> list[tuple[str, str]]:
    """Pairs (ISO date, at most ten characters; text) of JSON lines."""
    found = []
    for number, line in enumerate(text.data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            body = record["text"]
            when = str(record["date"])[:10] if dated else ""
            if dated:
                datetime.strptime(when, ("%Y", "%Y-%m", "%Y-%m-%d")[when.count("-")])
            body.encode()
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            wanted = 'a JSON object with "text"' + (' and "date" like 2024-07-01' if dated else "")
            raise LlmzipError(f"line {number} is not {wanted}") from None
        found.append((when, body))
    return found
