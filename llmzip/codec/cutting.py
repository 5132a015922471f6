"""Cutting a byte stream into blocks: bounded in size, text apart from what is no text.

A tar archive of texts and pictures would otherwise be one block that nothing codes well: the model is lost on the
pictures, the classic codecs on the texts. All of this is the encoder's choice; a reader takes any blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

from llmzip.codec.noise import is_text
from llmzip.container.format import Bytes

_PAGE = 4096
_SHORTEST_RUN = 4 * _PAGE  # shorter stretches of the other kind stay where they are: blocks cost bytes and context


class Cutter:
    """Cuts data that comes piece by piece into blocks of at most `size` bytes; holds back no more than that and a byte."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = bytearray()

    def feed(self, data: Bytes) -> Iterator[bytes]:
        """Take more data; the blocks that are complete."""
        view = memoryview(data)
        while view:
            room = self._size + 1 - len(self._held)
            self._held += view[:room]
            view = view[room:]
            if len(self._held) <= self._size:
                return
            with memoryview(self._held) as held:
                block = bytes(held[: self._size])
            *whole, last = _by_kind(block)
            following = self._held[self._size :]
            # The last stretch may go on in what has not come yet.
            if not whole:
                cut = _cut(last)
                whole, last = [last[:cut]], last[cut:]
            self._held = bytearray(last) + following
            yield from whole

    def finish(self) -> Iterator[bytes]:
        """The blocks of what is left."""
        held, self._held = bytes(self._held), bytearray()
        if held:
            yield from _by_kind(held)


def _by_kind(data: bytes) -> list[bytes]:
    """Cut where long stretches of text and of anything else meet."""
    pages = range(0, len(data), _PAGE)
    kinds = [is_text(data[at : at + _PAGE]) for at in pages]
    starts = [0]
    at = 0
    current: bool | None = None
    while at < len(kinds):
        end = at
        while end < len(kinds) and kinds[end] == kinds[at]:
            end += 1
        if (end - at) * _PAGE >= _SHORTEST_RUN:
            if current is not None and kinds[at] != current:
                starts.append(at * _PAGE)
            current = kinds[at]
        at = end
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def _cut(data: bytes) -> int:
    """Where to end a block that is followed by more: at a line's end if there is one nearby, never inside a character."""
    line = data.rfind(b"\n", max(0, len(data) - (1 << 16))) + 1
    if line > 0:
        return line
    cut = len(data)
    for back in range(1, min(4, len(data))):
        if data[-back] & 0xC0 == 0xC0:
            cut = len(data) - back
            break
    return cut - 1 if cut > 1 and data[cut - 1] == 0x0D else cut
