"""Other shapes of training text: paragraphs wrapped or unwrapped, tabs for spaces."""

from __future__ import annotations

import random
import re
import textwrap

_PARAGRAPHS = re.compile(r"\n{2,}")


def _is_prose(paragraph: str) -> bool:
    """Whether lines may be joined: no indentation, list marks, quotes, headings or table rows."""
    return not any(line[:1] in " \t#>|-*+`=~" or line[:1].isdigit() for line in paragraph.split("\n"))


def unwrap(text: str) -> str:
    """Join the lines of each prose paragraph into one."""
    return "\n\n".join(p.replace("\n", " ") if _is_prose(p) else p for p in _PARAGRAPHS.split(text))


def wrap(text: str, width: int) -> str:
    """Hard-wrap each prose paragraph at `width` columns."""
    wrapped = (
        textwrap.fill(p, width, break_long_words=False, break_on_hyphens=False) if _is_prose(p) and p.strip() else p
        for p in _PARAGRAPHS.split(text)
    )
    return "\n\n".join(wrapped)


def rewrap(text: str, rng: random.Random) -> str:
    """Unwrap hard-wrapped text; hard-wrap text of long lines at a width between 56 and 100."""
    lines = [line for line in text.split("\n") if line]
    if not lines or sum(map(len, lines)) / len(lines) > 90:
        return wrap(text, rng.choice((56, 60, 64, 68, 70, 72, 72, 76, 78, 79, 80, 88, 100)))
    return unwrap(text)


def retab(text: str) -> str:
    """Indentation of spaces becomes tabs (by 4, or by 2 where 2 is the unit), and tabs become four spaces."""
    lines = text.split("\n")
    if any(line.startswith("\t") for line in lines):
        return "\n".join(_reindent(line, "\t", "    ") for line in lines)
    depths = [len(line) - len(line.lstrip(" ")) for line in lines if line.startswith("  ")]
    unit = "  " if any(depth % 4 for depth in depths) else "    "
    return "\n".join(_reindent(line, unit, "\t") for line in lines)


def _reindent(line: str, old: str, new: str) -> str:
    depth = 0
    while line.startswith(old, depth * len(old)):
        depth += 1
    return new * depth + line[depth * len(old) :]
