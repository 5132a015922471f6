"""What data files and logs look like: JSON, JSON lines, logs, tables, settings. The words come from a training document, the
shapes are ours."""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable

from . import markup
from .facts import Facts


def _json_lines(facts: Facts) -> str:
    keys = [facts.name() for _ in range(facts.rng.randint(3, 8))]
    separators = facts.rng.choice(((",", ":"), (", ", ": ")))
    rows = ({"id": i + 1} | {key: facts.value() for key in keys} for i in range(facts.rng.randint(8, 40)))
    return "\n".join(json.dumps(row, ensure_ascii=False, separators=separators) for row in rows)


def _json_document(facts: Facts) -> str:
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


def _log(facts: Facts) -> str:
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


def _table(facts: Facts) -> str:
    rng = facts.rng
    columns = [facts.name() for _ in range(rng.randint(3, 7))]
    rows = [[str(facts.value()).replace(",", ";") for _ in columns] for _ in range(rng.randint(10, 40))]
    shape = rng.choice((",", "\t", "|"))
    if shape == "|":
        rule = ["---"] * len(columns)
        return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows])
    return "\n".join(shape.join(row) for row in [columns, *rows])


def _access_log(facts: Facts) -> str:
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


def _settings(facts: Facts) -> str:
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


def _messages(facts: Facts) -> str:
    """A log of few messages with slots, as programs write them."""
    rng = facts.rng
    slots: tuple[Callable[[], str], ...] = (
        lambda: str(rng.randrange(10 ** rng.randint(1, 6))),
        lambda: ".".join(str(rng.randrange(256)) for _ in range(4)) + f":{rng.randrange(1024, 65536)}",
        lambda: "/" + "/".join(facts.name() for _ in range(3)),
        lambda: f"{facts.name()}_{rng.randrange(10**9)}",
        lambda: f"{rng.getrandbits(32):08x}",
    )
    fixed = [slot() for slot in slots for _ in range(3)]

    def template() -> list[Callable[[], str] | str]:
        parts: list[Callable[[], str] | str] = []
        for _ in range(rng.randint(1, 3)):
            parts += [" ".join(facts.word() for _ in range(rng.randint(1, 4))), rng.choice(slots)]
        return parts

    templates = [
        (rng.choice(("INFO", "INFO", "DEBUG", "WARN", "ERROR")), facts.name(), template())
        for _ in range(rng.randint(3, 9))
    ]
    often = [rng.expovariate(1.0) + 0.05 for _ in templates]
    shape, host = rng.choice(("iso", "plain", "syslog")), facts.word().lower()
    process = rng.randrange(300, 32000)
    lines = []
    for _ in range(rng.randint(30, 90)):
        level, module, parts = rng.choices(templates, often)[0]
        said = " ".join(p if isinstance(p, str) else rng.choice(fixed) if rng.random() < 0.4 else p() for p in parts)
        head = f"{host} {module}[{process}]:" if shape == "syslog" else f"{level} {module}:"
        lines.append(f"{facts.time(shape)} {head} {said}")
    return "\n".join(lines)


def _series(facts: Facts) -> str:
    """Measurements by day or hour: columns of numbers that change slowly, and one of few words."""
    rng = facts.rng
    columns = [facts.name() for _ in range(rng.randint(2, 6))]
    digits = [rng.randint(0, 3) for _ in columns]
    values = [rng.uniform(0, 10 ** rng.randint(1, 4)) for _ in columns]
    kinds = [facts.word().lower() for _ in range(rng.randint(2, 5))]
    shape, step, sign = (
        rng.choice(("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y-%m-%d %H:%M")),
        rng.choice((3600, 86_400)),
        rng.choice(",,;\t"),
    )
    lines = [sign.join(["date", *columns, facts.name()])]
    for _ in range(rng.randint(30, 120)):
        facts.clock += step
        values = [value + rng.gauss(0, abs(value) * 0.04 + 0.3) for value in values]
        day = datetime.datetime.fromtimestamp(facts.clock, datetime.UTC).strftime(shape)
        lines.append(sign.join([day, *(f"{v:.{d}f}" for v, d in zip(values, digits, strict=True)), rng.choice(kinds)]))
    return "\n".join(lines)


SHAPES: tuple[Callable[[Facts], str], ...] = (
    _json_lines,
    _json_document,
    _json_document,
    _log,
    _messages,
    _messages,
    _table,
    _series,
    _access_log,
    _settings,
    *markup.SHAPES,
    markup.page,
    markup.tex,
)


def records(text: str, rng: random.Random) -> str:
    """One data file or marked-up text (1 to 15 kB) in a shape drawn from all there are."""
    return rng.choice(SHAPES)(Facts(text, rng)) + "\n"
