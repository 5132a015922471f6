"""Tables for people and programs: one set of rows as a terminal table, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_PIPE_WIDTH = 240  # columns of a table that goes to no terminal: wide enough to cut nothing

_WORDS = 16  # columns that words need at least

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: the key of its values in a row, its heading, and how a value is written (None is always left blank)."""

    key: str
    heading: str
    write: Callable[[Any], str] = str
    left: bool = False


@dataclass
class Table:
    """Rows under columns. notes: sentences below it. sections: numbers of the rows that begin one."""

    title: str
    columns: Sequence[Column]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sections: Sequence[int] = ()

    def cells(self) -> list[list[str]]:
        """What stands in the cells."""
        return [["" if row.get(c.key) is None else c.write(row[c.key]) for c in self.columns] for row in self.rows]


def decimals(places: int) -> Callable[[float], str]:
    """Writes numbers with so many decimals."""
    return lambda value: f"{value:.{places}f}"


def with_margin(places: int) -> Callable[[tuple[float, float | None]], str]:
    """Writes pairs (value, half width of its interval or None)."""

    def write(pair: tuple[float, float | None]) -> str:
        value, margin = pair
        return f"{value:.{places}f}" + ("" if margin is None else f" ± {margin:.{places}f}")

    return write


def grouped(number: int) -> str:
    """Writes whole numbers with their thousands set apart."""
    return f"{number:,}"


def render(tables: Sequence[Table], form: str, *, width: int | None = None, colour: bool = False) -> str:
    """The tables as "table" or "markdown", ending in a newline. width: of the terminal, None where there is none."""
    if form == "markdown":
        return "\n".join(_markdown(table) for table in tables)
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    sink = io.StringIO()
    console = Console(
        file=sink,
        width=width or _PIPE_WIDTH,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        emoji=False,
        markup=False,
    )
    for table in tables:
        if _narrowest(table) > (width or _PIPE_WIDTH):
            console.print(Text(table.title, "bold"))
            console.print(*map(Text, _records(table)), "", sep="\n")
        else:
            made = RichTable(
                title=Text(table.title), title_justify="left", box=SIMPLE_HEAD, title_style="bold", padding=(0, 1, 0, 0)
            )
            for column in table.columns:
                made.add_column(
                    Text(column.heading),
                    justify="left" if column.left else "right",
                    overflow="fold",
                    no_wrap=not column.left,
                )
            for number, cells in enumerate(table.cells(), 1):
                made.add_row(*map(Text, cells), end_section=number in table.sections)
            console.print(made)
        for note in table.notes:
            console.print(Text(note))
        if table.notes:
            console.print()
    return "\n".join(line.rstrip() for line in sink.getvalue().split("\n"))


def _narrowest(table: Table) -> int:
    """Columns of a terminal that the table needs, where only its words may be broken."""
    lines = [[column.heading for column in table.columns], *table.cells()]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return sum(
        2 + (min(width, _WORDS) if column.left else width) for column, width in zip(table.columns, widths, strict=True)
    )


def _records(table: Table) -> list[str]:
    """The rows as lines for a narrow terminal: words first, then a line for each figure."""
    widest = max((len(column.heading) for column in table.columns if not column.left), default=0)
    lines = []
    for cells in table.cells():
        named = list(zip(table.columns, cells, strict=True))
        lines += ["", " ".join(cell for column, cell in named if column.left and cell)]
        lines += [f"  {column.heading:<{widest}}  {cell}" for column, cell in named if not column.left and cell]
    return lines


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |"

    rule = "| " + " | ".join("---" if column.left else "---:" for column in table.columns) + " |"
    lines = [f"**{table.title}**", "", line([column.heading for column in table.columns]), rule]
    lines += map(line, table.cells())
    for note in table.notes:
        lines += ["", note]
    return "\n".join(lines) + "\n"


def to_csv(rows: Sequence[Row]) -> str:
    """Rows of plain values under a heading of their keys, which are those of the first row; None is an empty field."""
    sink = io.StringIO()
    if rows:
        writer = csv.DictWriter(sink, list(rows[0]), lineterminator="\n", extrasaction="raise")
        writer.writeheader()
        writer.writerows(rows)
    return sink.getvalue()
