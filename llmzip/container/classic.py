"""Blocks without a model: stored as they are, or by zstd, LZMA2 or brotli.

The libraries are imported when first needed. Decoding stops at the declared length, whatever the payload says.
"""

from __future__ import annotations

import lzma
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from llmzip.container.format import BlockKind, Bytes
from llmzip.errors import CorruptError

if TYPE_CHECKING:
    import zstandard

CLASSIC = (BlockKind.RAW, BlockKind.ZSTD, BlockKind.XZ, BlockKind.BROTLI)
"""The kinds that this module codes."""

# format: a zstd frame needs no larger window than this. Brotli's is at most 16 MiB by its own rules.
MAX_WINDOW_LOG = 26
_SMALL = 4096
_LONG = 1 << 18  # bytes from which on a codec takes long enough for a user to notice
_SLOW_BROTLI = 8 << 20


def encode(kind: BlockKind, data: Bytes) -> bytes:
    """The payload of a block of `kind` for `data` (at least one byte). Raises `ValueError` for a model block."""
    if kind is BlockKind.RAW:
        return bytes(data)
    if kind is BlockKind.ZSTD:
        return bytes(_zstd(19).compress(data))
    if kind is BlockKind.XZ:
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": _dictionary(len(data))}]
        return lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
    if kind is BlockKind.BROTLI:
        import brotli

        # Quality 11 takes seconds a MiB; on large blocks 9 keeps a fallback from outlasting the model.
        quality = 11 if len(data) <= _SLOW_BROTLI else 9
        return bytes(brotli.compress(bytes(data), quality=quality, lgwin=24))
    raise ValueError(f"{kind!r} is not a classic kind")


def decode(kind: BlockKind, payload: Bytes, original_length: int) -> bytes:
    """The original bytes of a classic block. Raises `CorruptError` unless they are exactly `original_length` many."""
    payload = bytes(payload)
    if kind is BlockKind.RAW:
        data = payload
    elif kind is BlockKind.ZSTD:
        data = _decode_zstd(payload, original_length)
    elif kind is BlockKind.XZ:
        data = _decode_xz(payload, original_length)
    elif kind is BlockKind.BROTLI:
        data = _decode_brotli(payload, original_length)
    else:
        raise ValueError(f"{kind!r} is not a classic kind")
    if len(data) != original_length:
        length = "more" if len(data) > original_length else f"only {len(data)}"
        raise CorruptError(f"decodes to {length} bytes instead of {original_length}: the file is damaged")
    return data


def quick_length(data: Bytes) -> int:
    """Bytes that zstd makes of `data` in passing, to compare others with."""
    return len(_zstd(9).compress(bytes(data)))


def smallest(data: Bytes, between: Callable[[], None] = lambda: None) -> tuple[BlockKind, bytes]:
    """The kind that stores `data` in the fewest bytes, with its payload; among equals the one that decodes fastest.

    between: is called before each is tried, and may raise to give up.
    """
    data = bytes(data)
    best = (BlockKind.RAW, data)
    # Random data would cost seconds a MiB to be refused by all three; what a quick pass cannot shrink at all, they
    # hardly can.
    if len(data) > _SMALL and len(_zstd(3).compress(data)) >= len(data):
        return best
    for kind in CLASSIC[1:]:
        between()
        payload = _interruptibly(partial(encode, kind, data)) if len(data) >= _LONG else encode(kind, data)
        if len(payload) < len(best[1]):
            best = (kind, payload)
    return best


def _interruptibly(work: Callable[[], bytes]) -> bytes:
    """What `work` gives, in another thread if this is the main one: there signals are heard between two steps of Python, and native code
    that takes seconds is one step. After a signal it is left alone."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    made: list[bytes] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            made.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="classic", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter shuts down, or there may be no more threads
        return work()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def _dictionary(length: int) -> int:
    """Dictionary of an LZMA2 block of `length` bytes.

    format: the smallest power of two that holds the block, at least 4096, since raw LZMA2 does not record it.
    """
    return max(4096, 1 << (length - 1).bit_length())


def _zstd(level: int) -> zstandard.ZstdCompressor:
    import zstandard

    # The block records length and check already.
    return zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=False, write_dict_id=False)


def _decode_zstd(payload: bytes, length: int) -> bytes:
    import zstandard

    try:
        frame = zstandard.get_frame_parameters(payload)
        if frame.content_size not in (zstandard.CONTENTSIZE_UNKNOWN, length):
            raise _damaged("zstd", f"its frame says {frame.content_size} bytes")
        if frame.window_size > 1 << MAX_WINDOW_LOG:
            raise _damaged("zstd", f"a window of {frame.window_size} bytes")
        # In one go: nothing may follow the frame, and it must be complete.
        return bytes(zstandard.ZstdDecompressor().decompress(payload, max_output_size=length, allow_extra_data=False))
    except zstandard.ZstdError as error:
        raise _damaged("zstd", error) from None


def _decode_xz(payload: bytes, length: int) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": _dictionary(length)}]
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    try:
        data = decompressor.decompress(payload, length + 1)
        # The end marker may still lie ahead when the last byte is out.
        if not decompressor.eof and len(data) == length:
            data += decompressor.decompress(b"", 1)
    except lzma.LZMAError as error:
        raise _damaged("xz", error) from None
    if not decompressor.eof or decompressor.unused_data:
        raise _damaged("xz", "the stream does not end with the block")
    return data


def _decode_brotli(payload: bytes, length: int) -> bytes:
    import brotli

    decompressor = brotli.Decompressor()
    try:
        pieces = bytearray(decompressor.process(payload, output_buffer_limit=length + 1))
        while not decompressor.is_finished() and len(pieces) <= length:
            piece = decompressor.process(b"", output_buffer_limit=length + 1 - len(pieces))
            if not piece:
                raise _damaged("brotli", "the stream does not end with the block")
            pieces += piece
    except brotli.error as error:
        raise _damaged("brotli", error) from None
    return bytes(pieces)


def _damaged(codec: str, reason: object) -> CorruptError:
    return CorruptError(f"{codec} payload is damaged ({reason})")
