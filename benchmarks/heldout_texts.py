"""Texts by which nothing was chosen: excerpts of the held-out corpora, and tables and logs that are made up.

usage: heldout_texts.py CORPORA FOLDER

CORPORA has heldout-SOURCE.jsonl.xz (training/README.md); FOLDER gets a file for each kind of text, the same ones each time.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

SIZE = 100_000
# Source, what the name of its documents ends with, documents left out, bytes taken of each.
EXCERPTS = {
    "book.txt": ("book", "", 5, SIZE),
    "wiki.txt": ("wiki", "", 50, 30_000),
    "docs.md": ("docs", ".md", 40, 30_000),
    "docs.rst": ("docs", ".rst", 0, 30_000),
    "talk.md": ("talk", "", 3, 30_000),
    "euro.txt": ("euro", "", 1, SIZE),
    "code.c": ("code", ".c", 0, 60_000),
    "code.py": ("code", ".py", 0, 60_000),
    "code.rs": ("code", ".rs", 0, 60_000),
}
START = datetime(2024, 3, 1, tzinfo=UTC)


def excerpt(corpora: Path, source: str, ending: str, skip: int, most: int) -> str:
    """Documents one after the other, at most `SIZE` characters."""
    taken: list[str] = []
    with lzma.open(corpora / f"heldout-{source}.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            if not str(document["id"]).endswith(ending):
                continue
            skip -= 1
            if skip < 0:
                taken.append(document["text"][:most])
            if sum(map(len, taken)) > SIZE:
                break
    return "\n".join(taken)[:SIZE]


def meters(draw: random.Random) -> Iterator[str]:
    """A table: readings every quarter of an hour that drift."""
    yield "time,kwh,volts,celsius,state"
    energy, celsius = 1200.0, 11.0
    for step in range(2400):
        energy += draw.expovariate(3)
        celsius += draw.gauss(0, 0.2)
        time = START + timedelta(minutes=15 * step)
        yield f"{time:%Y-%m-%d %H:%M},{energy:.2f},{draw.gauss(230, 1.5):.1f},{celsius:.1f},{'ok' if draw.random() < 0.97 else 'check'}"


def stock(draw: random.Random) -> Iterator[str]:
    """A table: names, and numbers that say something of them."""
    parts = ["bolt", "washer", "bracket", "hinge", "plate", "bearing", "spring", "clamp", "valve", "gasket"]
    sizes = ["M4", "M5", "M6", "M8", "M10", "small", "large"]
    yield "article\tsize\tbin\tstock\tprice\tsupplier"
    for number in range(2000):
        part, size = draw.choice(parts), draw.choice(sizes)
        price = (len(part) * 0.31 + sizes.index(size) * 0.55) * draw.choice([1, 1.1, 1.25])
        yield f"{10_000 + 7 * number}\t{part} {size}\t{draw.choice('ABCDEF')}{draw.randint(1, 60):02}\t{draw.randint(0, 900)}\t{price:.2f}\t{draw.choice(['Harper & Sons', 'Lindqvist AB', 'Tanaka KK', 'Oduya Ltd'])}"


def access(draw: random.Random) -> Iterator[str]:
    """A log of a web server."""
    pages = [f"/{draw.choice(['news', 'shop', 'help', 'img'])}/{draw.randrange(16**5):x}" for _ in range(150)]
    time = START
    for _ in range(1200):
        time += timedelta(seconds=draw.expovariate(0.4))
        host = f"10.{draw.choice([3, 8])}.{draw.randint(0, 9)}.{int(draw.paretovariate(0.8)) % 250}"
        page = pages[int(draw.paretovariate(0.9)) % len(pages)]
        status = draw.choices([200, 304, 404, 500], [80, 14, 5, 1])[0]
        yield f'{host} - - [{time:%d/%b/%Y:%H:%M:%S} +0000] "GET {page} HTTP/1.1" {status} {draw.randint(180, 40_000) if status == 200 else 0}'


def service(draw: random.Random) -> Iterator[str]:
    """A log of a service: few messages, and identifiers that come back."""
    time, open_jobs = START, []
    for number in range(900):
        time += timedelta(milliseconds=draw.expovariate(0.01))
        stamp = f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z worker-{draw.randint(1, 4)}"
        open_jobs.append(f"{draw.getrandbits(32):08x}")
        yield f"{stamp} INFO  queue: accepted job {open_jobs[-1]} ({draw.randint(1, 5000)} rows, attempt 1)"
        if len(open_jobs) > 3:
            job = open_jobs.pop(draw.randrange(3))
            yield f"{stamp} INFO  queue: finished job {job} in {draw.randint(3, 900)} ms"
        if number % 37 == 5:
            yield f"{stamp} WARN  store: connection to db-{draw.randint(1, 3)} is slow ({draw.randint(200, 3000)} ms)"


def readings(draw: random.Random) -> Iterator[str]:
    """JSON, a record a line."""
    for number in range(900):
        yield json.dumps(
            {
                "id": 4_000 + number,
                "sensor": f"s-{draw.randint(1, 12):02}",
                "at": int(START.timestamp()) + 60 * number + draw.randint(0, 3),
                "value": round(draw.gauss(20, 4), 2),
                "tags": draw.sample(["north", "roof", "spare", "calibrated"], draw.randint(0, 2)),
            }
        )


MADE: dict[str, Callable[[random.Random], Iterator[str]]] = {
    "meters.csv": meters,
    "stock.tsv": stock,
    "access.log": access,
    "service.log": service,
    "readings.jsonl": readings,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, (source, ending, skip, most) in EXCERPTS.items():
        text = excerpt(options.corpora, source, ending, skip, most)
        (options.folder / name).write_text(text, encoding="utf-8", newline="")
    for seed, (name, lines) in enumerate(MADE.items()):
        text = "".join(f"{line}\n" for line in lines(random.Random(seed)))
        (options.folder / name).write_text(text[:SIZE], encoding="utf-8", newline="")


if __name__ == "__main__":
    main()
