"""The compressors that llmzip is measured beside, each as bytes -> compressed length, or None where not installed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import brotli
import zstandard


def _zstd(data: bytes) -> int:
    parameters = zstandard.ZstdCompressionParameters.from_level(22, source_size=len(data), window_log=27)
    return len(zstandard.ZstdCompressor(compression_params=parameters).compress(data))


def _external(program: str, arguments: list[str], suffix: str) -> Callable[[bytes], int | None]:
    """An archiver that is called as `program arguments ARCHIVE FILE`."""

    def run(data: bytes) -> int | None:
        if not shutil.which(program):
            return None
        with tempfile.TemporaryDirectory() as folder:
            source, archive = Path(folder, "x"), Path(folder, f"x.{suffix}")
            source.write_bytes(data)
            command = [program, arguments[0], str(archive), str(source), *arguments[1:]]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return archive.stat().st_size

    return run


ALWAYS: dict[str, Callable[[bytes], int]] = {
    "gzip -9": lambda data: len(gzip.compress(data, 9, mtime=0)),
    "bzip2 -9": lambda data: len(bz2.compress(data, 9)),
    "xz -9e": lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
    "zstd --ultra -22": _zstd,
    "brotli 11": lambda data: len(brotli.compress(data, quality=11, lgwin=24)),
}

WHERE_INSTALLED: dict[str, Callable[[bytes], int | None]] = {
    "7z PPMd": _external("7z", ["a", "-t7z", "-m0=PPMd:o=16:mem=256m"], "7z"),
    "zpaq -m5": _external("zpaq", ["a", "-m5"], "zpaq"),
}
