"""Other shapes of training text: paragraphs wrapped or unwrapped, tabs for spaces, and records made of its words."""

from __future__ import annotations

import datetime
import json
import random
import re
import textwrap
from collections.abc import Callable

_PARAGRAPHS = re.compile(r"\n{2,}")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")


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


# Records: what data files and logs look like. The words come from a training document; the shapes are ours.


class _Facts:
    """Draws plausible field values around the words of one document."""

    def __init__(self, text: str, rng: random.Random) -> None:
        self.rng = rng
        start = rng.randrange(max(1, len(text) - 20_000))
        self.words = _WORD.findall(text[start : start + 20_000]) or ["item"]
        self.sentences = [
            s.strip() for s in re.split(r"(?<=[.!?])\s+", text[start : start + 20_000]) if 10 < len(s) < 200
        ]
        self.clock = rng.randrange(946_684_800, 1_900_000_000)

    def word(self) -> str:
        return self.rng.choice(self.words)

    def name(self) -> str:
        return "_".join(self.word().lower() for _ in range(self.rng.choice((1, 1, 2))))

    def sentence(self) -> str:
        if self.sentences and self.rng.random() < 0.7:
            return " ".join(self.rng.choice(self.sentences).split())
        return " ".join(self.word() for _ in range(self.rng.randint(3, 9)))

    def time(self, shape: str) -> str:
        """The next moment, as ISO 8601 ("iso"), space-separated ("plain") or syslog ("syslog")."""
        self.clock += int(self.rng.expovariate(1 / 40.0))
        moment = datetime.datetime.fromtimestamp(self.clock, datetime.UTC)
        if shape == "iso":
            return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{self.rng.randrange(1000):03d}Z"
        if shape == "plain":
            return moment.strftime("%Y-%m-%d %H:%M:%S") + f",{self.rng.randrange(1000):03d}"
        return moment.strftime("%b %e %H:%M:%S")

    def value(self) -> object:
        kind = self.rng.random()
        if kind < 0.25:
            return self.rng.randrange(10 ** self.rng.randint(1, 7))
        if kind < 0.4:
            return round(self.rng.uniform(-100, 1000), self.rng.randint(1, 4))
        if kind < 0.5:
            return self.rng.choice((True, False, None))
        if kind < 0.6:
            return f"{self.rng.getrandbits(64):016x}"
        if kind < 0.75:
            return self.sentence()
        return self.word()


def _json_lines(facts: _Facts) -> str:
    keys = [facts.name() for _ in range(facts.rng.randint(3, 8))]
    separators = facts.rng.choice(((",", ":"), (", ", ": ")))
    rows = ({"id": i + 1} | {key: facts.value() for key in keys} for i in range(facts.rng.randint(8, 40)))
    return "\n".join(json.dumps(row, ensure_ascii=False, separators=separators) for row in rows)


def _json_document(facts: _Facts) -> str:
    keys = [facts.name() for _ in range(facts.rng.randint(3, 7))]
    rows = [
        {key: facts.value() for key in keys} | {"tags": [facts.word() for _ in range(facts.rng.randint(0, 3))]}
        for _ in range(facts.rng.randint(4, 16))
    ]
    return json.dumps(
        {"version": facts.rng.randint(1, 5), facts.name(): rows},
        ensure_ascii=False,
        indent=facts.rng.choice((2, 2, 4, "\t")),
    )


def _log(facts: _Facts) -> str:
    rng = facts.rng
    shape = rng.choice(("iso", "plain", "syslog"))
    modules = [facts.name() for _ in range(4)]
    host = facts.word().lower()
    lines = []
    for _ in range(rng.randint(20, 80)):
        level = rng.choices(("INFO", "DEBUG", "WARNING", "ERROR"), (60, 25, 10, 5))[0]
        module, moment = rng.choice(modules), facts.time(shape)
        if shape == "syslog":
            lines.append(f"{moment} {host} {module}[{rng.randrange(300, 32000)}]: {facts.sentence()}")
        elif shape == "iso":
            lines.append(f"{moment} {level} {module}: {facts.sentence()} {facts.name()}={facts.value()}")
        else:
            lines.append(f"{moment} [{level}] {module} - {facts.sentence()}")
    return "\n".join(lines)


def _table(facts: _Facts) -> str:
    rng = facts.rng
    columns = [facts.name() for _ in range(rng.randint(3, 7))]
    rows = [[str(facts.value()).replace(",", ";") for _ in columns] for _ in range(rng.randint(10, 40))]
    shape = rng.choice((",", "\t", "|"))
    if shape == "|":
        rule = ["---"] * len(columns)
        return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows])
    return "\n".join(shape.join(row) for row in [columns, *rows])


def _access_log(facts: _Facts) -> str:
    rng = facts.rng
    hosts = [".".join(str(rng.randrange(256)) for _ in range(4)) for _ in range(6)]
    paths = ["/" + "/".join(facts.name() for _ in range(rng.randint(1, 3))) for _ in range(12)]
    lines = []
    for _ in range(rng.randint(20, 60)):
        facts.clock += rng.randrange(30)
        moment = datetime.datetime.fromtimestamp(facts.clock, datetime.UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        status = rng.choices((200, 304, 404, 302, 500), (75, 10, 8, 5, 2))[0]
        method = rng.choices(("GET", "POST", "HEAD"), (85, 12, 3))[0]
        host, path, size = rng.choice(hosts), rng.choice(paths), rng.randrange(90_000)
        lines.append(f'{host} - - [{moment}] "{method} {path} HTTP/1.1" {status} {size}')
    return "\n".join(lines)


def _settings(facts: _Facts) -> str:
    rng = facts.rng
    sign, comment = rng.choice(((" = ", "# "), ("=", "; "), (": ", "# ")))
    lines = []
    for _ in range(rng.randint(2, 6)):
        lines.append(f"[{facts.name()}]" if sign != ": " else f"{facts.name()}:")
        for _ in range(rng.randint(2, 7)):
            if rng.random() < 0.2:
                lines.append(f"{comment}{facts.sentence()}")
            indent = "  " if sign == ": " else ""
            lines.append(f"{indent}{facts.name()}{sign}{json.dumps(facts.value(), ensure_ascii=False)}")
        lines.append("")
    return "\n".join(lines)


_RECORDS: tuple[Callable[[_Facts], str], ...] = (
    _json_lines,
    _json_document,
    _log,
    _log,
    _table,
    _access_log,
    _settings,
)


def records(text: str, rng: random.Random) -> str:
    """One data file (1 to 10 kB) in a shape drawn from: JSON, JSON lines, logs, tables, settings."""
    return rng.choice(_RECORDS)(_Facts(text, rng)) + "\n"
