"""Files that appear complete or not at all: written beside their target, synced, then given its name."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

_PREFIX, _SUFFIX = ".llmzip-", ".tmp"


def aside(folder: str | Path) -> Path:
    """A new name in a folder for a file that is not finished."""
    return Path(folder) / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def publish(finished: Path, target: Path) -> None:
    """Give a finished file the name of its target, in place of what had it. Raises OSError."""
    with open(finished, "rb") as file:
        os.fsync(file.fileno())
    os.replace(finished, target)
    sync_folder(target.parent)


def store(target: Path, content: bytes) -> None:
    """Write a whole file; readers see the old one or the new one. Raises OSError."""
    temporary = aside(target.parent)
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: str | Path) -> None:
    """Make the names in a folder last through a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot sync a directory.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
