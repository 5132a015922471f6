"""`make demo`: a text of corpora/ through the command line and back at three levels, beside the classic compressors."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from baselines import ALWAYS

TEXT = Path(__file__).parent.parent / "corpora" / "the-glass-orchard.txt"
LEVELS = ("-1", "-6", "-9")


def llmzip(*arguments: str | Path) -> tuple[float, float]:
    """Run the program; seconds, start-up included, and peak memory in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "llmzip", *map(str, arguments)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"llmzip {' '.join(map(str, arguments))} failed with exit code {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20


def main() -> None:
    data = TEXT.read_bytes()
    characters = len(data.decode())
    print(f"llmzip LEVEL {TEXT.name}; llmzip -d {TEXT.name}.llmz\n")
    heading = f"{'':24}{'bytes':>9}{'bits/char':>11}{'bits/byte':>11}{'ratio':>8}"
    print(f"{heading}{'compress':>10}{'restore':>9}{'memory':>9}")

    def line(name: str, size: int) -> str:
        return f"{name:24}{size:9,}{8 * size / characters:11.3f}{8 * size / len(data):11.3f}{len(data) / size:8.2f}"

    with tempfile.TemporaryDirectory() as folder:
        packed, restored = Path(folder, "text.llmz"), Path(folder, "text")
        for level in LEVELS:
            forth, memory = llmzip(level, "-f", TEXT, "-o", packed)
            back, more = llmzip("-d", "-f", packed, "-o", restored)
            if restored.read_bytes() != data:
                sys.exit("the restored text differs from the original")
            name = f"llmzip {level}" + (" (default)" if level == "-6" else "")
            print(f"{line(name, packed.stat().st_size)}{forth:8.2f} s{back:7.2f} s{max(memory, more):5.0f} MiB")
    for name, measure in ALWAYS.items():
        print(line(name, measure(data)))
    print(f"\nevery file came back as it was ({len(data):,} bytes; times include starting the program)")
    print("next: .venv/bin/llmzip -1 YOUR.log")


if __name__ == "__main__":
    main()
