"""`make tables`: the tables of docs/, from corpora/ through `llmzip compare` and `llmzip estimate`.

A table stands between the lines `<!-- table: NAME -->` and `<!-- /table -->`, in either page; NAME is `compare`
(bits per byte beside other compressors), `total` (the same compressors on all texts together) or `estimate` (where the
bits of each text go).

    python benchmarks/tables.py [--print] [TEXT]...
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from texts import texts

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "estimate.md")
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- /table -->)", re.DOTALL)

Document = dict[str, Any]


def ask(command: str, files: list[Path]) -> Document:
    """What the program says about the files."""
    asked = [sys.executable, "-m", "llmzip", command, "--json", *map(str, files)]
    return json.loads(subprocess.run(asked, check=True, stdout=subprocess.PIPE).stdout)


def markdown(headings: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def compare_table(document: Document) -> str:
    """Bits per byte of every compressor on every text, the best in bold."""
    totals = sorted(document["totals"], key=lambda total: total["compressed"])
    codecs = [total["codec"] for total in totals]
    sizes: dict[str, dict[str, float]] = {}
    lengths: dict[str, int] = {}
    for result in document["results"]:
        sizes.setdefault(result["file"], {})[result["codec"]] = result["bits_per_byte"]
        lengths[result["file"]] = result["original"]

    def cells(values: list[float]) -> list[str]:
        return [f"**{value:.3f}**" if value == min(values) else f"{value:.3f}" for value in values]

    rows = [
        [f"`{Path(file).name}`", f"{lengths[file]:,}", *cells([sizes[file][codec] for codec in codecs])]
        for file in sizes
    ]
    whole = [8 * total["compressed"] / total["original"] for total in totals]
    rows.append(["all together", f"{totals[0]['original']:,}", *cells(whole)])
    rows.append(["geometric mean", "", *cells([total["geometric_bits"] for total in totals])])
    rows.append(["adjusted", "", *cells([8 * total["adjusted"] / total["original"] for total in totals])])
    return markdown(["text", "bytes", *codecs], rows)


def total_table(document: Document) -> str:
    """The compressors on all texts together."""
    rows = []
    for total in sorted(document["totals"], key=lambda total: total["compressed"]):
        original = total["original"]
        rows.append(
            [
                total["codec"],
                f"{total['compressed']:,}",
                f"{8 * total['compressed'] / original:.3f}",
                f"{original / total['compressed']:.2f}",
                f"{original / total['pack_seconds'] / 1000:,.1f}",
                f"{original / total['unpack_seconds'] / 1000:,.1f}",
                f"{max(total['pack_peak'], total['unpack_peak']) / (1 << 20):.0f}",
                f"{total['adjusted']:,}",
            ]
        )
    headings = ["compressor", "bytes", "bits/byte", "ratio", "pack kB/s", "unpack kB/s", "MiB", "adjusted bytes"]
    return markdown(headings, rows)


def estimate_table(document: Document) -> str:
    """Bits per character of every text at each stage."""
    names = [measure["measure"] for measure in document["files"][0]["measures"]]
    names.remove("arithmetic coding")  # ideally that is the model alone
    rows = []
    for file in document["files"]:
        measures = {measure["measure"]: measure for measure in file["measures"]}
        row = [f"`{Path(file['file']).name}`"]
        for name in names:
            measure = measures[name]
            value, interval = measure["bits_per_character"], measure["interval_character"]
            row.append(f"{value:.3f}" + (f" ± {interval[1] - value:.3f}" if interval else ""))
        rows.append(row)
    return markdown(["text", *names], rows)


def main(arguments: list[str]) -> None:
    """Make the tables and put them where they belong, or print them."""
    only_print = "--print" in arguments
    files = [Path(argument) for argument in arguments if argument != "--print"] or texts()
    compared, estimated = ask("compare", files), ask("estimate", files)
    tables = {
        "compare": compare_table(compared),
        "total": total_table(compared),
        "estimate": estimate_table(estimated),
    }
    if only_print:
        print("\n".join(tables.values()))
        return
    for page in PAGES:
        if page.exists():
            text = page.read_text()
            made = _MARKED.sub(lambda found: found[1] + tables[found[2]] + found[4], text)
            if made != text:
                page.write_text(made)
                print(f"{page.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main(sys.argv[1:])
