"""From counts to the table of n-grams that the package reads (docs/format.md): what is kept, how it is stored.

An n-gram is worth what it takes off the training text, its count times the log of how much likelier it makes its token
than the next shorter context does (a weighted difference: Seymore and Rosenfeld, "Scalable backoff language models", 1996). It is
kept where that pays for its bits, and a context where all of it pays for the context's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .ngrams import ORDERS, Grams, count, token_bits
from .prepare import token_path

MAGIC = b"\xecLZN\r\n\x01"
CONTEXT_BITS = 28  # fingerprint, number of followers, a share of a bucket
BUCKET = 16  # contexts in a bucket, about
MOST_FOLLOWERS = 255
FULL = 1 << 31
_NORMAL = 1  # the kind of GGUF tokens that stand for text
LEAST_REST = 1 << 22  # of FULL, for lower orders


@dataclass(frozen=True)
class Shape:
    """How a table is stored. mass_bits: of a follower's mass; least: the smallest mass; discount: taken off every count."""

    mass_bits: int = 6
    least: float = 2.0**-15
    discount: float = 1.2

    def discounted(self, grams: Grams) -> NDArray[np.float64]:
        """Probabilities (n,) of n-grams in their contexts, less what is left for others."""
        return np.maximum(grams.counts - self.discount, 0.1) / grams.totals

    def masses(self) -> NDArray[np.uint32]:
        """The masses (2^mass_bits,) in 2^-31, falling evenly on a log scale from nearly 1."""
        exponents = np.linspace(np.log(0.985), np.log(self.least), 1 << self.mass_bits)
        return np.round(np.exp(exponents) * FULL).astype(np.uint32)


@dataclass
class Kept:
    """What is kept of one order: keys (n,) ascending and their probabilities (n,)."""

    order: int
    keys: NDArray[np.uint64]
    chances: NDArray[np.float64]


def worths(
    grams: Grams, lower: Grams | None, unigrams: NDArray[np.float64], bits: int, shape: Shape
) -> tuple[NDArray, NDArray]:
    """Probability (n,) and worth (n,), in bits over the training text, of every n-gram beside the next shorter one."""
    chances = shape.discounted(grams)
    mask = np.uint64((1 << bits * (grams.order - 1)) - 1)
    if lower is None:
        shorter = unigrams[grams.keys & mask]
    else:
        found = np.searchsorted(lower.keys, grams.keys & mask)
        shorter = shape.discounted(lower)[found]
    return chances, grams.counts * np.log2(chances / shorter)


def _heads(sorted_values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where runs of equal values begin."""
    return np.flatnonzero(np.concatenate([[True], sorted_values[1:] != sorted_values[:-1]])[: len(sorted_values)])


def keep(grams: Grams, chances: NDArray, worth: NDArray, bits: int, price: float, entry_bits: float) -> Kept:
    """What pays: entries at `entry_bits`, contexts at CONTEXT_BITS, each bit at `price` bits of text."""
    gain = worth - price * entry_bits
    chosen = np.flatnonzero(gain > 0)
    contexts = grams.keys[chosen] >> np.uint64(bits)
    heads = _heads(contexts)
    sizes = np.diff(np.append(heads, len(chosen)))
    if grams.order > 2 and len(chosen):
        pays = np.add.reduceat(gain[chosen], heads) > price * CONTEXT_BITS
        chosen = chosen[np.repeat(pays, sizes)]
        sizes = sizes[pays]
        if (sizes > MOST_FOLLOWERS).any():
            # The most valuable ones of a context that has too many.
            group = np.repeat(np.arange(len(sizes)), sizes)
            by_worth = np.lexsort((-worth[chosen], group))
            place = np.arange(len(chosen)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            chosen = np.sort(chosen[by_worth[place < MOST_FOLLOWERS]])
    return Kept(grams.order, np.asarray(grams.keys[chosen]), chances[chosen])


def quantised(kept: Kept, bits: int, shape: Shape) -> NDArray[np.uint8]:
    """Places (n,) in the list of masses, such that no context's masses leave less than LEAST_REST."""
    if not len(kept.keys):
        return np.empty(0, np.uint8)
    masses = shape.masses().astype(np.int64)
    logs = np.log(masses / FULL)
    step = (logs[-1] - logs[0]) / (len(logs) - 1)
    places = np.clip(np.round((np.log(kept.chances) - logs[0]) / step), 0, len(logs) - 1).astype(np.uint8)
    contexts = kept.keys >> np.uint64(bits)
    heads = _heads(contexts)
    sizes = np.diff(np.append(heads, len(places)))
    while True:
        sums = np.add.reduceat(masses[places], heads)
        heavy = np.repeat(sums > FULL - LEAST_REST, sizes)
        if not heavy.any():
            return places
        places[heavy] = np.minimum(places[heavy] + 1, len(masses) - 1)


def hashed(contexts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The hash of contexts of three and more orders, as llmzip/coding/ngrams.c has it."""
    value = contexts * np.uint64(0x9E3779B97F4A7C15)
    return (value ^ value >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)


def packed(values: NDArray[np.uint32], width: int) -> bytes:
    """Values of `width` bits, one after the other, lowest bits first."""
    bits = (values[:, None] >> np.arange(width, dtype=np.uint32) & 1).astype(np.uint8)
    return np.packbits(bits.ravel(), bitorder="little").tobytes()


def order_section(kept: Kept, places: NDArray[np.uint8], bits: int, shape: Shape) -> bytes:
    """An order above 2: buckets, fingerprints, numbers of followers, followers."""
    contexts, followers = kept.keys >> np.uint64(bits), (kept.keys & np.uint64((1 << bits) - 1)).astype(np.uint32)
    heads = _heads(contexts)
    sizes = np.diff(np.append(heads, len(followers)))
    hashes = hashed(contexts[heads])
    bucket_bits = max(1, int(np.ceil(np.log2(max(2, len(heads) / BUCKET)))))
    order = np.argsort(hashes, kind="stable")
    buckets = (hashes[order] >> np.uint64(64 - bucket_bits)).astype(np.int64)
    first_context = np.searchsorted(buckets, np.arange((1 << bucket_bits) + 1))
    first_entry = np.concatenate([[0], np.cumsum(sizes[order])])[first_context]
    entries = _ranges(heads[order], sizes[order])
    values = followers[entries] << np.uint32(shape.mass_bits) | places[entries]
    return (
        struct.pack("<III", bucket_bits, len(heads), len(followers))
        + np.stack([first_context, first_entry], axis=1).astype("<u4").tobytes()
        + (hashes[order] >> np.uint64(8)).astype("<u2").tobytes()
        + sizes[order].astype(np.uint8).tobytes()
        + packed(values, bits + shape.mass_bits)
    )


def _ranges(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, ... of every range, one range after the other."""
    offsets = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    return offsets + np.arange(int(sizes.sum()))


def bigram_section(kept: Kept, places: NDArray[np.uint8], vocabulary: int, bits: int, shape: Shape) -> bytes:
    """Order 2: where the followers of each token begin, and the followers."""
    contexts, followers = kept.keys >> np.uint64(bits), (kept.keys & np.uint64((1 << bits) - 1)).astype(np.uint32)
    starts = np.searchsorted(contexts, np.arange(vocabulary + 1, dtype=np.uint64)).astype("<u4")
    return starts.tobytes() + packed(followers << np.uint32(shape.mass_bits) | places, bits + shape.mass_bits)


def unigram_section(counts: NDArray[np.int64]) -> bytes:
    """Masses of all tokens in 2^-31, none of them zero."""
    masses = np.maximum(1, (counts + 0.5) / (counts.sum() + 0.5 * len(counts)) * (FULL - 2 * len(counts))).astype(
        np.int64
    )
    assert masses.sum() <= FULL
    return masses.astype("<u4").tobytes()


def assemble(unigrams: NDArray[np.int64], orders: list[Kept], pieces: bytes, shape: Shape) -> bytes:
    """The whole file. pieces: identity of the vocabulary, 8 bytes."""
    vocabulary = len(unigrams)
    bits = token_bits(vocabulary)
    head = (
        MAGIC
        + bytes([orders[-1].order])
        + struct.pack("<I", vocabulary)
        + bytes([shape.mass_bits, bits, 0, 0])
        + pieces
    )
    parts = [head, shape.masses().astype("<u4").tobytes(), unigram_section(unigrams)]
    for kept in orders:
        places = quantised(kept, bits, shape)
        section = (
            order_section(kept, places, bits, shape)
            if kept.order > 2
            else bigram_section(kept, places, vocabulary, bits, shape)
        )
        parts.append(section)
    return b"".join(parts) + bytes(8)


def vocabulary_identity(pieces: list[bytes]) -> bytes:
    """BLAKE2b, 8 bytes, over the pieces in the order of their ranks, each with its length before it."""
    digest = blake2b(digest_size=8)
    for piece in sorted(pieces):
        digest.update(struct.pack("<I", len(piece)) + piece)
    return digest.digest()


def write_table(config: Config, vocabulary: str | None, output: Path, size: int) -> None:
    """Count what `prepare` made, unless it has been counted, and write a table of about `size` bytes."""
    from gguf import GGUFReader

    from llmzip.coding.tree import VocabularyTree
    from llmzip.model import embedded
    from llmzip.text.embedded_vocabulary import bytes_of_token

    fields = GGUFReader(vocabulary or embedded.PACKED).fields
    tokens, kinds = fields["tokenizer.ggml.tokens"].contents(), fields["tokenizer.ggml.token_type"].contents()
    pieces = [bytes_of_token(token) if kind == _NORMAL else b"" for token, kind in zip(tokens, kinds, strict=True)]
    ranks = VocabularyTree(pieces).ranks.astype(np.uint16)
    sources = [name for name in config.prepare.sources if token_path(config.paths.work, "train", name).exists()]
    folder = count(config, ranks, len(pieces), sources)
    data = make(folder, pieces, size, Shape())
    aside = output.with_suffix(".part")
    aside.write_bytes(data)
    aside.replace(output)
    print(f"{output}: {len(data):,} bytes, identity {blake2b(data, digest_size=8).hexdigest()}")


def make(folder: Path, pieces: list[bytes], size: int, shape: Shape, highest: int = ORDERS[-1]) -> bytes:
    """A table of about `size` bytes from the counts in `folder`."""
    counts = np.load(folder / "order1.npy")
    bits = token_bits(len(counts))
    chance = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    measured, lower = [], None
    for order in range(2, highest + 1):
        grams = Grams.load(folder, order)
        grams = Grams(order, *(np.asarray(part) for part in (grams.keys, grams.counts, grams.totals)))
        measured.append((grams, *worths(grams, lower, chance, bits, shape)))
        lower = grams
    entry_bits = bits + shape.mass_bits

    def at(price: float) -> list[Kept]:
        return [keep(grams, chances, worth, bits, price, entry_bits) for grams, chances, worth in measured]

    low, high = 1e-3, 1e3
    for _ in range(14):
        middle = (low * high) ** 0.5
        kept = at(middle)
        total = sum(len(each.keys) * entry_bits for each in kept) / 8 + sum(
            len(np.unique(each.keys >> np.uint64(bits))) * CONTEXT_BITS / 8 for each in kept[1:]
        )
        low, high = (middle, high) if total > size else (low, middle)
    kept = at(high)
    for each in kept:
        contexts = len(np.unique(each.keys >> np.uint64(bits)))
        print(f"order {each.order}: {len(each.keys):,} entries in {contexts:,} contexts", flush=True)
    return assemble(counts, kept, vocabulary_identity(pieces), shape)
