"""Estimates as tables, CSV rows and a JSON document (docs/estimate.md describes the keys)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmzip.report.measure.estimate import MODEL, UNITS, Estimate, Measure
from llmzip.report.measure.intervals import bounds
from llmzip.report.measure.windows import WindowRow
from llmzip.report.output.tables import Column, Row, Table, grouped, with_margin
from llmzip.version import __version__

SCHEMA = "llmzip.estimate"
SCHEMA_VERSION = 1

_SHORT = {"character": "char"}
_NOTES = {
    "partial": "Partial: stopped before the end; the figures are for the part that was evaluated.",
    "stopped": "Partial: stopped before everything was measured.",
    "sampled": "A sample of {bytes:,} of {size:,} bytes, {pieces} pieces; sizes are those of the sample.",
}


def tables(results: Sequence[Estimate], *, partial: bool = False) -> list[Table]:
    """For each text a table of its measures and, if asked for, one of its windows; for several texts their totals.

    partial: the work was stopped, so that texts or windows may be missing.
    """
    made = []
    for result in results:
        made.append(_measures(result))
        if result.windows:
            made.append(_windows(result))
    if len(results) > 1:
        made.append(_totals(results))
    if partial and made and not any(result.partial for result in results):
        made[-1].notes.append(_NOTES["stopped"])
    return made


def _columns(first: str) -> list[Column]:
    units = [Column(unit, f"bits/{_SHORT.get(unit, unit)}", with_margin(4)) for unit in UNITS]
    return [Column("name", first, left=True), *units, Column("bytes", "bytes", grouped)]


def _row(measure: Measure) -> Row:
    rates = {unit: (measure.per(unit), measure.margins.get(unit)) for unit in UNITS if measure.per(unit) is not None}
    return {"name": measure.name, "bytes": round(measure.bits / 8), **rates}


def _measures(result: Estimate) -> Table:
    counts, text = result.counts, result.text
    characters = "not all UTF-8" if counts.characters is None else f"{counts.characters:,} characters"
    title = f"{text.name}: {counts.bytes:,} bytes, {characters}, {counts.words:,} words, {counts.tokens:,} tokens"
    notes = []
    if result.partial:
        notes.append(_NOTES["partial"])
    if text.sampled:
        notes.append(_NOTES["sampled"].format(bytes=len(text.data), size=text.size, pieces=len(text.joints)))
    if result.literal_bytes:
        notes.append(f"{result.literal_bytes:,} bytes that no token stands for are counted with 8 bits each.")
    return Table(title, _columns("measure"), [_row(measure) for measure in result.measures], notes)


def _windows(result: Estimate) -> Table:
    columns = [
        Column("window", "window"),
        Column("context", "mean context", lambda value: f"{value:.1f}"),
        *[Column(unit, f"bits/{_SHORT.get(unit, unit)}", with_margin(4)) for unit in UNITS],
        Column("tokens", "tokens scored", grouped),
    ]
    rows = []
    for row in result.windows:
        rates = {unit: (row.per(unit), row.margins.get(unit)) for unit in UNITS if row.per(unit) is not None}
        rows.append({"window": row.window, "context": row.mean_context, "tokens": row.counts.tokens, **rates})
    notes = [_NOTES["partial"]] if any(row.partial for row in result.windows) else []
    return Table(f"{result.text.name}: bits against the tokens of context, model alone", columns, rows, notes)


def _totals(results: Sequence[Estimate]) -> Table:
    return Table(f"{len(results)} texts together", _columns("measure"), [_row(each) for each in totals(results)])


def totals(results: Sequence[Estimate]) -> list[Measure]:
    """The measures that all texts have, summed up. There are no intervals: texts differ in more than chance."""
    from llmzip.report.measure.texts import Counts

    known = [None if r.counts.characters is None else r.counts.characters for r in results]
    counts = Counts(
        sum(r.counts.bytes for r in results),
        None if None in known else sum(number or 0 for number in known),
        sum(r.counts.words for r in results),
        sum(r.counts.tokens for r in results),
    )
    made = []
    for first in results[0].measures:
        found = [result.measure(first.name) for result in results]
        if all(found):
            made.append(Measure(first.name, sum(measure.bits for measure in found if measure), counts))
    return made


def document(
    results: Sequence[Estimate], model: dict[str, Any], settings: dict[str, Any], *, partial: bool
) -> dict[str, Any]:
    """The JSON document."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmzip": __version__,
        "model": model,
        "settings": settings,
        "partial": partial,
        "files": [_file(result) for result in results],
        "total": [_measure(measure) for measure in totals(results)] if len(results) > 1 else None,
    }


def _file(result: Estimate) -> dict[str, Any]:
    counts, text = result.counts, result.text
    return {
        "file": text.name,
        "partial": result.partial,
        "size": text.size,
        "sample": {"bytes": len(text.data), "pieces": len(text.joints)} if text.sampled else None,
        "bytes": counts.bytes,
        "characters": counts.characters,
        "words": counts.words,
        "tokens": counts.tokens,
        "literal_bytes": result.literal_bytes,
        "blocks": len(result.examination.blocks),
        "streams": max((block.streams for block in result.examination.blocks), default=None),
        "seconds": round(result.examination.seconds, 3),
        "measures": [_measure(measure) for measure in result.measures],
        "windows": [_window(row) for row in result.windows],
    }


def _rates(measure: Measure | WindowRow) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for unit in UNITS:
        value, margin = measure.per(unit), measure.margins.get(unit)
        rates[f"bits_per_{unit}"] = None if value is None else round(value, 6)
        rates[f"interval_{unit}"] = (
            None if value is None or margin is None else [round(end, 6) for end in bounds(value, margin)]
        )
    return rates


def _measure(measure: Measure) -> dict[str, Any]:
    return {"measure": measure.name, "bits": round(measure.bits, 3), **_rates(measure)}


def _window(row: WindowRow) -> dict[str, Any]:
    return {
        "window": row.window,
        "stride": row.stride,
        "mean_context": round(row.mean_context, 3),
        "tokens": row.counts.tokens,
        "bits": round(row.bits, 3),
        "partial": row.partial,
        **_rates(row),
    }


def csv_rows(results: Sequence[Estimate]) -> list[Row]:
    """A row for each measure and each window of each text; `window` is empty for measures of the whole text."""
    rows = []
    for result in results:
        measured: list[tuple[str, int | None, Measure | WindowRow]] = [(m.name, None, m) for m in result.measures]
        measured += [(MODEL, row.window, row) for row in result.windows]
        for name, window, measure in measured:
            counts = measure.counts
            row: Row = {
                "file": result.text.name,
                "measure": name,
                "window": window,
                "partial": int(result.partial),
                "bytes": counts.bytes,
                "characters": counts.characters,
                "words": counts.words,
                "tokens": counts.tokens,
                "bits": round(measure.bits, 3),
            }
            for unit in UNITS:
                value, margin = measure.per(unit), measure.margins.get(unit)
                row[f"bits_per_{unit}"] = None if value is None else round(value, 6)
                row[f"margin_{unit}"] = None if margin is None else round(margin, 6)
            rows.append(row)
    return rows
