"""`--jobs 2` beside one process, both ways, on a set of files: seconds by the clock, in turns, medians. Needs two idle cores.

    python benchmarks/jobs.py [--rounds N] [--levels 1,6] [FILE...]

Every file is restored and compared. One process is measured with its default threads and with one.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

CORPORA = Path(__file__).parent.parent / "corpora"
WAYS = {"one process": [], "one process, one thread": ["-T1"], "--jobs 2": ["--jobs", "2"]}


def seconds(arguments: list[str]) -> float:
    """Seconds of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "llmzip", "-q", *arguments], check=True)
    return time.perf_counter() - began


def there_and_back(originals: list[Path], options: list[str], level: int) -> tuple[float, float]:
    """Seconds to compress copies of these files, and to restore them."""
    with tempfile.TemporaryDirectory() as name:
        copies = [Path(name, f"{number}-{path.name}") for number, path in enumerate(originals)]
        for path, copy in zip(originals, copies, strict=True):
            shutil.copyfile(path, copy)
        there = seconds([f"-{level}", *options, "--rm", *map(str, copies)])
        back = seconds(["-d", *options, "--rm", *(f"{copy}.llmz" for copy in copies)])
        for path, copy in zip(originals, copies, strict=True):
            assert path.read_bytes() == copy.read_bytes()
        return there, back


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--levels", default="1,6")
    parser.add_argument("--most", type=float, default=200, help="begin no round after so many seconds (default: 200)")
    given = parser.parse_args()
    files = given.files or sorted(
        path for path in CORPORA.iterdir() if path.suffix != ".py" or path.name == "planner.py"
    )
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files):,} bytes")
    print("| level | | seconds to compress | to decompress | as a share of one process | |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    began = time.monotonic()
    for level in map(int, given.levels.split(",")):
        there_and_back(files[:1], [], level)
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for done in range(given.rounds):
            if done and time.monotonic() - began > given.most:
                break
            for way, options in WAYS.items():
                found[way].append(there_and_back(files, options, level))
        times = {way: [median(column) for column in zip(*rows, strict=True)] for way, rows in found.items()}
        for way, (there, back) in times.items():
            one_there, one_back = times["one process"]
            print(
                f"| -{level} | {way} | {there:.2f} | {back:.2f} | {there / one_there:.0%} | {back / one_back:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
