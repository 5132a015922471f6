"""Classes as tables, CSV rows and JSON documents (docs/measures.md describes the keys)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.measures.classes import Accuracy
from llmzip.measures.collections import Item
from llmzip.measures.lengths import Size
from llmzip.report.output.tables import Column, Row, Table, decimals, grouped
from llmzip.version import __version__

SCHEMA, SCHEMA_VERSION = "llmzip.classes", 1


@dataclass
class Classified:
    """Texts with the labels that they were given, and what those rest on.

    method: in words. labelled, sizes: sizes of the labelled texts and of the new ones. sure: None by cross-validation.
    accuracy: of the texts that had a label of their own; None if none had.
    """

    method: str
    coder: str
    classes: dict[str, int]
    labelled: list[Size]
    items: list[Item]
    sizes: list[Size]
    labels: NDArray[np.str_]
    sure: NDArray[np.float64] | None = None
    notices: list[str] = field(default_factory=list)
    ahead: str = ""
    """What `sure` counts, in words."""

    @property
    def accuracy(self) -> Accuracy | None:
        """Of the texts that have a label of their own; None where none has."""
        known = [
            (item.label, label) for item, label in zip(self.items, self.labels.tolist(), strict=True) if item.label
        ]
        return Accuracy(sum(own == label for own, label in known), len(known)) if known else None


def _told(sizes: Sequence[Size]) -> str:
    tokens = [size.tokens for size in sizes if size.tokens is not None]
    return f"{len(sizes)} texts of {sum(size.bytes for size in sizes):,} bytes" + (
        f", {sum(tokens):,} tokens" if len(tokens) == len(sizes) else ""
    )


def rows(found: Classified) -> list[Row]:
    """A row for each text."""
    return [
        {
            "text": item.name,
            "bytes": size.bytes,
            "tokens": size.tokens,
            "label": label,
            "sure": None if found.sure is None else float(found.sure[i]),
            "own_label": item.label,
        }
        for i, (item, size, label) in enumerate(zip(found.items, found.sizes, found.labels.tolist(), strict=True))
    ]


def _accuracy(found: Classified) -> Row | None:
    accuracy = found.accuracy
    if accuracy is None:
        return None
    low, high = accuracy.interval()
    return {
        "right": accuracy.right,
        "texts": accuracy.texts,
        "accuracy": accuracy.share,
        "lower_95": low,
        "upper_95": high,
    }


def tables(found: Classified, *, each: bool = True) -> list[Table]:
    """The texts (each), and the accuracy where labels are known."""
    made = []
    ahead = f"ahead: {found.ahead}"
    rests = f"{found.method}, by {found.coder}; labelled: {_told(found.labelled)} in {len(found.classes)} classes"
    if each:
        columns = [
            Column("text", "text", left=True),
            Column("bytes", "bytes", grouped),
            Column("tokens", "tokens", grouped),
            Column("label", "label", left=True),
            Column("sure", "ahead", decimals(3)),
            Column("own_label", "own label", left=True),
        ]
        all_rows = rows(found)
        shown = [column for column in columns if any(row[column.key] is not None for row in all_rows)]
        made.append(Table("Classes", shown, all_rows, [rests, *([ahead] if found.ahead else []), *found.notices]))
    row = _accuracy(found)
    if row:
        interval = f"{row['lower_95']:.3f} to {row['upper_95']:.3f}"
        columns = [
            Column("right", "right", grouped),
            Column("texts", "of", grouped),
            Column("accuracy", "accuracy", decimals(3)),
            Column("interval", "95 % interval"),
        ]
        notes = [f"measured on {_told(found.sizes)}"] + ([] if each else [rests, *found.notices])
        made.append(Table("Accuracy", columns, [row | {"interval": interval}], notes))
    return made


def document(found: Classified) -> dict[str, Any]:
    """All that is known, for `--json`."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmzip": __version__,
        "method": found.method,
        "coder": found.coder,
        "classes": found.classes,
        "labelled_bytes": sum(size.bytes for size in found.labelled),
        "labelled_tokens": None
        if any(size.tokens is None for size in found.labelled)
        else sum(size.tokens or 0 for size in found.labelled),
        "notices": found.notices,
        "accuracy": _accuracy(found),
        "texts": rows(found),
    }
