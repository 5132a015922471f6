"""The compressors that llmzip is measured beside, as functions from bytes to a compressed length."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from llmzip.report.contest.contenders import LIBRARIES, TOOLS, Tool, arguments

LEFT_OUT = ("zstd -19", "paq8px -8", "cmix")  # the first is weaker than its neighbour, the others take hours


def _packed_length(tool: Tool) -> Callable[[bytes], int]:
    def run(data: bytes) -> int:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "original").write_bytes(data)
            command = [str(tool.path()), *arguments(tool, tool.pack, folder)]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return (folder / tool.packed).stat().st_size

    return run


ALWAYS: dict[str, Callable[[bytes], int]] = {
    each.name: lambda data, compress=each.compress: len(compress(data))
    for each in LIBRARIES
    if each.name not in LEFT_OUT
}

WHERE_INSTALLED: dict[str, Callable[[bytes], int]] = {
    each.name: _packed_length(each) for each in TOOLS if each.name not in LEFT_OUT and each.path()
}
