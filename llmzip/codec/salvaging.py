"""Decoding what is whole of a damaged file, by `container.salvage`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from llmzip.container import Block, Header
from llmzip.container.salvage import Gap, Piece, Salvage
from llmzip.errors import ArithmeticMismatchError, CorruptError, ModelError

if TYPE_CHECKING:
    from llmzip.codec.codec import Codec


def salvaged(
    codec: Codec, source: BinaryIO, sound: int = 0, known: CorruptError | None = None
) -> Iterator[Piece | Gap]:
    """The whole blocks of a seekable source and the gaps between them, in order.

    sound: so many blocks at the start are known to be whole; they are not decoded, and their pieces are empty. known: the error of the
    block behind them, which is not decoded either. A model block whose header is damaged is tried with the header of the member before it, and with that of new files. Raises ModelError, OSError.
    """
    seen: list[Header] = []
    taken = 0

    def decode(header: Header | None, block: Block) -> bytes:
        nonlocal taken
        if taken < sound:
            taken += 1
            return b""
        if known and str(known).startswith(f"{block.where}: "):
            raise known
        if header is not None:
            if header not in seen[-1:]:
                seen.append(header)
            return _decoded(codec, header, block)
        for candidate in [*seen[-1:], codec.member_header()]:
            try:
                return _decoded(codec, candidate, block)
            except (CorruptError, ModelError):
                continue
        raise CorruptError(f"{block.where}: damaged, or its member's header is and none that is known fits")

    yield from Salvage(source, decode)


def _decoded(codec: Codec, header: Header, block: Block) -> bytes:
    try:
        return codec.decode_block(header, block)[0]
    except ArithmeticMismatchError as error:
        raise CorruptError(str(error)) from None
