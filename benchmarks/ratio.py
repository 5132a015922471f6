"""Bits per byte of texts, without and with mixing, beside other compressors.

usage: ratio.py [FILE...]; without files the texts of corpora/ (`make bench BENCH_FILES='...'` names others).
"""

from __future__ import annotations

import sys
from pathlib import Path

from baselines import ALWAYS, WHERE_INSTALLED
from measure import stages
from texts import texts

from llmzip.codec.codec import Codec

OWN = ("model", "no mix", "llmzip")


def files() -> list[Path]:
    """What to measure."""
    return [Path(name) for name in sys.argv[1:]] or texts()


def main() -> None:
    others = ALWAYS | WHERE_INSTALLED
    widths = dict.fromkeys(OWN, 9) | {name: max(9, len(name) + 2) for name in others}

    def line(label: str, length: str, values: dict[str, float]) -> None:
        print(
            f"{label:26}{length:>9}" + "".join(f"{values[name]:{width}.3f}" for name, width in widths.items()),
            flush=True,
        )

    print("bits per byte of whole files; 'model' is the cross-entropy of the model alone\n")
    print(f"{'':26}{'bytes':>9}" + "".join(f"{name:>{width}}" for name, width in widths.items()))
    rows = []
    with Codec() as codec:
        for path in files():
            data = path.read_bytes()
            sizes = stages(codec.session, data)
            row = dict(zip(OWN, (sizes.entropy, sizes.plain_file, sizes.file), strict=True))
            row |= {name: measure(data) for name, measure in others.items()}
            rows.append({name: 8 * size / len(data) for name, size in row.items()})
            line(path.name, f"{len(data):,}", rows[-1])
    line("mean", "", {name: sum(row[name] for row in rows) / len(rows) for name in widths})


if __name__ == "__main__":
    main()
