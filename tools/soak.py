"""Soak: one process that compresses and decompresses for a long time must not grow.

    python tools/soak.py [--seconds N]

Texts at level 1, short ones with the network, bytes that are no text, empty ones, damaged ones, files in a temporary folder, all with one
codec for each level. Memory, open files and temporary files are noted every few rounds; what is taken in the last third must not be more than
in the second one. Prints what went through.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

ALLOWED = 8 << 20  # bytes of growth: less than any cache or block


def resident() -> int:
    """Bytes of memory that the process holds."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


class Soak:
    """What goes through, and what was noted."""

    def __init__(self, seed: int = 1, noise: int = 8 << 20) -> None:
        from fakes import FakeModel

        from llmzip.codec import Codec

        self._chance, self._noise = random.Random(seed), noise
        self._texts = [path.read_bytes() for path in sorted((ROOT / "corpora").iterdir()) if path.is_file()]
        self._codecs = {
            "level 1": (Codec(level=1, threads=1), 60_000),
            "network": (Codec(threads=1), 300),
            "fake model": (Codec(FakeModel(), threads=1), 4_000),
        }
        self.through = dict.fromkeys([*self._codecs, "no text"], 0)
        self.noted: list[tuple[int, int, int]] = []

    def round(self) -> None:
        """A few pieces of everything, there and back."""
        from llmzip.errors import LlmzipError

        for name, (codec, length) in self._codecs.items():
            text = self._chance.choice(self._texts)
            start = self._chance.randrange(max(1, len(text) - length))
            data = text[start : start + self._chance.randrange(length)]
            packed = codec.compress(data)
            assert codec.decompress(packed) == data
            self.through[name] += len(data)
            damaged = bytearray(packed)
            damaged[self._chance.randrange(len(damaged))] ^= 1 << self._chance.randrange(8)
            with contextlib.suppress(LlmzipError):
                assert codec.decompress(bytes(damaged)) == data
        codec, _ = self._codecs["level 1"]
        noise = self._chance.randbytes(self._noise)
        with tempfile.TemporaryFile() as file:
            codec.compress_stream(io.BytesIO(noise), file)
            file.seek(0)
            sink = io.BytesIO()
            codec.decompress_stream(file, sink)
            assert sink.getvalue() == noise
        self.through["no text"] += len(noise)

    def note(self) -> None:
        """What is taken now."""
        gc.collect()
        temporary = sum(name.startswith(("llmzip", ".llmzip")) for name in os.listdir(tempfile.gettempdir()))
        self.noted.append((resident(), len(os.listdir("/proc/self/fd")), temporary))

    def judge(self) -> None:
        """Raises AssertionError for growth."""
        third = len(self.noted) // 3
        assert third, "too short to tell"
        for what, allowed, *values in (
            ("bytes of memory", ALLOWED, *(each[0] for each in self.noted)),
            ("open files", 0, *(each[1] for each in self.noted)),
            ("temporary files", 0, *(each[2] for each in self.noted)),
        ):
            middle, last = max(values[third : 2 * third]), max(values[2 * third :])
            assert last <= middle + allowed, f"{what} grew from {middle} to {last}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    soak, began, rounds = Soak(), time.monotonic(), 0
    while time.monotonic() - began < options.seconds or rounds < 9:
        soak.round()
        soak.note()
        rounds += 1
        if rounds % 20 == 0:
            print(rounds, soak.through, soak.noted[-1], flush=True)
    soak.judge()
    sizes = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in soak.through.items())
    first, last = soak.noted[len(soak.noted) // 3], soak.noted[-1]
    print(
        f"{rounds} rounds in {time.monotonic() - began:.0f} s: {sizes}; memory {first[0] / 1e6:.1f} MB, at the end {last[0] / 1e6:.1f} MB; "
    )
    print(f"open files {first[1]}, at the end {last[1]}")


if __name__ == "__main__":
    main()
