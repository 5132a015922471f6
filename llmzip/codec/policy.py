"""Choices that are the encoder's alone: how many streams, and which blocks the model should not be tried on."""

from __future__ import annotations

from llmzip.codec.head import MAX_STREAMS
from llmzip.codec.pipeline import BlockPipeline
from llmzip.model.base import Window

MOST_STREAMS = 32
WINDOWS_PER_STREAM = 8

_CACHES = 1 << 30  # bytes for the caches of all streams

_PROBED = 1 << 16  # bytes: shorter blocks are not worth a look beforehand
_SAMPLE, _SAMPLES = 2048, 4
_REPETITIVE = 200  # zstd shrinks the block to one part in so many
_UNLIKE_TEXT = 0.45  # tokens a byte; English has 0.28
_RANDOM = 0.95  # bytes a byte: nothing gained
_HOPELESS = 1.3  # mixing seldom takes more than a quarter off


def streams_for(tokens: int, window: Window, wanted: int | None, stream_bytes: int = 0) -> int:
    """Streams of a block: more decode faster, but each starts without context.

    By default as many as leave every stream `WINDOWS_PER_STREAM` windows, at most `MOST_STREAMS`, and no more than the
    decoder, too, has memory for; stream_bytes: what the cache of one takes.
    """
    if wanted is not None:
        return max(1, min(wanted, tokens, MAX_STREAMS))
    affordable = _CACHES // max(1, stream_bytes)
    return max(1, min(MOST_STREAMS, tokens // (WINDOWS_PER_STREAM * window.context), affordable))


def unpromising(data: bytes, classic_length: int, pipeline: BlockPipeline) -> bool:
    """True for blocks on which the model would spend minutes only to lose against a classic codec.

    classic_length: what zstd makes of the block. Such blocks repeat themselves so much that zstd leaves next to nothing,
    or are no text (programs, images, archives), for which a few samples are put to the test.
    """
    if len(data) < _PROBED:
        return False
    if classic_length * _REPETITIVE < len(data):
        return True
    # Not at the ends, where a block often holds a bit of what lies beside it.
    starts = [len(data) * (2 * i + 1) // (2 * _SAMPLES) for i in range(_SAMPLES)]
    text = pipeline.vocabulary.encode(b"".join(data[at : at + _SAMPLE] for at in starts))
    if len(text.tokens) < _UNLIKE_TEXT * _SAMPLE * _SAMPLES:
        return False
    by_model = len(pipeline.encode(text, False, 1)) / (_SAMPLE * _SAMPLES)
    return by_model > min(_HOPELESS * classic_length / len(data), _RANDOM)


def beyond_classic(classic_length: int, model_length: int) -> bool:
    """True where the model's block is so much smaller than zstd's that the other classic codecs need not be tried."""
    return classic_length > 2 * model_length
