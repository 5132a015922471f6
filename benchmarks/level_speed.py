"""Speed of one level beside other compressors, in one run: `speed.py --level N [FILE...]`.

Every compressor works on each text in turn, several rounds, so that a machine whose speed drifts slows all of them alike; medians are
shown. llmzip is measured without the start of Python, on one core and with the model loaded; others as whole processes.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from llmzip.codec.codec import Codec

# Pack and unpack, in a folder that holds `text`; the packed file is `packed`.
TOOLS = {
    "zpaq -m5": (
        "zpaq add packed.zpaq text -m5 -t1 && mv packed.zpaq packed",
        "mv packed p.zpaq && zpaq x p.zpaq -to b -t1",
    ),
    "xz -9e": ("xz -9e -T1 -k -c text > packed", "xz -dc packed > back"),
    "bzip3": ("bzip3 -e -b 16 -c text > packed", "bzip3 -d -c packed > back"),
    "7z PPMd": ("7z a -m0=PPMd -mx=9 -mmt=1 p.7z text && mv p.7z packed", "mv packed p.7z && 7z e -so p.7z > back"),
}


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _tool(pack: str, unpack: str, data: bytes) -> tuple[int, float, float]:
    """Bytes, and seconds both ways."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "text").write_bytes(data)
        run = {"shell": True, "cwd": folder, "check": True, "capture_output": True}
        forth = _timed(lambda: subprocess.run(pack, **run))
        size = Path(folder, "packed").stat().st_size
        return size, forth, _timed(lambda: subprocess.run(unpack, **run))


def _llmzip(codec: Codec, data: bytes) -> tuple[int, float, float]:
    packed = b""

    def pack() -> None:
        nonlocal packed
        packed = codec.compress(data)

    def unpack() -> None:
        if codec.decompress(packed) != data:
            raise SystemExit("the text did not come back")

    forth = _timed(pack)
    return len(packed), forth, _timed(unpack)


def show(level: int, files: list[Path], rounds: int) -> None:
    """A table: bytes, and kB/s both ways, of each compressor on each text."""
    tools = {name: each for name, each in TOOLS.items() if shutil.which(name.split()[0])}
    names = [f"llmzip -{level}", *tools]
    print("bytes, kB/s forth and back\n")
    print("| text | bytes | " + " | ".join(names) + " |\n| --- | ---: |" + " ---: |" * len(names))
    with Codec(level=level, threads=1) as codec:
        codec.decompress(codec.compress(files[0].read_bytes()[:20000]))
        for path in files:
            data = path.read_bytes()
            taken: dict[str, list[tuple[int, float, float]]] = {name: [] for name in names}
            for _ in range(rounds):
                taken[names[0]].append(_llmzip(codec, data))
                for name, (pack, unpack) in tools.items():
                    taken[name].append(_tool(pack, unpack, data))
            cells = []
            for name in names:
                size = taken[name][0][0]
                speeds = [len(data) / 1000 / statistics.median(each[way] for each in taken[name]) for way in (1, 2)]
                cells.append(f"{size:,}; {speeds[0]:,.0f}; {speeds[1]:,.0f}")
            print(f"| {path.name} | {len(data):,} | " + " | ".join(cells) + " |", flush=True)
