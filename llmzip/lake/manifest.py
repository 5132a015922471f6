"""What is done of a corpus: JSON lines under the target, in segments that appear complete or not at all.

Object stores cannot append, so every task writes a segment of its own, after the files that it names are stored; readers take
all segments. A line can come twice, where a task was done twice; it says the same.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzipError
from llmzip.lake.places import HIDDEN, join, read_from, store, write_complete

_KEY = 16  # bytes
_MANY = 256  # segments that are worth being made one


@dataclass(frozen=True)
class Line:
    """One finished file. source, target: URLs; original, compressed: bytes; characters: None where it is not all UTF-8;
    digest: blake2b of the original, as in the footer of its archive, in hexadecimal; stamp: of the source when it was listed;
    way: what was done."""

    source: str
    target: str
    original: int
    compressed: int
    characters: int | None
    digest: str
    stamp: str
    way: str
    seconds: float = 0.0

    @property
    def key(self) -> bytes:
        """What this piece of work is known by."""
        return key_of(self.source, self.stamp, self.target, self.way)


def key_of(source: str, stamp: str, target: str, way: str) -> bytes:
    """What a piece of work is known by, in 16 bytes: another stamp makes it another piece."""
    text = "\0".join((source, stamp, target, way)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=_KEY).digest()


class Done:
    """A set of keys that never grows: 16 bytes each, found by binary search."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        joined = bytearray()
        for key in keys:
            joined += key
        self._keys: NDArray[np.bytes_] = np.unique(np.frombuffer(joined, f"S{_KEY}"))

    def __contains__(self, key: bytes) -> bool:
        wanted = np.frombuffer(key, f"S{_KEY}")
        at = int(np.searchsorted(self._keys, wanted)[0])
        return at < len(self._keys) and self._keys[at] == wanted[0]

    def __len__(self) -> int:
        return len(self._keys)


class Manifest:
    """The manifest under a target. Methods raise OSError as the store does."""

    def __init__(self, target: str, options: dict[str, Any]) -> None:
        self._folder, self._options = join(target, f"{HIDDEN}/manifest"), options

    def segments(self) -> list[str]:
        """URLs of what earlier tasks wrote."""
        fs, path = store(self._folder, self._options)
        fs.invalidate_cache()
        if not fs.exists(path):
            return []
        return [
            join(self._folder, name.rpartition("/")[2]) for name in sorted(fs.find(path)) if name.endswith(".jsonl")
        ]

    def lines(self) -> Iterator[Line]:
        """All lines, in no order. Raises `LlmzipError` for a segment that is no manifest."""
        for url in self.segments():
            yield from self._read(url)

    def find(self, key: bytes) -> Line | None:
        """The line of a piece of work; None where it is not done. Reads all."""
        return next((line for line in self.lines() if line.key == key), None)

    def _read(self, url: str) -> Iterator[Line]:
        with read_from(url, self._options) as file:
            for text in file:
                try:
                    yield Line(**json.loads(text))
                except (ValueError, TypeError):
                    raise LlmzipError(f"{url}: not a manifest of llmzip; move it away to begin anew") from None

    def add(self, lines: Iterable[Line]) -> None:
        """Note files that are stored."""
        texts = [json.dumps(asdict(line)) for line in lines]
        if texts:
            name = f"{secrets.token_hex(8)}.jsonl"
            write_complete(join(self._folder, name), self._options, ("\n".join(texts) + "\n").encode())

    def compact(self) -> None:
        """Make many segments one; whoever dies on the way leaves lines twice, never none."""
        urls = self.segments()
        if len(urls) < _MANY:
            return
        self.add({line.key: line for url in urls for line in self._read(url)}.values())
        fs, _ = store(self._folder, self._options)
        fs.rm([store(url, self._options)[1] for url in urls])
