"""Distances as tables, CSV rows and JSON documents (docs/measures.md describes the keys). Nothing without what it rests on."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from llmzip.measures.collections import Item
from llmzip.measures.distances import MEASURES, Distances
from llmzip.measures.editing import Efforts
from llmzip.report.output.tables import Column, Row, Table, decimals, grouped, to_csv
from llmzip.version import __version__

SCHEMA, SCHEMA_VERSION = "llmzip.distances", 1

MATRIX_FORMS = (".csv", ".json", ".npy")

_bits = decimals(1)


def _rest(found: Distances) -> list[str]:
    """The sentences below a table: definition, and what it rests on."""
    sizes = found.x_sizes if found.same else [*found.x_sizes, *found.y_sizes]
    tokens = None if any(size.tokens is None for size in sizes) else sum(size.tokens or 0 for size in sizes)
    rests = f"{len(sizes)} texts of {sum(size.bytes for size in sizes):,} bytes"
    rests += "" if tokens is None else f", {tokens:,} tokens"
    return [f"{found.measure} = {MEASURES[found.measure]}, by {found.coder}, on {rests}", *found.notices]


def pair_rows(found: Distances, x: Sequence[Item], y: Sequence[Item]) -> list[Row]:
    """A row for each pair."""
    lengths, rows = found.lengths, []
    for i, one in enumerate(x):
        for j, other in enumerate(y):
            given = (lengths.x_given_y[i, j], lengths.y_given_x[i, j])
            rows.append(
                {
                    "a": one.name,
                    "b": other.name,
                    "a_bytes": found.x_sizes[i].bytes,
                    "b_bytes": found.y_sizes[j].bytes,
                    "a_tokens": found.x_sizes[i].tokens,
                    "b_tokens": found.y_sizes[j].tokens,
                    "a_bits": float(lengths.x[i]),
                    "b_bits": float(lengths.y[j]),
                    "a_given_b": None if np.isnan(given[0]) else float(given[0]),
                    "b_given_a": None if np.isnan(given[1]) else float(given[1]),
                    found.measure: float(found.values[i, j]),
                }
            )
    return rows


def pair_tables(found: Distances, x: Sequence[Item], y: Sequence[Item]) -> list[Table]:
    """One table of pairs."""
    columns = [
        Column("a", "A", left=True),
        Column("b", "B", left=True),
        Column("a_bytes", "bytes A", grouped),
        Column("b_bytes", "bytes B", grouped),
        Column("a_tokens", "tokens A", grouped),
        Column("b_tokens", "tokens B", grouped),
        Column("a_bits", "K(A)", _bits),
        Column("b_bits", "K(B)", _bits),
        Column("a_given_b", "K(A|B)", _bits),
        Column("b_given_a", "K(B|A)", _bits),
        Column(found.measure, found.measure, decimals(4)),
    ]
    rows = pair_rows(found, x, y)
    shown = [column for column in columns if any(row[column.key] is not None for row in rows)]
    return [Table("Distances", shown, rows, _rest(found))]


def nearest_rows(found: Distances, items: Sequence[Item]) -> list[Row]:
    """For each text its own length and its nearest other."""
    away = found.values + np.where(np.eye(len(items), dtype=bool), np.inf, 0.0)
    nearest = away.argmin(axis=1)
    return [
        {
            "text": item.name,
            "label": item.label,
            "bytes": found.x_sizes[i].bytes,
            "tokens": found.x_sizes[i].tokens,
            "bits": float(found.lengths.x[i]),
            "nearest": items[nearest[i]].name,
            "nearest_label": items[nearest[i]].label,
            found.measure: float(away[i, nearest[i]]),
        }
        for i, item in enumerate(items)
    ]


def nearest_tables(found: Distances, items: Sequence[Item]) -> list[Table]:
    """One table, a row for each text."""
    columns = [
        Column("text", "text", left=True),
        Column("label", "label", left=True),
        Column("bytes", "bytes", grouped),
        Column("tokens", "tokens", grouped),
        Column("bits", "K", _bits),
        Column("nearest", "nearest", left=True),
        Column("nearest_label", "its label", left=True),
        Column(found.measure, found.measure, decimals(4)),
    ]
    rows = nearest_rows(found, items)
    shown = [column for column in columns if any(row[column.key] is not None for row in rows)]
    return [Table("Nearest texts", shown, rows, _rest(found))]


def document(found: Distances, x: Sequence[Item], y: Sequence[Item]) -> dict[str, Any]:
    """All that is known, for `--json`."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmzip": __version__,
        "measure": found.measure,
        "definition": MEASURES[found.measure],
        "coder": found.coder,
        "notices": found.notices,
        "rows": _described(x, found.x_sizes, found.lengths.x),
        "columns": _described(y, found.y_sizes, found.lengths.y),
        "values": found.values.tolist(),
    }


def _described(items: Sequence[Item], sizes: Sequence[Any], bits: Any) -> list[Row]:
    return [
        {"text": item.name, "label": item.label, "bytes": size.bytes, "tokens": size.tokens, "bits": float(length)}
        for item, size, length in zip(items, sizes, bits, strict=True)
    ]


def matrix_file(found: Distances, items: Sequence[Item], suffix: str) -> bytes:
    """The square matrix as a file: ".csv" with names, ".json" as `document`, ".npy" the bare array (n, n) in float64."""
    if suffix == ".npy":
        sink = io.BytesIO()
        np.save(sink, found.values)
        return sink.getvalue()
    if suffix == ".json":
        return (json.dumps(document(found, items, items)) + "\n").encode()
    names = [item.name for item in items]
    rows = [
        {"text": name, "bytes": size.bytes, "tokens": size.tokens, **dict(zip(names, values.tolist(), strict=True))}
        for name, size, values in zip(names, found.x_sizes, found.values, strict=True)
    ]
    return to_csv(rows).encode("utf-8", "backslashreplace")


def effort_rows(found: Efforts, source: Item, edited: Sequence[Item]) -> list[Row]:
    """A row for each edited text."""
    return [
        {
            "source": source.name,
            "edited": item.name,
            "source_bytes": found.source.bytes,
            "source_tokens": found.source.tokens,
            "bytes": size.bytes,
            "tokens": size.tokens,
            "phrases": effort.phrases,
            "levenshtein": effort.levenshtein,
            "bits_alone": effort.alone,
            "bits_given_source": effort.bits,
        }
        for item, size, effort in zip(edited, found.edited, found.efforts, strict=True)
    ]


def effort_tables(found: Efforts, source: Item, edited: Sequence[Item]) -> list[Table]:
    """One table, a row for each edited text."""
    columns = [
        Column("edited", "edited", left=True),
        Column("bytes", "bytes", grouped),
        Column("tokens", "tokens", grouped),
        Column("phrases", "phrases", grouped),
        Column("levenshtein", "Levenshtein", grouped),
        Column("bits_alone", "K(edited)", _bits),
        Column("bits_given_source", "K(edited|source)", _bits),
    ]
    rows = effort_rows(found, source, edited)
    shown = [column for column in columns if any(row[column.key] is not None for row in rows)]
    tokens = "" if found.source.tokens is None else f", {found.source.tokens:,} tokens"
    notes = [
        f"from {source.name}, {found.source.bytes:,} bytes{tokens}; K in bits by {found.coder}; phrases of LZ77 that the edited "
        "text takes after the source (1 for equal texts)",
        *found.notices,
    ]
    return [Table("Editing effort", shown, rows, notes)]


def effort_document(found: Efforts, source: Item, edited: Sequence[Item]) -> dict[str, Any]:
    """All that is known, for `--json`."""
    return {
        "schema": "llmzip.efforts",
        "schema_version": SCHEMA_VERSION,
        "llmzip": __version__,
        "coder": found.coder,
        "notices": found.notices,
        "efforts": effort_rows(found, source, edited),
    }
