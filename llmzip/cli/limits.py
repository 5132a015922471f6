"""Under a limit of the address space (`ulimit -v`) too little memory ends in one line of ours.

Libraries meet it otherwise: OpenBLAS, which numpy loads, prints a line and ends the process, or sends it SIGINT.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from llmzip.model.threads import address_space

_NEEDS = {"numpy": 80 << 20, "llama_cpp": 64 << 20}  # bytes that it takes to load them
_NO_THREAD = "can't start new thread"
_NO_ROOM = (_NO_THREAD, "failed to map segment", "annot allocate memory", "Resource temporarily unavailable")


class _Watch:
    """Refuses imports that there is no room for."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name in _NEEDS and self._limit - _taken() < _NEEDS[name]:
            raise MemoryError(f"no room for {name}")


def _taken() -> int:
    """Bytes of address space in use; 0 if unknown."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError):
        return 0


def watch() -> None:
    """Look after what is imported from now on, if there is a limit."""
    limit = address_space()
    if limit is not None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each takes address space, and nothing here gains by them
        sys.meta_path.insert(0, _Watch(limit))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there was too little memory."""
    if isinstance(error, MemoryError):
        return True
    loading = isinstance(error, ImportError | RuntimeError | OSError)
    return loading and address_space() is not None and any(words in str(error) for words in _NO_ROOM)


def out_of_threads(error: BaseException) -> bool:
    """Whether an error means that no more threads may be started."""
    return isinstance(error, RuntimeError) and str(error) == _NO_THREAD


def advice() -> str:
    """What to do then."""
    limit, smaller = address_space(), "use a smaller --block-size or model, or fewer --streams"
    if limit is None:
        return f"not enough memory: {smaller}"
    return (
        f"not enough memory in the {limit >> 20} MiB of address space that `ulimit -v` allows: raise it, or {smaller}"
    )
