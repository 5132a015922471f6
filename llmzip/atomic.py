"""Files that appear complete or not at all: written beside their target, synced, then given its name.

What a killed program leaves behind is locked by nobody, and is removed by the next one that writes to the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX, _SUFFIX = ".llmzip-", ".tmp"
_LEFTOVER = re.compile(r"\.llmzip-[0-9a-f]{16}\.tmp")
_YOUNG = 60.0  # seconds: such a file may be about to be locked
_swept: set[str] = set()


def aside(folder: str | Path) -> Path:
    """A new name in a folder for a file that is not finished."""
    return Path(folder) / f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"


def is_unfinished(name: str) -> bool:
    """Whether a file has a name that `aside` gives."""
    return _LEFTOVER.fullmatch(name) is not None


def in_use(descriptor: int) -> None:
    """Mark an open file as being written, for as long as it is open. Without effect on file systems that know no locks."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep(folder: str | Path) -> None:
    """Remove what killed programs of this user have left in a folder; once for each folder, and never raises."""
    key = os.path.realpath(folder or ".")
    if key in _swept:
        return
    _swept.add(key)
    with contextlib.suppress(ImportError, OSError):
        for path in _leftovers(key):
            with contextlib.suppress(OSError):
                _remove_unused(path)


def _leftovers(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if _LEFTOVER.fullmatch(entry.name):
                yield entry.path


def _remove_unused(path: str) -> None:
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and time.time() - status.st_mtime > _YOUNG:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where somebody writes to it
            os.unlink(path)
    finally:
        os.close(descriptor)


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
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # a folder that can be written to and not read
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot sync a directory.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
