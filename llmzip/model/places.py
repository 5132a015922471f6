"""Where things are kept on this machine, and how much memory it has to spare."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmzip import atomic

_NOWHERE = Path(os.devnull)
"""In place of the platform's folders for a user without a home: nothing is in it, and nothing can be put there."""


def cache_folder() -> Path:
    """Where expanded weights are kept (`LLMZIP_CACHE` overrides the platform's cache folder)."""
    from platformdirs import user_cache_path

    return _named("LLMZIP_CACHE") or _of_user(user_cache_path)


def data_folder() -> Path:
    """Where the list of the user's models is kept (`LLMZIP_DATA` overrides the platform's data folder)."""
    from platformdirs import user_data_path

    return _named("LLMZIP_DATA") or _of_user(user_data_path)


def config_file() -> Path:
    """The user's settings (`LLMZIP_CONFIG` overrides `config.toml` in the platform's folder of settings)."""
    from platformdirs import user_config_path

    return _named("LLMZIP_CONFIG") or _of_user(user_config_path) / "config.toml"


def _named(variable: str) -> Path | None:
    path = os.environ.get(variable)
    return Path(path) if path else None


def _of_user(folder: Callable[[str], Path]) -> Path:
    try:
        found = folder("llmzip")
    except RuntimeError:
        return _NOWHERE / "llmzip"
    # Where there is no home, some versions leave the ~ as it is.
    return found if found.is_absolute() else _NOWHERE / "llmzip"


def store_json(target: Path, document: Any) -> None:
    """Write a document whole or not at all: readers see the old one or the new one. Raises OSError."""
    import json

    target.parent.mkdir(parents=True, exist_ok=True)
    atomic.store(target, json.dumps(document, indent=2).encode())


def available_memory() -> int | None:
    """Bytes of memory that can be had without pushing others out; None where the system does not tell."""
    free = []
    try:
        with open("/proc/meminfo") as lines:
            free += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError):
        pass
    group = Path("/sys/fs/cgroup")
    try:
        most, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        # The page cache counts as used but gives way.
        cached = [
            int(line.split()[1])
            for line in (group / "memory.stat").read_text().splitlines()
            if line.startswith("file ")
        ]
        if most != "max":
            free.append(max(0, int(most) - int(used) + sum(cached)))
    except (OSError, ValueError):
        pass
    return min(free, default=None)
