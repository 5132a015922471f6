"""Bits per character of a corpus with intervals, in all, by folder and by date, as tables."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np

from llmzip.lake.manifest import Line
from llmzip.lake.places import Entry
from llmzip.report.measure.intervals import half_width
from llmzip.report.output.tables import Column, Row, Table, grouped, with_margin

_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:[-_/.]?(0[1-9]|1[0-2]))?(?:[-_/.]?(0[1-9]|[12]\d|3[01]))?(?!\d)")
_UNKNOWN = "(none)"


def date_of(entry: Entry) -> str:
    """The date in a file's name, as 2024-07-01, 2024-07 or 2024; without one, the day it was last changed."""
    found = _DATE.search(entry.name)
    return "-".join(part for part in found.groups() if part) if found else entry.modified


class Estimates:
    """Gathers sizes of files; each file is one draw from its group.

    depth: folders that name a group; precision: characters of a date that do, 4 for years, 7 for months, 10 for days.
    """

    def __init__(self, depth: int = 1, precision: int = 7) -> None:
        self._depth, self._precision = depth, precision
        self._groups: dict[str, dict[str, list[tuple[int, int, int]]]] = {
            "": defaultdict(list),
            "folder": defaultdict(list),
            "date": defaultdict(list),
        }

    def add(self, line: Line, entry: Entry) -> None:
        """Take in a file; characters of what is not UTF-8 are its bytes."""
        sizes = 8 * line.compressed, line.characters or line.original, line.original
        folders = entry.name.split("/")[:-1][: self._depth]
        self._groups[""]["all"].append(sizes)
        self._groups["folder"]["/".join(folders) or "."].append(sizes)
        self._groups["date"][date_of(entry)[: self._precision] or _UNKNOWN].append(sizes)

    def rows(self) -> list[Row]:
        """One for the whole, each folder and each date. margin: half of the 95 % interval of bits per character, None from fewer
        than two files."""
        return [
            {"by": by or None, "group": name, **self._row(sizes)}
            for by, groups in self._groups.items()
            for name, sizes in sorted(groups.items())
        ]

    def _row(self, sizes: list[tuple[int, int, int]]) -> Row:
        bits, characters, originals = np.array(sizes, np.float64).T
        total = float(characters.sum())
        return {
            "files": len(sizes),
            "bytes": int(originals.sum()),
            "characters": int(total),
            "bits_per_character": float(bits.sum()) / total if total else None,
            "margin": half_width(bits, characters),
        }

    def tables(self) -> list[Table]:
        """The rows for people."""
        made = []
        for by, title in (("", "Corpus"), ("folder", "By folder"), ("date", "By date")):
            rows: list[dict[str, Any]] = [
                row | {"bits": (row["bits_per_character"], row["margin"])}
                for row in self.rows()
                if (row["by"] or "") == by and row["bits_per_character"] is not None
            ]
            columns = [
                Column("group", by or "", left=True),
                Column("files", "files", grouped),
                Column("bytes", "bytes", grouped),
                Column("bits", "bits/char", with_margin(3)),
            ]
            made.append(Table(title, columns, rows))
        made[-1].notes.append(
            "± is half of a 95 % interval for other files of the same kind: each file is one draw, ratio estimate."
        )
        return made
