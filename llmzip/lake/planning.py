"""What is one task: small files in groups that take about a minute, big ones by parts of whole blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llmzip.lake.places import Entry

_MOST_FILES = 2000  # in a group: what a killed worker loses stays small, and so does what the driver holds
_PER_FILE = 0.05  # seconds: opening, storing, starting


@dataclass(frozen=True)
class Item:
    """A file and the URL of what is made of it."""

    entry: Entry
    target: str


@dataclass
class Pace:
    """Bytes of the original that one worker does in a second, and originals' bytes in a byte of a file (1 unless files are
    archives): guesses that finished tasks correct. They weigh by their size, earlier ones less and less."""

    rate: float
    expansion: float = 1.0
    _files: float = 0.0
    _originals: float = 0.0
    _seconds: float = 0.0

    def learn(self, original: int, seconds: float, size: int = 0) -> None:
        """Take in a finished task: bytes of originals, and of the files where they are other ones."""
        self._files = 0.9 * self._files + (size or original / self.expansion)
        self._originals = 0.9 * self._originals + original
        self._seconds = 0.9 * self._seconds + seconds
        if self._seconds > 1.0 and self._originals > 0:
            self.rate = self._originals / self._seconds
            self.expansion = self._originals / self._files

    def seconds(self, entry: Entry) -> float:
        """What a file will take."""
        return _PER_FILE + self.original(entry) / self.rate

    def original(self, entry: Entry) -> float:
        """Bytes of the original of a file, about."""
        return max(0, entry.size) * self.expansion


def tasks(items: Iterable[Item], pace: Pace, aim: float, block: int) -> Iterator[list[Item]]:
    """Groups of files that take about `aim` seconds each, as the pace says by then; a file to be parted comes alone.

    block: bytes of a block, below which nothing is parted.
    """
    group: list[Item] = []
    length = 0.0
    for item in items:
        if is_big(item.entry, pace, aim, block):
            yield [item]
            continue
        length += pace.seconds(item.entry)
        group.append(item)
        if length >= aim or len(group) >= _MOST_FILES:
            yield group
            group, length = [], 0.0
    if group:
        yield group


def is_big(entry: Entry, pace: Pace, aim: float, block: int) -> bool:
    """Whether a file is worth being parted: of more than one block, and long in the making."""
    return pace.original(entry) > block and pace.seconds(entry) > 1.5 * aim


def runs(lengths: Iterable[int], pace: Pace, aim: float) -> Iterator[tuple[int, int]]:
    """Ranges of consecutive blocks, by number, that take about `aim` seconds; lengths: bytes of each block."""
    start = stop = size = 0
    for length in lengths:
        if size and (size + length) / pace.rate > aim:
            yield start, stop
            start, size = stop, 0
        stop, size = stop + 1, size + length
    if stop > start:
        yield start, stop
