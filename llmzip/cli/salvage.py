"""`llmzip decompress --salvage` and what `llmzip test` tells of a damaged file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from llmzip.codec import Codec
from llmzip.codec.salvaging import salvaged
from llmzip.container import MAX_BLOCK, write_all
from llmzip.container.salvage import Gap
from llmzip.container.streams import PIECE
from llmzip.errors import CorruptError, LlmzipError

_SHOWN = 8  # gaps that are named in one line

Mark = Callable[[Gap], Iterable[bytes]]
"""What stands in the output for a gap, in pieces."""


def in_words(gap: Gap) -> list[bytes]:
    """A line that says what is missing."""
    if gap.lost == 0:
        return []
    return [f"\n[llmzip: {_lost(gap)} here: {_places(gap)}]\n".encode()]


def as_zeros(gap: Gap) -> Iterator[bytes]:
    """As many zero bytes as are missing, where that is known: what follows keeps its place."""
    left = min(gap.lost or 0, MAX_BLOCK * max(1, len(gap.blocks)))
    while left:
        piece = min(left, PIECE)
        yield bytes(piece)
        left -= piece


def seekable(source: BinaryIO) -> BinaryIO:
    """The source itself, or a temporary copy of what it has left. Raises OSError."""
    if source.seekable():
        return source
    copy = tempfile.TemporaryFile(prefix="llmzip-")
    shutil.copyfileobj(source, copy)
    copy.seek(0)
    return copy


def recover(codec: Codec, source: BinaryIO, sink: BinaryIO, mark: Mark) -> list[Gap]:
    """Write every whole block and a mark for each gap; the gaps. Raises CorruptError where nothing is whole, ModelError, OSError."""
    gaps, whole, written, most = [], 0, 0, codec.settings.max_size
    for found in salvaged(codec, source):
        written += found.lost or 0 if isinstance(found, Gap) else found.length
        if most is not None and written > most:
            raise LlmzipError(f"the original is larger than the {most} bytes that --max-size allows")
        if isinstance(found, Gap):
            gaps.append(found)
            for piece in mark(found):
                write_all(sink, piece)
        else:
            whole += 1
            write_all(sink, found.data)
    if gaps and not whole:
        raise CorruptError(f"no block of it is whole: {gaps[0].reason}")
    return gaps


def survey(codec: Codec, source: BinaryIO, sound: int, known: CorruptError) -> list[Gap]:
    """The gaps of a file, of which so many blocks at the start are known to be whole, and behind them this error. Raises ModelError,
    OSError."""
    source.seek(0)
    return [found for found in salvaged(codec, source, sound, known) if isinstance(found, Gap)]


def damage(gaps: list[Gap], before: str, behind: str) -> CorruptError:
    """The error that names the gaps."""
    named = "; ".join(f"{_where(gap)}{_places(gap)}" for gap in gaps[:_SHOWN])
    more = f"; and {len(gaps) - _SHOWN} more gaps" if len(gaps) > _SHOWN else ""
    lost, unknown = sum(gap.lost or 0 for gap in gaps), any(gap.lost is None for gap in gaps)
    if (
        unknown and not lost
    ):  # what was appended to a whole file is no loss, and not told from a member that is damaged all over
        return CorruptError(f"{before}some of the original may be lost: {named}{more}{behind}")
    length = f"{'at least ' * unknown}{lost} bytes"
    return CorruptError(f"{before}{length} of the original {'are' if lost else 'is'} lost: {named}{more}{behind}")


def _where(gap: Gap) -> str:
    if not gap.blocks:
        return ""
    if len(gap.blocks) == 1:
        return f"block {gap.blocks[0]}, "
    return f"blocks {gap.blocks[0]} to {gap.blocks[-1]}, "


def _places(gap: Gap) -> str:
    text = f"bytes {gap.start} to {gap.stop} of the file"
    if gap.lost and gap.original is not None:
        text += f" (bytes {gap.original} to {gap.original + gap.lost} of the original)"
    return text


def _lost(gap: Gap) -> str:
    return "an unknown number of bytes is lost" if gap.lost is None else f"{gap.lost} bytes are lost"
