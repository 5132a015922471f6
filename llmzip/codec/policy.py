"""Choices that are the encoder's alone: how many streams, which blocks are no text, which ones the network is for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isqrt

from llmzip.codec.head import MAX_STREAMS
from llmzip.codec.layout import Layout, Run
from llmzip.codec.noise import is_noise
from llmzip.codec.pipeline import BlockPipeline
from llmzip.container import classic
from llmzip.container.format import BlockKind
from llmzip.text.tokens import TokenText

MOST_STREAMS = 128
_ALONE = 1 << 14  # tokens that one stream is enough for
_EAGER_STREAMS, _EACH = 32, 6 << 10
_EVEN = 16  # of more streams than these, multiples: llama.cpp takes up to 1.4 times as long for a row of 36 as for one of 32 or 40

# A step reads a stream's keys and values for one row and the weights for all: where the first are so large a part of the second they bound it.
_READ_MUCH = 1 / 20

_CACHES = 1 << 30  # bytes for the caches of all streams

_PRIMED, _PRIMED_THOROUGH = 1 << 20, 4 << 20

_JUDGED = 1 << 8  # bytes: what becomes of shorter blocks says little, and the network is done with them at once
_LOOKED_AT = 1 << 14  # bytes: shorter blocks are tried at once
_SAMPLED = 160 << 10  # bytes: of shorter blocks the samples would take the table more than a twentieth of the whole
_SAMPLE, _SAMPLES = 2048, 4
_REPETITIVE = 200  # zstd shrinks the block to one part in so many: a network would take minutes for next to nothing
_UNLIKE_TEXT = 0.45  # tokens a byte; English has 0.28
_RANDOM = 0.95  # bytes a byte: nothing gained
_HOPELESS = 1.1  # times what zstd makes of the samples: of text it is at most three quarters of that

_TRIAL = 2560  # tokens on which the network is tried; it counts how it does on the later half of them
# What the network must take off to be worth its time: a share of the size, and bits of a byte of the original.
_WORTH, _WORTH_BITS = 0.03, 0.03
_BEYOND = 1.5  # times the model's length: what zstd makes of a block in passing, where no classic codec comes near
_REGULAR = 0.3  # bits of a byte: what is so regular has little left to take off
# Tokens, and bits of a byte that zstd leaves in passing (of prose 3 and more, of what is regular at most 1): both codings may begin at once.
_LONG, _TEXT_LIKE = 4 * _TRIAL, 1.5


def streams_for(tokens: int, wanted: int | None, stream_bytes: int = 0) -> int:
    """Streams of a block: more decode faster, but each starts without context.

    By default 1 + (tokens / 16,384)^1.5, but of more than 32 each has some 6,144 tokens; at most `MOST_STREAMS`, and no more than the
    decoder, too, has memory for; beyond 16 multiples of 16. stream_bytes: what the cache of one takes.
    """
    if wanted is not None:
        return max(1, min(wanted, tokens, MAX_STREAMS))
    affordable = _CACHES // max(1, stream_bytes)
    # More than in proportion: what a stream costs in bytes weighs less the longer a block is, and what it saves in time more.
    more = isqrt(tokens**3 // _ALONE**3)
    many = max(_EAGER_STREAMS, (tokens // _EACH + _EVEN // 2) // _EVEN * _EVEN)
    streams = max(1, min(MOST_STREAMS, many, 1 + more, affordable))
    return streams if streams <= _EVEN else min(-(-streams // _EVEN), affordable // _EVEN) * _EVEN


def near_pays(streams: int, stream_bytes: int, weights: int) -> bool:
    """Whether a block gets three quarters of a window: a tenth of a percent larger, decoded a tenth faster.

    So it is with networks whose steps wait for keys and values, once there are many streams. stream_bytes: what the cache of one takes;
    weights: bytes of all weights.
    """
    return streams > _EAGER_STREAMS and stream_bytes > _READ_MUCH * weights


def context_bytes(block: int, thorough: bool) -> int:
    """Bytes of a context that the mixer goes over for a block of so many: time that both sides spend."""
    return max(_PRIMED_THOROUGH if thorough else _PRIMED, block + block // 4)


def unpromising(data: bytes, classic_length: int, pipeline: BlockPipeline) -> bool:
    """True for blocks that would take long, only to lose against a classic codec: noise; of long ones, and where there is a
    network alone, also what is found out by a few samples; for a network what repeats itself all over.

    classic_length: what zstd makes of the block. pipeline: what codes the samples.
    """
    if len(data) < _LOOKED_AT:
        return False
    if is_noise(data, classic_length):
        return True
    if not pipeline.network and len(data) < _SAMPLED:
        return False
    if pipeline.network and classic_length * _REPETITIVE < len(data):
        return True
    # Not at the ends, where a block often holds a bit of what lies beside it.
    starts = [len(data) * (2 * i + 1) // (2 * _SAMPLES) for i in range(_SAMPLES)]
    sample = b"".join(data[at : at + _SAMPLE] for at in starts)
    text = pipeline.vocabulary.encode(sample)
    if len(text) < _UNLIKE_TEXT * len(sample):
        return False
    by_zstd = len(classic.encode(BlockKind.ZSTD, sample))
    return _hopeless(len(pipeline.encode(text, False, 1)), by_zstd, len(sample))


def _hopeless(coded: int, classic_length: int, length: int) -> bool:
    return coded > min(_HOPELESS * classic_length, _RANDOM * length)


def no_text(tokens: int, coded: int, classic_length: int, length: int) -> bool:
    """Whether a block of so many tokens and bytes is none for a network, by what the table (`coded`) and zstd make of it."""
    return length >= _JUDGED and tokens >= _UNLIKE_TEXT * length and _hopeless(coded, classic_length, length)


def regular(bits: float) -> bool:
    """Whether the table alone leaves so little, in bits of a byte, that the network has little left to take off."""
    return bits < _REGULAR


def table_meanwhile(tokens: int, classic_length: int, length: int) -> bool:
    """Whether a block of so many tokens and bytes is likely one for the network, so that a core may try that while another one codes
    it by the table. classic_length: what zstd makes of it in passing."""
    return _LONG < tokens < _UNLIKE_TEXT * length and 8 * classic_length > _TEXT_LIKE * length


def network_pays(text: TokenText, bits: float, alone: BlockPipeline, network: Callable[[], BlockPipeline]) -> bool:
    """Whether the network makes a block so much smaller than the table alone that it is worth its time.

    bits: of a byte of the block, by the table alone. network: is asked for only if it has to be tried.
    """
    tokens = text.tokens
    if regular(bits):
        return False
    if len(tokens) <= 2 * _TRIAL:
        return True
    start = (len(tokens) - _TRIAL) // 2
    trial = tokens[start : start + _TRIAL]
    layout, half = Layout(_TRIAL, 1), _TRIAL // 2
    with_table = _bits_behind(half, alone.turns(trial, layout, None, most=half))
    tried = network()
    with_network = _bits_behind(half, tried.turns(trial, layout, tried.quantise(trial, layout), most=half))
    original = sum(len(alone.vocabulary.pieces[token]) for token in trial[half:].tolist())
    return with_table - with_network > max(_WORTH * with_table, _WORTH_BITS * original)


def _bits_behind(start: int, turns: Iterable[tuple[Run, bytes, bytes]]) -> float:
    """Bits of the turns of rows from `start` on."""
    import numpy as np

    total = 0.0
    for run, bits, probabilities in turns:
        if run.start >= start:
            right = np.frombuffer(probabilities, np.uint16) / 65536
            total -= float(np.log2(np.where(np.frombuffer(bits, np.uint8), right, 1 - right)).sum())
    return total


def beyond_classic(classic_length: int, model_length: int) -> bool:
    """True where the model's block is so much smaller than what zstd makes of it in passing that no classic codec, however
    thorough, comes near it."""
    return classic_length > _BEYOND * model_length
