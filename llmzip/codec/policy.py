"""Choices that are the encoder's alone: how many streams, and which blocks the model should not be tried on."""

from __future__ import annotations

import numpy as np

from llmzip.codec.block import MAX_STREAMS, BlockCodec
from llmzip.container import BlockKind, classic
from llmzip.model.base import Window

MOST_STREAMS = 32
WINDOWS_PER_STREAM = 2

_PROBE_SPAN = 1 << 14  # bytes of a block that is looked at before the rest


def streams_for(tokens: int, window: Window, wanted: int | None) -> int:
    """Streams of a block: more decode faster, but each starts without context.

    By default as many as leave every stream `WINDOWS_PER_STREAM` windows, at most `MOST_STREAMS`.
    """
    if wanted is not None:
        return max(1, min(wanted, tokens, MAX_STREAMS))
    return max(1, min(MOST_STREAMS, tokens // (WINDOWS_PER_STREAM * window.context)))


def unpromising(data: bytes, codec: BlockCodec) -> bool:
    """True for blocks on which the model would spend minutes to lose against a classic codec.

    That is: blocks that repeat themselves so much that zstd leaves next to nothing, and blocks that look random and are no text.
    """
    quick = len(classic.encode(BlockKind.ZSTD, data))
    if len(data) >= 4 * _PROBE_SPAN and quick * 200 < len(data):
        return True
    if len(data) < _PROBE_SPAN or quick < 0.9 * len(data):
        return False
    samples = [data[at : at + 2048] for at in np.linspace(0, len(data) - 2048, 4).astype(int)]
    tokens = sum(len(codec.vocabulary.encode(sample).tokens) for sample in samples)
    return tokens > 0.7 * sum(map(len, samples))


def beyond_classic(data: bytes, length: int) -> bool:
    """True where a model block of this length is so small that no classic codec needs to be tried."""
    return len(classic.encode(BlockKind.ZSTD, data)) > 2 * length
