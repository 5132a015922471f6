"""Reading the corpora: JSON lines in xz, one document a line, and the fingerprints that keep held-out text out."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WHITE_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Document:
    source: str
    id: str
    text: str


def shards(folder: str | Path, part: str) -> dict[str, list[Path]]:
    """Files of one part ("train" or "heldout") by source, in order of name.

    Raises FileNotFoundError if the folder holds none.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(Path(folder).glob(f"{part}-*.jsonl.xz")):
        found.setdefault(path.name.removesuffix(".jsonl.xz").split("-")[1], []).append(path)
    if not found:
        raise FileNotFoundError(f"no {part}-*.jsonl.xz in {folder}: set paths.corpora")
    return found


def documents(path: str | Path) -> Iterator[Document]:
    """The documents of one file, streamed."""
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            record = json.loads(line)
            yield Document(record["source"], record["id"], record["text"])


def fingerprint(text: str) -> bytes:
    """Hash of a document's text that other wrapping or case does not change (16 bytes)."""
    return hashlib.blake2b(_WHITE_SPACE.sub(" ", text).strip().lower().encode(), digest_size=16).digest()


def fraction(seed: int, purpose: str, identity: str) -> float:
    """A number in [0, 1) that depends on its arguments alone: choices by it do not move when a corpus grows."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}\0{identity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def leading_text(path: str | Path, size: int) -> bytes:
    """The first `size` bytes of a file's documents, in file order, joined by one empty line.

    This is the held-out text of every figure in RUNS.md. The cut may split a character; the caller sees bytes.
    """
    parts: list[bytes] = []
    length = 0
    for document in documents(path):
        part = document.text.encode()
        parts.append(part)
        length += len(part) + 2
        if length >= size:
            break
    return b"\n\n".join(parts)[:size]
