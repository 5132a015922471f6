"""`make demo`: a text of corpora/ through the command line and back, beside the classic compressors."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from baselines import ALWAYS

TEXT = Path(__file__).parent.parent / "corpora" / "the-glass-orchard.txt"


def llmzip(*arguments: str | Path) -> float:
    """Run the program; seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "llmzip", *map(str, arguments)], check=True)
    return time.perf_counter() - began


def main() -> None:
    data = TEXT.read_bytes()
    characters = len(data.decode())
    with tempfile.TemporaryDirectory() as folder:
        packed, restored = Path(folder, "text.llmz"), Path(folder, "text")
        print(f"llmzip compress {TEXT.name}")
        forth = llmzip("compress", TEXT, "-o", packed)
        print(f"llmzip decompress {packed.name}")
        back = llmzip("decompress", packed, "-o", restored)
        if restored.read_bytes() != data:
            sys.exit("the restored text differs from the original")
        sizes = {"llmzip": packed.stat().st_size}
    print(f"restored: {len(data):,} bytes, identical ({forth:.1f} s and {back:.1f} s, start-up included)\n")
    sizes |= {name: measure(data) for name, measure in ALWAYS.items()}
    print(f"{'':24}{'bytes':>9}{'bits/char':>11}{'bits/byte':>11}{'ratio':>8}")
    for name, size in sizes.items():
        print(f"{name:24}{size:9,}{8 * size / characters:11.3f}{8 * size / len(data):11.3f}{len(data) / size:8.2f}")


if __name__ == "__main__":
    main()
