"""The files inside the package that blocks without a network need, read, hashed and unpacked in the background: that takes as long as
the imports that come first. Nothing is imported here that takes long itself."""

from __future__ import annotations

import contextlib
import mmap
import threading
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

_DATA = Path(__file__).parent.parent / "data"
TABLE, START = _DATA / "ngrams.bin", _DATA / "start.bin"


def identity_of(data: bytes | mmap.mmap) -> bytes:
    """BLAKE2b, 8 bytes, over a whole file."""
    return blake2b(data, digest_size=8).digest()


class Found(NamedTuple):
    """A file, mapped so that all processes share it, and its identity. unpacked: what zlib makes of it, where that was done already."""

    data: mmap.mmap
    identity: bytes
    unpacked: bytes | None = None


def _hashed(path: Path) -> Found:
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Found(data, identity_of(data))


class _Reading(threading.Thread):
    """Reads files one after the other."""

    def __init__(self, *paths: Path) -> None:
        super().__init__(name="packaged")
        self.paths, self.found = paths, dict[Path, Found]()

    def run(self) -> None:
        """Begun by `start`. What cannot be read is left to who wants it."""
        for path in self.paths:
            with contextlib.suppress(OSError, ValueError, zlib.error):
                found = _hashed(path)
                unpacked = zlib.decompress(found.data) if path == START else None
                self.found[path] = Found(found.data, found.identity, unpacked)


_reading: _Reading | None = None


def begin() -> None:
    """Begin to read, once in a process."""
    global _reading
    if _reading is None:
        _reading = _Reading(START, TABLE)
        _reading.start()


def read(path: Path) -> Found:
    """A file. Raises OSError, ValueError (an empty file)."""
    if _reading and path in _reading.paths:
        _reading.join()  # in a process that was forked meanwhile there is no thread, and perhaps nothing was found
        found = _reading.found.pop(path, None)
        if found:
            return found
    return _hashed(path)
