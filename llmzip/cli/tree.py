"""The files in folders, in the order of their names; what is passed over is counted."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from llmzip import atomic

_Above = tuple[tuple[int, int], Any]  # device and inode of a folder, and the same of the one that holds it, or None
_Folder = tuple[str, _Above]


class Tree:
    """Names of the files in `roots`: roots that are no folders as they are, and everything below those that are.

    follow: go through symbolic links below the roots, too; a link to a folder that holds it is passed over. unfit: says why a
    name below a root is not wanted, or None. Raises nothing: `errors` is told of folders that cannot be read.
    """

    def __init__(
        self,
        roots: Iterable[str],
        *,
        follow: bool = False,
        unfit: Callable[[str], str | None] = lambda name: None,
        errors: Callable[[str, OSError], None] = lambda path, error: None,
    ) -> None:
        self._roots, self._follow, self._unfit, self._errors = tuple(roots), follow, unfit, errors
        self.skipped: Counter[str] = Counter()
        """How many were passed over, by the reason."""
        self.failed = False

    def __iter__(self) -> Iterator[str]:
        for root in self._roots:
            try:
                status = None if root == "-" else os.stat(root)
            except OSError:
                status = None  # who opens it will say what is wrong
            if not status or not stat.S_ISDIR(status.st_mode):
                yield root
                continue
            waiting: list[_Folder] = [(root, ((status.st_dev, status.st_ino), None))]
            while waiting:
                waiting += reversed((yield from self._in(*waiting.pop())))

    def _in(self, folder: str, above: _Above) -> Generator[str, None, list[_Folder]]:
        """The files of a folder; returns the folders in it. above: device and inode of it, and of those that hold it."""
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            self.failed = True
            self._errors(folder, error)
            return []
        folders: list[_Folder] = []
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
                if stat.S_ISLNK(status.st_mode) and self._follow:
                    status = os.stat(path)
            except OSError:
                yield path  # gone, or a link to nothing: who opens it will say
                continue
            mode, key = status.st_mode, (status.st_dev, status.st_ino)
            reason = None
            if stat.S_ISDIR(mode):
                if _holds(above, key):
                    reason = "loops of links"
                else:
                    folders.append((path, (key, above)))
                    continue
            elif stat.S_ISLNK(mode):
                reason = "symbolic links"
            elif not stat.S_ISREG(mode):
                reason = "special files"
            elif atomic.is_unfinished(name):
                continue
            reason = reason or self._unfit(name)
            if reason:
                self.skipped[reason] += 1
            else:
                yield path
        return folders


def _holds(above: _Above | None, key: tuple[int, int]) -> bool:
    """Whether a folder is one of these."""
    while above:
        if above[0] == key:
            return True
        above = above[1]
    return False
