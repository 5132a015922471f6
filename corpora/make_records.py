#!/usr/bin/env python3
"""Write orders.csv, server.log and records.json: the three machine-made texts of this folder.

The same bytes come out on every run and every machine. That is less obvious than it sounds:
the methods of `random.Random` that choose and shuffle may change from one Python to the next, so
everything here is drawn from a small generator of our own, and no number passes through a float.

    make_records.py            write the three files beside this script
    make_records.py --check    compare them with what would be written; exit 1 if they differ

The shop is imaginary, and so are its customers; it sells bells, ladders, ink and string by post.

Public domain (CC0).
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
HERE = Path(__file__).resolve().parent

GOODS = [
    # sku, title, pence, how often it is asked for
    ("BEL-004", "Ship's bell, 4 in, brass", 6850, 3),
    ("BEL-011", "Handbell, walnut grip, note A", 3120, 4),
    ("BEL-030", "Bicycle bell with a compass", 1295, 9),
    ("INK-101", "Oak gall ink, 50 ml", 895, 14),
    ("INK-102", "Examiner's green ink, 50 ml", 945, 8),
    ("INK-117", "Ink, disappearing (4 days)", 1150, 2),
    ("LAD-002", "Library ladder, 7 rungs", 21900, 2),
    ("LAD-003", "Orchard ladder, three-legged", 14450, 3),
    ("LAD-009", "Spare rung, ash, drilled", 780, 5),
    ("LMP-040", "Lamp glass, 10 line, clear", 560, 12),
    ("LMP-041", "Lamp glass, 10 line, seconds", 310, 7),
    ("LMP-077", "Wick, flat, per metre", 145, 11),
    ("MAP-500", 'Chart of the Asker, "Swash & Gat"', 1825, 4),
    ("MAP-501", "Chart case, oiled canvas", 2640, 2),
    ("STR-001", "Garden twine, tarred, 100 m", 425, 16),
    ("STR-002", "String, useful lengths, assorted", 199, 13),
    ("STR-003", 'String, pieces "too short to be of use"', 45, 6),
    ("UMB-006", "Umbrella, gale pattern", 4975, 5),
    ("UMB-007", "Umbrella, replacement ribs (8)", 1380, 3),
]
FIRST = "Ada Bram Cosima Dmitri Edda Farouk Greta Hanno Ilse Jonas Keziah Léonie Milo Nadia Örjan Petra".split()
LAST = "Abelard Brodersen Castellan Denholm Eyre Fonseca Gaskin Hallam Ibrahim Jessen Kell Liddell Marrable".split()
LAST += ["O'Rourke", "van der Zee", "Oduya", "Pettifer", "Tooley", "Ulvaeus", "Žižka"]
TOWNS = ["Corriden", "Pennock", "Lower Brindle", "Marchmere", "Kell's Bend", "St. Éloy", "Aarle", "Tolland"]
NOTES = [
    "leave with the lock-keeper",
    "please do NOT ring, the baby sleeps",
    "gift: write \"from the other side of the hedge\"",
    "customer asks whether the ladder can be sent without the hole",
    "second parcel of two, the first came by itself",
    "paid at the counter, 3 coins were buttons",
    "to be collected, he'll know which",
    "replaces the one that blew away",
    "address as before, but the house has moved",
    "invoice to the chapel",
    "urgent; then, underlined, \"within reason\"",
    "string to match sample enclosed (sample was wool)",
]


class Lehmer:
    """Multiplicative congruential generator modulo 2**61 - 1. Integers only."""

    MODULUS = (1 << 61) - 1
    MULTIPLIER = 437799614237992725

    def __init__(self, seed: int) -> None:
        self.state = seed % self.MODULUS or 1
        for _ in range(8):
            self.below(2)

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1. The bias is of the order of n / 2**61."""
        self.state = self.state * self.MULTIPLIER % self.MODULUS
        return self.state * n >> 61

    def between(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)

    def chance(self, per_mille: int) -> bool:
        return self.below(1000) < per_mille

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[T], weight: Callable[[T], int]) -> T:
        ticket = self.below(sum(weight(option) for option in options))
        for option in options:
            ticket -= weight(option)
            if ticket < 0:
                return option
        raise AssertionError("weights changed while choosing")

    def waiting(self, mean: int) -> int:
        """A geometric-looking gap: mostly short, now and then very long."""
        gap = self.below(mean) + 1
        while self.chance(400):
            gap += self.below(mean) + 1
        return gap


def pounds(pence: int) -> str:
    sign = "-" if pence < 0 else ""
    return f"{sign}{abs(pence) // 100}.{abs(pence) % 100:02d}"


def orders_csv(source: Lehmer, rows: int = 262) -> str:
    """The order book: quoted fields, empty fields, refunds, and one clerk who writes dates his own way."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow("order,placed,customer,town,sku,title,qty,unit,discount,total,status,note".split(","))
    when = datetime(2031, 9, 1, 7, 58, tzinfo=UTC)
    regulars = [(f"{source.pick(FIRST)} {source.pick(LAST)}", source.pick(TOWNS)) for _ in range(24)]
    number = 40871
    for _ in range(rows):
        when += timedelta(minutes=source.waiting(170))
        number += 1 + (source.below(4) if source.chance(60) else 0)
        if source.chance(550):
            customer, town = source.pick(regulars)
        else:
            customer, town = f"{source.pick(FIRST)} {source.pick(LAST)}", source.pick(TOWNS)
        sku, title, price, _ = source.weighted(GOODS, lambda item: item[3])
        quantity = 1 if price > 4000 else source.pick([1, 1, 1, 2, 2, 3, 5, 12])
        discount = source.pick([0, 0, 0, 0, 0, 5, 10, 15]) if quantity < 12 else 20
        total = (price * quantity * (100 - discount) + 50) // 100
        status = source.pick(["sent"] * 9 + ["packed", "waiting", "refunded", "lost, found"])
        if status == "refunded":
            total = -total
        placed = when.strftime("%d.%m.%y, after lunch") if source.chance(25) else when.strftime("%Y-%m-%dT%H:%MZ")
        note = source.pick(NOTES) if source.chance(90) else ""
        writer.writerow(
            [number, placed, customer, town, sku, title, quantity, pounds(price), f"{discount}%" if discount else "",
             pounds(total), status, note]
        )
    return out.getvalue()


def server_log(source: Lehmer, lines: int = 285) -> str:
    """Two days in the life of the shop's web server, a queue and a nervous disk."""
    when = datetime(2031, 11, 14, 5, 59, 58, tzinfo=UTC)
    pages = ["/", "/bells", "/ink", "/ink/green", "/ladders?sort=rungs", "/string", "/cart", "/search?q=umbrella+gale",
             "/static/site.4f1c.css", "/static/hedge.webp", "/robots.txt", "/old/index.htm", "/api/stock/STR-002"]
    addresses = [f"10.{source.between(2, 9)}.{source.below(256)}.{source.between(1, 254)}" for _ in range(30)]
    out: list[str] = []
    disk = 71
    queue = 3
    request = 0x5A20
    millis = 0

    def say(level: str, part: str, text: str) -> None:
        out.append(f"{when:%Y-%m-%d %H:%M:%S},{millis:03d} {level:<5} [{part}] {text}")

    while len(out) < lines:
        when += timedelta(seconds=source.waiting(640))
        millis = source.below(1000)
        request += source.between(1, 40)
        kind = source.below(100)
        if kind < 62:
            page = source.pick(pages)
            status = 404 if "old" in page else source.pick([200] * 14 + [304, 304, 301, 500])
            size = "-" if status == 304 else str(source.between(180, 48_000))
            took = source.waiting(90) + (source.between(900, 4000) if status == 500 else 0)
            say("INFO", "web", f'{source.pick(addresses)} "GET {page}" {status} {size} {took}ms req={request:05x}')
            if status == 500:
                say("ERROR", "web", f"req={request:05x} StockError: asked for {source.between(2, 90)} of "
                    f"{source.pick(GOODS)[0]}, shelf says {source.below(2)}")
                out.append("    at shelf.take (shelf.js:88:13)")
                out.append(f"    at cart.checkout (cart.js:{source.between(140, 171)}:9)")
                if source.chance(500):
                    out.append("    caused by: Error: lock held by 'stocktake' since this morning")
        elif kind < 76:
            change = source.between(-4, 5)
            queue = max(0, queue + change)
            level = "WARN" if queue > 12 else "DEBUG"
            say(level, "queue", f"depth={queue} ({change:+d}) oldest={source.waiting(200)}s"
                + (" — is anybody packing?" if queue > 15 else ""))
            if queue > 18:
                say("INFO", "queue", f"{source.pick(FIRST)} is packing; drained {queue - 1} parcels")
                queue = 1
        elif kind < 86:
            disk += source.between(0, 3)
            say("WARN" if disk > 90 else "INFO", "disk", f"/var at {disk}%")
            if disk > 94:
                freed = source.between(18, 27)
                say("INFO", "disk", f"rotated 6 logs, removed the photographs of the hedge, freed {freed}%")
                disk -= freed
        elif kind < 94:
            sku, title, _, _ = source.pick(GOODS)
            say("INFO", "mail", f"to=<{source.pick(FIRST).lower()}.{source.below(90)}@post.example> "
                f"subject=\"Your {title.split(',')[0].lower()} has set out\" id={source.below(1 << 40):010x}")
        elif kind < 97:
            say("WARN", "tls", f"certificate for shop.example expires in {source.between(3, 29)} days; "
                f"{source.pick(['nobody told', 'told ops@', 'told ops@ again', 'telling everyone'])}")
        else:
            pid = source.between(300, 31_000)
            say("ERROR", "super", f"worker {pid} left with signal {source.pick([6, 9, 11, 15])}; "
                f"restarting (attempt {source.between(1, 4)} of 5)")
            say("INFO", "super", f"worker {pid + source.between(1, 60)} ready in {source.between(210, 1900)}ms")
    return "\n".join(out[:lines]) + "\n"


def records_json(source: Lehmer, count: int = 62) -> str:
    """Museum-like records of lamps and bells: nested, uneven, with nulls and numbers of all sizes."""
    makers = ["Haddow & Co.", "Threlk Bros", "Gebr. Jessen, Husum", "unknown", "S. Oake & Daughter", "Atelier Maillol"]
    materials = ["brass", "colza glass", "bell metal", "oak", "tinplate", "bone", "japanned iron", "gutta-percha"]
    kinds = ["hand lamp", "masthead lamp", "fog bell", "door bell", "lamp glass", "oil can", "tide gauge", "door stop"]
    remarks = [
        "Rings flat since 1953.",
        "Inscribed on the base: “not to be lent to the Vicar”.",
        "Found behind a cistern, wrapped in a page of the Courier.",
        "Two coats of wax on the cap, of different dates.",
        "Dented by a fall of one metre; see also the floor.",
        "Said to have come ashore on a door.",
        "The maker's mark is a small bird, beak open.",
        "Works. Please do not make it work.",
    ]
    records = []
    for index in range(count):
        made = source.between(1702, 1931)
        record: dict[str, object] = {
            "id": f"TW-{1000 + index * 7 + source.below(7)}",
            "kind": source.pick(kinds),
            "maker": source.pick(makers),
            "made": {"from": made, "to": made + source.below(12)} if source.chance(700) else None,
            "materials": sorted({source.pick(materials) for _ in range(source.between(1, 3))}),
            "size_mm": [source.between(38, 910) for _ in range(source.pick([2, 3, 3]))],
            "mass_g": source.pick([None, source.between(12, 9000), source.between(12, 900)]),
            "complete": source.chance(640),
        }
        if source.chance(450):
            record["note"] = source.pick(remarks)
        if source.chance(380):
            record["loans"] = [
                {
                    "to": f"{source.pick(FIRST)} {source.pick(LAST)}",
                    "out": f"20{source.between(19, 31)}-{source.between(1, 12):02d}-{source.between(1, 28):02d}",
                    "back": source.pick([True, True, True, False, "in two parcels"]),
                }
                for _ in range(source.pick([1, 1, 2, 3]))
            ]
        if source.chance(160):
            record["digest"] = f"{source.below(1 << 60):015x}{source.below(1 << 60):015x}"
        records.append(record)
    catalogue = {"catalogue": "Tidewater Repair Library, things that came to stay", "version": 4, "records": records}
    return json.dumps(catalogue, ensure_ascii=False, indent=1) + "\n"


def main(arguments: Sequence[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: make_records.py [--check]", file=sys.stderr)
        return 2
    texts = {
        "orders.csv": orders_csv(Lehmer(1214)),
        "server.log": server_log(Lehmer(1644)),
        "records.json": records_json(Lehmer(1851)),
    }
    differing = []
    for name, text in texts.items():
        path = HERE / name
        data = text.encode("utf-8")
        if not arguments:
            path.write_bytes(data)
        elif not path.exists() or path.read_bytes() != data:
            differing.append(name)
    if differing:
        print(f"make_records.py: differs from what would be written: {', '.join(differing)}", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
