"""Comparisons as tables, CSV rows and a JSON document (docs/estimate.md describes the keys)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llmzip.report.contest.compare import Result, Total, totals
from llmzip.report.output.tables import Column, Row, Table, decimals, grouped
from llmzip.version import __version__

SCHEMA = "llmzip.compare"
SCHEMA_VERSION = 1


def _rate(original: int, seconds: float) -> float | None:
    return original / seconds / 1000 if seconds > 0 else None


def _speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _mebibytes(value: int) -> str:
    return f"{value / (1 << 20):.0f}"


_FIGURES = [
    Column("compressed", "bytes", grouped),
    Column("bits_per_byte", "bits/byte", decimals(3)),
    Column("ratio", "ratio", decimals(3)),
    Column("pack_rate", "pack kB/s", _speed),
    Column("unpack_rate", "unpack kB/s", _speed),
    Column("pack_peak", "pack MiB", _mebibytes),
    Column("unpack_peak", "unpack MiB", _mebibytes),
    Column("adjusted", "adjusted", grouped),
    Column("adjusted_bits", "adjusted bits/byte", decimals(3)),
]


def _figures(result: Result | Total) -> Row:
    original = result.original
    return {
        "codec": result.codec,
        "original": original,
        "compressed": result.compressed,
        "bits_per_byte": 8 * result.compressed / original,
        "ratio": original / result.compressed,
        "pack_rate": _rate(original, result.pack_seconds),
        "unpack_rate": _rate(original, result.unpack_seconds),
        "pack_peak": result.pack_peak,
        "unpack_peak": result.unpack_peak,
        "adjusted": result.adjusted,
        "adjusted_bits": 8 * result.adjusted / original,
    }


def tables(results: Sequence[Result], skipped: Sequence[str], *, partial: bool) -> list[Table]:
    """One table: the compressors on each file, smallest result first; of several files their totals below."""
    files = list(dict.fromkeys(result.file for result in results))
    rows: list[Row] = []
    sections = []
    for file in files:
        mine = sorted((r for r in results if r.file == file and r.error is None), key=lambda r: r.compressed)
        sections.append(len(rows))
        rows += [{"file": file, **_figures(result)} for result in mine]
    together = sorted(totals(results), key=lambda total: total.compressed) if len(files) > 1 else []
    columns = [Column("codec", "compressor", left=True), *_FIGURES]
    if len(files) == 1:
        title = f"{files[0]}: {results[0].original:,} bytes"
    else:
        title = f"{len(files)} files"
        columns[:0] = [Column("file", "file", left=True), Column("original", "of bytes", grouped)]
    if together:
        columns.insert(5, Column("geometric_bits", "geometric mean", decimals(3)))
        sections.append(len(rows))
        label = f"{together[0].files} files together"
        rows += [{"file": label, **_figures(each), "geometric_bits": each.geometric_bits} for each in together]
    notes = []
    verified = sum(result.error is None for result in results)
    notes.append(f"Verified by restoring: {verified} of {len(results)} results gave back the very bytes.")
    notes.append("Adjusted: with the model's bytes added, as if it had to be sent along (once for all files).")
    notes += [f"Failed: {each.codec} on {each.file}: {each.error}." for each in results if each.error is not None]
    if skipped:
        notes.append(f"Not installed: {', '.join(skipped)}.")
    if partial:
        notes.append("Partial: stopped before all compressors had their turn.")
    return [Table(title, columns, rows, notes, sections)]


def document(
    results: Sequence[Result], skipped: Sequence[str], model: dict[str, Any], *, partial: bool
) -> dict[str, Any]:
    """The JSON document."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmzip": __version__,
        "model": model,
        "partial": partial,
        "not_installed": list(skipped),
        "results": [_plain(result) for result in results],
        "totals": [asdict(each) for each in totals(results)],
    }


def _plain(result: Result) -> Row:
    row = asdict(result)
    row["verified"] = result.error is None
    known = result.error is None
    row["bits_per_byte"] = round(8 * result.compressed / result.original, 6) if known else None
    row["adjusted"] = result.adjusted if known else None
    row["adjusted_bits_per_byte"] = round(8 * result.adjusted / result.original, 6) if known else None
    row["pack_seconds"], row["unpack_seconds"] = round(result.pack_seconds, 6), round(result.unpack_seconds, 6)
    return row


def csv_rows(results: Sequence[Result]) -> list[Row]:
    """A row for each compressor on each file."""
    return [_plain(result) for result in results]
