"""Soak: one process that compresses and decompresses for a long time must not grow.

    python tools/soak.py [--seconds N] [--only KIND]... [--text FILE]...

Texts at level 1, short ones with the network (long ones with `--only network`), with the tests' fake model and long ones with a fake model of long tokens, bytes that are no
text, empty ones, damaged ones, files in a temporary folder, all with one codec for each kind. Memory, open files and temporary files are noted
after each round; what is taken in the last third must not be more than in the second one. Prints what went through; each run adds a line
for each kind to build/soak/tally.tsv.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmzip.codec import Codec

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

TALLY = ROOT / "build" / "soak" / "tally.tsv"
KINDS = ("level 1", "network", "fake model", "long", "no text")
LONG_TEXT = 1_500_000  # bytes, with the network alone: 64 streams
ALLOWED = 8 << 20  # bytes of growth: less than any cache or block


def resident() -> int:
    """Bytes of memory that the process holds."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


class Soak:
    """What goes through, and what was noted. noise, long: bytes of a piece that is no text, and of one for the model of long tokens. texts:
    in place of those of corpora/."""

    def __init__(
        self,
        seed: int = 1,
        noise: int = 8 << 20,
        long: int = 16 << 20,
        kinds: Sequence[str] = KINDS,
        texts: Sequence[Path] = (),
    ) -> None:
        from fakes import FakeModel
        from fuzzing import LongModel

        from llmzip.codec import Codec

        self._chance, self._noise, self._long, self._kinds = random.Random(seed), noise, long, kinds
        alone = len(kinds) == 1
        paths = texts or sorted(path for path in (ROOT / "corpora").iterdir() if path.is_file())
        self._texts = [path.read_bytes() for path in paths]
        self._codecs = {
            "level 1": (Codec(level=1, threads=1), range(300_000 if alone else 60_000)),
            # Alike, where memory is what is looked at: it goes by the length of a text.
            "network": (Codec(threads=1), range(LONG_TEXT, LONG_TEXT + 1) if alone else range(300)),
            "fake model": (Codec(FakeModel(), threads=1), range(4_000)),
        }
        self._all = b"".join(self._texts)
        self._pieces = LongModel().texts
        self._of_long = Codec(LongModel(), threads=1)
        self.through = dict.fromkeys(kinds, 0)
        self.noted: list[tuple[int, int, int]] = []

    def round(self) -> None:
        """A few pieces of everything, there and back."""
        from llmzip.errors import LlmzipError

        for name, (codec, lengths) in self._codecs.items():
            if name not in self._kinds:
                continue
            text = self._all if lengths.stop > 10_000 else self._chance.choice(self._texts)
            start = self._chance.randrange(max(1, len(text) - lengths.stop))
            data = text[start : start + self._chance.choice(lengths)]
            packed = codec.compress(data)
            assert codec.decompress(packed) == data
            self.through[name] += len(data)
            damaged = bytearray(packed)
            damaged[self._chance.randrange(len(damaged))] ^= 1 << self._chance.randrange(8)
            with contextlib.suppress(LlmzipError):
                assert codec.decompress(bytes(damaged)) == data
        if "no text" in self._kinds:
            self._file("no text", self._codecs["level 1"][0], self._chance.randbytes(self._noise))
        if "long" in self._kinds:
            texts = self._chance.choices(self._pieces, k=self._long // len(self._pieces[0]))
            self._file("long", self._of_long, b"".join(texts))

    def _file(self, name: str, codec: Codec, data: bytes) -> None:
        with tempfile.TemporaryFile() as file:
            codec.compress_stream(io.BytesIO(data), file)
            file.seek(0)
            sink = io.BytesIO()
            codec.decompress_stream(file, sink)
            assert sink.getvalue() == data
        self.through[name] += len(data)

    def note(self) -> None:
        """What is taken now."""
        gc.collect()
        temporary = sum(name.startswith(("llmzip", ".llmzip")) for name in os.listdir(tempfile.gettempdir()))
        self.noted.append((resident(), len(os.listdir("/proc/self/fd")), temporary))

    def judge(self) -> None:
        """Raises AssertionError for growth."""
        third = len(self.noted) // 3
        assert third, "too short to tell"
        # A single text may take more memory than others, and give it back; whatever grows moves the middle.
        for what, allowed, of_third, *values in (
            ("bytes of memory", ALLOWED, statistics.median, *(each[0] for each in self.noted)),
            ("open files", 0, max, *(each[1] for each in self.noted)),
            ("temporary files", 0, max, *(each[2] for each in self.noted)),
        ):
            middle, last = of_third(values[third : 2 * third]), of_third(values[2 * third :])
            assert last <= middle + allowed, f"{what} grew from {middle} to {last}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--only", action="append", choices=KINDS, help="of these kinds (default: all)")
    parser.add_argument("--text", action="append", type=Path, help="texts that pieces are taken from")
    parser.add_argument(
        "--seed", type=int, default=time.time_ns(), help="of what is taken (default: another one each time)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as tempfile.tempdir:  # where no other program's files come and go
        soak_for(options.seconds, options.seed, options.only or KINDS, options.text or ())


def soak_for(seconds: float, seed: int, kinds: Sequence[str], texts: Sequence[Path]) -> None:
    """One run."""
    soak, began, rounds = Soak(seed, kinds=kinds, texts=texts), time.monotonic(), 0
    while time.monotonic() - began < seconds or rounds < 9:
        soak.round()
        soak.note()
        rounds += 1
        if rounds % (1 if len(kinds) == 1 else 20) == 0:
            memory, files, temporary = soak.noted[-1]
            through = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in soak.through.items())
            print(
                f"{rounds}\t{through}\t{memory / 1e6:.1f} MB of memory, {files} open files, {temporary} temporary",
                flush=True,
            )
    soak.judge()
    TALLY.parent.mkdir(parents=True, exist_ok=True)
    with open(TALLY, "a") as tally:
        for name, size in soak.through.items():
            tally.write(f"{name}\t{size}\t{rounds}\t{soak.noted[len(soak.noted) // 3][0]}\t{soak.noted[-1][0]}\n")
    sizes = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in soak.through.items())
    first, last = soak.noted[len(soak.noted) // 3], soak.noted[-1]
    print(
        f"{rounds} rounds in {time.monotonic() - began:.0f} s: {sizes}; memory {first[0] / 1e6:.1f} MB, at the end {last[0] / 1e6:.1f} MB; "
    )
    print(f"open files {first[1]}, at the end {last[1]}")


if __name__ == "__main__":
    main()
