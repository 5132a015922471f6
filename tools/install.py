"""Installs llmzip into the environment of the Python that runs this, and says how far the compiler is.

Nearly all of the time goes into llama.cpp, of which only the library itself is built: no multimodal part, no helpers of its programs. A
plain `pip install .` gives the same command, later.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
_STEP = re.compile(r"\[(\d+)/(\d+)\] .*llama\.cpp")
_ONE_COMPILER = 1 << 30  # bytes that one process of the compiler may take
_TAIL = 40


def parallel() -> int:
    """Compilers at once: one a core, as far as memory allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return cores
    return max(1, min(cores, free // _ONE_COMPILER))


def environment() -> dict[str, str]:
    """Variables for pip: what the user asks of llama.cpp (CMAKE_ARGS for a GPU, say) comes last and so counts."""
    leave_out = f"-DLLAVA_BUILD=OFF -DCMAKE_PROJECT_llama.cpp_INCLUDE={ROOT / 'tools' / 'llama-only.cmake'}"
    arguments = f"{leave_out} {os.environ.get('CMAKE_ARGS', '')}".strip()
    return (
        {"CMAKE_BUILD_PARALLEL_LEVEL": str(parallel()), "PYTHONWARNINGS": "ignore"}
        | os.environ
        | {"CMAKE_ARGS": arguments}
    )


class Teller:
    """One line that is written over on a terminal; elsewhere a line for every quarter."""

    def __init__(self) -> None:
        self._live, self._began, self._quarter = sys.stdout.isatty(), time.monotonic(), 0

    def step(self, done: int, total: int) -> None:
        """So many of llama.cpp's files are compiled."""
        seconds = time.monotonic() - self._began
        if self._live:
            print(f"\r  compiling llama.cpp: {done} of {total} ({seconds:.0f} s) ", end="", flush=True)
        elif 4 * done // total > self._quarter:
            self._quarter = 4 * done // total
            print(f"  compiling llama.cpp: {25 * self._quarter} % ({seconds:.0f} s)", flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._live:
            print("\r\x1b[K", end="", flush=True)


def pip(*arguments: str) -> None:
    """Run pip; its words are shown only if it fails, which ends the program."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: list[str] = []
    teller = Teller()
    assert process.stdout
    for line in process.stdout:
        lines = [*lines[-_TAIL:], line]
        if found := _STEP.search(line):
            teller.step(int(found[1]), int(found[2]))
    teller.end()
    if process.wait():
        sys.stderr.write("".join(lines))
        sys.exit(f"pip failed: {' '.join(command)}")


def main() -> None:
    extras = sys.argv[1] if len(sys.argv) > 1 else ""
    print(
        f"Installing llmzip{f'[{extras}]' if extras else ''}; llama.cpp is compiled the first time, which takes minutes",
        flush=True,
    )
    pip("--upgrade", "pip", "setuptools")
    pip("--verbose", "--editable", f".[{extras}]" if extras else ".")


if __name__ == "__main__":
    main()
