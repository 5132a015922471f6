"""Compressors side by side: each compresses every file, restores it, and is believed only if the bytes are the same."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmzip.report.contest.worker import packed_name

_POLL = 0.1  # seconds between looks at whether the user wants to stop


@dataclass(frozen=True)
class Result:
    """One compressor on one file. Sizes in bytes, times in seconds, peaks in bytes. error: why there is no result.

    model_bytes: what the decoder needs beside the program: the model's size for llmzip, 0 for the others.
    """

    file: str
    codec: str
    original: int
    compressed: int = 0
    pack_seconds: float = 0.0
    unpack_seconds: float = 0.0
    pack_peak: int = 0
    unpack_peak: int = 0
    model_bytes: int = 0
    error: str | None = None

    @property
    def adjusted(self) -> int:
        """Compressed size with the model counted (Delétang et al., arXiv 2309.10668)."""
        return self.compressed + self.model_bytes


def compare_file(
    data: bytes, name: str, codec: str, settings: dict[str, Any], model_bytes: dict[str, int], check: Callable[[], None]
) -> Result:
    """Run one compressor on one text and verify it. check: called several times a second, may raise to give up.

    settings: arguments of `Codec`. model_bytes: of what llmzip's rows need beside the file. A compressor that fails gives a
    result with `error`.
    """
    with tempfile.TemporaryDirectory(prefix="llmzip-") as path:
        folder = Path(path)
        (folder / "original").write_bytes(data)
        packing = _step(codec, "pack", folder, settings, check)
        packed = folder / packed_name(codec)
        if "error" not in packing and not packed.is_file():
            packing = {"error": "wrote no file"}
        if "error" in packing:
            return Result(name, codec, len(data), error=f"compression failed: {packing['error']}")
        size = packed.stat().st_size
        (folder / "original").unlink()
        unpacking = _step(codec, "unpack", folder, settings, check)
        if "error" in unpacking:
            return Result(name, codec, len(data), size, error=f"decompression failed: {unpacking['error']}")
        restored = folder / "restored"
        if not restored.is_file() or restored.read_bytes() != data:
            return Result(name, codec, len(data), size, error="does not restore the file")
    return Result(
        name,
        codec,
        len(data),
        size,
        packing["seconds"],
        unpacking["seconds"],
        packing["peak"],
        unpacking["peak"],
        model_bytes.get(codec, 0),
    )


def _step(codec: str, action: str, folder: Path, settings: dict[str, Any], check: Callable[[], None]) -> dict[str, Any]:
    command = [sys.executable, "-m", "llmzip.report.contest.worker", codec, action, str(folder), json.dumps(settings)]
    # A session of its own, so that Ctrl-C reaches this process alone, and the worker can be ended with its children.
    worker = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        while True:
            check()
            try:
                output, complaint = worker.communicate(timeout=_POLL)
                break
            except subprocess.TimeoutExpired:
                continue
    except BaseException:
        _end(worker)
        raise
    try:
        told: dict[str, Any] = json.loads(output.splitlines()[-1])
        return told
    except (IndexError, ValueError):
        said = complaint.decode("utf-8", "replace").strip().splitlines()
        return {"error": said[-1] if said else f"ended with status {worker.returncode}"}


def _end(worker: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(worker.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    worker.wait()


@dataclass(frozen=True)
class Total:
    """One compressor on all files that it and every other compressor could do.

    geometric_bits: geometric mean over the files of bits per byte. The model counts once.
    """

    codec: str
    files: int
    original: int
    compressed: int
    adjusted: int
    geometric_bits: float
    pack_seconds: float
    unpack_seconds: float
    pack_peak: int
    unpack_peak: int


def totals(results: Sequence[Result]) -> list[Total]:
    """Totals by compressor, over the files that all compressors did, so that they can be compared.

    Empty without such files.
    """
    codecs = list(dict.fromkeys(result.codec for result in results))
    done: dict[str, dict[str, Result]] = {codec: {} for codec in codecs}
    for result in results:
        if result.error is None:
            done[result.codec][result.file] = result
    # A compressor that did nothing at all must not take the totals from the others.
    codecs = [codec for codec in codecs if done[codec]]
    if not codecs:
        return []
    files = [file for file in done[codecs[0]] if all(file in done[codec] for codec in codecs)]
    made = []
    for codec in codecs if files else []:
        mine = [done[codec][file] for file in files]
        compressed = sum(each.compressed for each in mine)
        made.append(
            Total(
                codec,
                len(mine),
                sum(each.original for each in mine),
                compressed,
                compressed + max(each.model_bytes for each in mine),
                math.exp(sum(math.log(8 * each.compressed / each.original) for each in mine) / len(mine)),
                sum(each.pack_seconds for each in mine),
                sum(each.unpack_seconds for each in mine),
                max(each.pack_peak for each in mine),
                max(each.unpack_peak for each in mine),
            )
        )
    return made
