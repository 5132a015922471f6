"""One step of one compressor in a process of its own, so that its time and its peak memory are its own.

    python -m llmzip.report.contest.worker NAME pack|unpack FOLDER SETTINGS

FOLDER holds "original" and gets "packed" (or the tool's name for it), or the other way round "restored". SETTINGS is a
JSON object of arguments of `Codec`. Prints a JSON object: `seconds`, `peak` (bytes), or `error`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from llmzip.report.contest.contenders import OURS, Library, Tool, arguments, find

PACKED = "packed"


def packed_name(name: str) -> str:
    """What the compressed file is called in the folder."""
    found = find(name)
    return found.packed if isinstance(found, Tool) else PACKED


def _library(codec: Library, action: str, folder: Path) -> float:
    source, target = ("original", PACKED) if action == "pack" else (PACKED, "restored")
    data = (folder / source).read_bytes()
    work = codec.compress if action == "pack" else codec.decompress
    codec.compress(b"")  # loads the library
    began = time.perf_counter()
    made = work(data)
    seconds = time.perf_counter() - began
    (folder / target).write_bytes(made)
    return seconds


def _ours(name: str, action: str, folder: Path, settings: dict[str, Any]) -> float:
    """llmzip itself; loading the model is part of the time."""
    if OURS[name]:
        settings = settings | {"level": OURS[name]}
    began = time.perf_counter()
    from llmzip.codec import Codec

    source, target = ("original", PACKED) if action == "pack" else (PACKED, "restored")
    with Codec(**settings) as codec, open(folder / source, "rb") as reading, open(folder / target, "wb") as writing:
        (codec.compress_stream if action == "pack" else codec.decompress_stream)(reading, writing)
    return time.perf_counter() - began


def _tool(tool: Tool, action: str, folder: Path) -> float:
    command = [
        tool.path() or tool.programs[0],
        *arguments(tool, tool.pack if action == "pack" else tool.unpack, folder),
    ]
    if action == "unpack":
        # Tools that know the name of the original must not find it.
        (folder / "original").unlink(missing_ok=True)
    output: Any = subprocess.DEVNULL
    if action == "unpack" and tool.stdout:
        output = open(folder / "restored", "wb")
    began = time.perf_counter()
    ended = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, check=False
    )
    seconds = time.perf_counter() - began
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RuntimeError(
            f"{Path(command[0]).name} ended with status {ended.returncode}" + (f": {said[-1]}" if said else "")
        )
    return seconds


def _own_peak() -> int:
    """Bytes of memory that this process has held at most."""
    try:
        # What getrusage tells includes the process that this one was forked from.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return _kilobytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _kilobytes(value: int) -> int:
    return value if sys.platform == "darwin" else value << 10


def main(arguments: list[str]) -> int:
    """Do the step; 0 if it was done."""
    name, action, folder, settings = arguments[0], arguments[1], Path(arguments[2]), json.loads(arguments[3])
    codec = find(name)
    try:
        if isinstance(codec, Tool):
            seconds = _tool(codec, action, folder)
            peak = _kilobytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        else:
            seconds = _library(codec, action, folder) if codec else _ours(name, action, folder, settings)
            peak = _own_peak()
    except Exception as error:
        print(json.dumps({"error": " ".join(f"{error or type(error).__name__}".split())}))
        return 1
    print(json.dumps({"seconds": seconds, "peak": peak}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
