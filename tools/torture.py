"""Torture the command: kills, full disks, failing and short reads and writes, sources that change (tests/torturing.py).

    python tools/torture.py [--kills N] [--real N] [--faults N]

Prints what came of it; anything that must not be ends the run with a message.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torturing

CALLS = {
    "write": (errno.EIO, errno.ENOSPC, 0),
    "read": (errno.EIO, 0),
    "fsync": (errno.EIO,),
    "close": (errno.EIO,),
    "link": (errno.EIO, errno.EPERM),
    "rename": (errno.EIO,),
}


def told(name: str, work: Callable[[Path], Counter[str]]) -> None:
    """One kind of torture in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        inner = Path(folder) / "scene"
        inner.mkdir()
        began = time.monotonic()
        try:
            outcomes = work(inner)
        except OSError as error:
            print(f"{name}: not possible here ({error})", flush=True)
            return
        counted = ", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items()))
        print(f"{name}: {sum(outcomes.values())} in {time.monotonic() - began:.0f} s: {counted}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="kills with a stand-in for the codec (default: 1000)")
    parser.add_argument("--real", type=int, default=60, help="kills with the embedded model (default: 60)")
    parser.add_argument("--faults", type=int, default=8, help="the first N calls of each kind that fail (default: 8)")
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    print(f"seed {options.seed}")
    os.environ.setdefault("LLMZIP_CACHE", tempfile.mkdtemp(prefix="torture-cache-"))
    told("killed", lambda folder: torturing.kills(folder, options.kills, chance))
    told("killed, with the embedded model", lambda folder: torturing.kills(folder, options.real, chance, real=True))
    told("full disk", lambda folder: torturing.full_disks(folder, 6))
    told("source changes", torturing.changing_sources)
    told(
        "calls that fail", lambda folder: torturing.faults(folder, torturing.shim(folder.parent), CALLS, options.faults)
    )


if __name__ == "__main__":
    main()
