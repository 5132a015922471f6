"""The compressors that are compared: libraries inside this program, and tools where they are installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

OURS = {"llmzip -1": 1, "llmzip": None, "llmzip -9": 9}
"""llmzip itself, with the level of each row; None: the level and settings that were asked for."""


@dataclass(frozen=True)
class Library:
    """A codec that is called in the worker process. Both functions take and give the whole data."""

    name: str
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]


@dataclass(frozen=True)
class Tool:
    """A program of its own.

    programs: the names it goes by. pack, unpack: arguments; {packed}, {size} (MiB of the input, at least 1) and the
    plain names "original" and "restored" stand for the files, which lie in the working folder. stdout: `unpack` writes
    to standard output.
    """

    name: str
    programs: Sequence[str]
    pack: Sequence[str]
    unpack: Sequence[str]
    packed: str = "packed"
    stdout: bool = False

    def path(self) -> str | None:
        """Where it is installed, None if nowhere."""
        return next((found for program in self.programs if (found := shutil.which(program))), None)


def _gzip(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, 9, mtime=0)


def _gunzip(data: bytes) -> bytes:
    import gzip

    return gzip.decompress(data)


def _bzip2(data: bytes) -> bytes:
    import bz2

    return bz2.compress(data, 9)


def _bunzip2(data: bytes) -> bytes:
    import bz2

    return bz2.decompress(data)


def _xz(data: bytes) -> bytes:
    import lzma

    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


def _unxz(data: bytes) -> bytes:
    import lzma

    return lzma.decompress(data)


def _zstd(data: bytes) -> bytes:
    import zstandard

    # As the program does: with checksum and content size.
    return zstandard.ZstdCompressor(level=19, write_checksum=True).compress(data)


def _zstd_ultra(data: bytes) -> bytes:
    import zstandard

    settings = zstandard.ZstdCompressionParameters.from_level(
        22, source_size=len(data), window_log=27, enable_ldm=True, write_checksum=True
    )
    return zstandard.ZstdCompressor(compression_params=settings).compress(data)


def _unzstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data)


def _brotli(data: bytes) -> bytes:
    import brotli

    return bytes(brotli.compress(data, quality=11, lgwin=24))


def _unbrotli(data: bytes) -> bytes:
    import brotli

    return bytes(brotli.decompress(data))


LIBRARIES = (
    Library("gzip -9", _gzip, _gunzip),
    Library("bzip2 -9", _bzip2, _bunzip2),
    Library("xz -9e", _xz, _unxz),
    Library("zstd -19", _zstd, _unzstd),
    Library("zstd --ultra -22 --long", _zstd_ultra, _unzstd),
    Library("brotli 11", _brotli, _unbrotli),
)

TOOLS = (
    Tool(
        "7z PPMd",
        ("7zz", "7z", "7za"),
        ("a", "-bd", "-y", "-t7z", "-mx=9", "-m0=PPMd", "{packed}", "original"),
        ("e", "-bd", "-y", "-so", "{packed}"),
        packed="packed.7z",
        stdout=True,
    ),
    Tool("bzip3", ("bzip3",), ("-e", "-b", "{size}", "original", "{packed}"), ("-d", "{packed}", "restored")),
    Tool(
        "zpaq -m5",
        ("zpaq",),
        ("add", "{packed}", "original", "-m5", "-noattributes"),
        ("extract", "{packed}", "original", "-to", "restored"),
        packed="packed.zpaq",
    ),
    Tool("paq8px -8", ("paq8px",), ("-8", "original", "{packed}"), ("-d", "{packed}", "restored")),
    Tool("cmix", ("cmix",), ("-c", "original", "{packed}"), ("-d", "{packed}", "restored")),
)

NAMES = (*OURS, *(each.name for each in (*LIBRARIES, *TOOLS)))
"""All that can be compared."""


def find(name: str) -> Library | Tool | None:
    """The library or tool of this name; None for llmzip itself. Raises KeyError."""
    return None if name in OURS else {each.name: each for each in (*LIBRARIES, *TOOLS)}[name]


def missing(names: Sequence[str]) -> list[str]:
    """Those of the names whose tool is not installed."""
    return [name for name in names if isinstance(tool := find(name), Tool) and tool.path() is None]


def arguments(tool: Tool, step: Sequence[str], folder: Path) -> list[str]:
    """The arguments of a step in a working folder that holds the file "original" (or its compressed form)."""
    size = 1
    if (folder / "original").exists():
        size = min(511, max(1, -(-(folder / "original").stat().st_size >> 20)))
    return [part.format(packed=tool.packed, size=size) for part in step]
