"""Versions of this project's documents, each with the one before as context: llmzip beside zstd --patch-from and xdelta3.

    python benchmarks/shared_text.py [--versions N] [DOCUMENT...]

For every document the latest N changes of its history; all results are verified by restoring them. zstd and xdelta3 run as commands,
with their checks, at their best levels (xdelta3 without file names, with whichever of its own coders is smallest).
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import tempfile
from pathlib import Path

from llmzip import Codec

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "docs/format.md", "docs/cli.md", "docs/architecture.md", "docs/mixing.md", "docs/levels.md")
WAYS = ("llmzip", "llmzip --short", "zstd --patch-from", "xdelta3", "llmzip alone")


def git(*arguments: str) -> bytes:
    """What git says in this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def versions(document: str, most: int) -> list[bytes]:
    """The latest versions of a document, oldest first: one more than changes."""
    commits = git("log", f"-{most + 1}", "--format=%h", "--", document).decode().split()[::-1]
    return [git("show", f"{commit}:{document}") for commit in commits]


def by_llmzip(old: bytes, new: bytes, *, short: bool) -> int:
    """Bytes at level 1 with the old version as context."""
    packed = Codec(level=1, context=old, short=short).compress(new)
    assert Codec(context=old).decompress(packed) == new
    return len(packed)


def by_zstd(folder: Path) -> int:
    """Bytes of a patch by zstd."""
    best = []
    for level in ("-3", "-19", "-22"):
        patch = ["zstd", "-qq", "-f", "--ultra", level, "--patch-from=old", "new", "-o", "patch"]
        subprocess.run(patch, cwd=folder, check=True)
        subprocess.run(["zstd", "-q", "-f", "-d", "--patch-from=old", "patch", "-o", "back"], cwd=folder, check=True)
        assert (folder / "back").read_bytes() == (folder / "new").read_bytes()
        best.append((folder / "patch").stat().st_size)
    return min(best)


def by_xdelta(folder: Path) -> int:
    """Bytes of a patch by xdelta3."""
    best = []
    for second in ("none", "djw", "lzma"):
        patch = ["xdelta3", "-q", "-f", "-9", "-S", second, "-A", "-e", "-s", "old", "new", "patch"]
        subprocess.run(patch, cwd=folder, check=True)
        subprocess.run(["xdelta3", "-q", "-f", "-d", "-s", "old", "patch", "back"], cwd=folder, check=True)
        assert (folder / "back").read_bytes() == (folder / "new").read_bytes()
        best.append((folder / "patch").stat().st_size)
    return min(best)


def measure(document: str, most: int) -> tuple[int, int, list[int]]:
    """Number of changes, bytes of the new versions, and bytes by each of WAYS."""
    found = versions(document, most)
    totals, size = [0] * len(WAYS), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for old, new in itertools.pairwise(found):
            (folder / "old").write_bytes(old)
            (folder / "new").write_bytes(new)
            row = [by_llmzip(old, new, short=short) for short in (False, True)]
            row += [by_zstd(folder), by_xdelta(folder), len(Codec(level=1).compress(new))]
            totals = [total + one for total, one in zip(totals, row, strict=True)]
            size += len(new)
    return len(found) - 1, size, totals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--versions", type=int, default=12, help="changes of each document (default: 12)")
    parser.add_argument("documents", nargs="*", default=DOCUMENTS, help=f"default: {', '.join(DOCUMENTS)}")
    given = parser.parse_args()
    most = given.versions
    print("| document | changes | bytes of the new versions |", " | ".join(WAYS), "|")
    print("| --- | --- | --- |", " | ".join("---" for _ in WAYS), "|")
    sums = [0] * (len(WAYS) + 2)
    for document in given.documents:
        changes, size, totals = measure(document, most)
        row = [changes, size, *totals]
        sums = [total + one for total, one in zip(sums, row, strict=True)]
        print(f"| {document} |", " | ".join(f"{value:,}" for value in row), "|", flush=True)
    print("| all |", " | ".join(f"{value:,}" for value in sums), "|")


if __name__ == "__main__":
    main()
