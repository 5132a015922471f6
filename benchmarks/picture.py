"""docs/sizes.svg: bytes that are left of a thousand, by llmzip and others, from the tables of docs/benchmarks.md (`make tables` renews those).

usage: picture.py [OUTPUT]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parent.parent
SHOWN = {
    "alice29.txt": "a novel",
    "lcet10.txt": "a report",
    "fields.c": "C",
    "basics.tex": "TeX",
    "movies.json": "JSON",
    "Apache.log": "a log",
    "seattle-weather.csv": "a table",
}
COLOURS = {
    "llmzip -6": "#00796b",
    "llmzip -1": "#4db6ac",
    "paq8px -8": "#c62828",
    "zpaq -m5": "#ef9a9a",
    "xz -9e": "#b0bec5",
}


def rows(page: str) -> dict[str, dict[str, float]]:
    """Bytes left of a thousand, by text and compressor, of the tables that have a column of bytes."""
    found: dict[str, dict[str, float]] = {}
    headings: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip().strip("*") for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if len(cells) > 1 and cells[1] == "bytes":
            headings = cells
        elif headings and len(cells) == len(headings):
            name = cells[0].split(" ")[0].strip("`")
            for heading, cell in zip(headings[2:], cells[2:], strict=True):
                number = re.sub(r"[*,]", "", cell)
                if name in SHOWN and re.fullmatch(r"[\d.]+", number):
                    value, size = float(number), float(cells[1].replace(",", ""))
                    # A table has bits per byte, or bytes.
                    found.setdefault(name, {})[heading] = 125 * value if value < 9 else 1000 * value / size
    return found


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "sizes.svg"
    found = rows((ROOT / "docs" / "benchmarks.md").read_text())
    matplotlib.rcParams.update({"svg.hashsalt": "llmzip", "font.size": 9, "font.family": "sans-serif"})
    figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
    names = [name for name in SHOWN if name in found]
    width = 0.8 / len(COLOURS)
    for place, (codec, colour) in enumerate(COLOURS.items()):
        at = [index + place * width for index, name in enumerate(names) if codec in found[name]]
        heights = [found[name][codec] for name in names if codec in found[name]]
        axes.bar(at, heights, width * 0.92, color=colour, label=codec)
        for x, height in zip(at, heights, strict=True):
            axes.text(x, height + 3, f"{height:.0f}", ha="center", fontsize=6, color="#607d8b")
    axes.set_xticks([index + 0.4 - width / 2 for index in range(len(names))], [SHOWN[name] for name in names])
    axes.set_ylim(top=axes.get_ylim()[1] * 1.12)
    axes.set_ylabel("bytes left of a thousand")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=len(COLOURS), loc="upper right", fontsize=8)
    figure.savefig(target, metadata={"Date": None}, facecolor="white")
    print(f"{target}: {len(names)} texts")


if __name__ == "__main__":
    main()
