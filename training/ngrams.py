"""Counting n-grams of tokens over all prepared text, order by order, in bounded memory.

Tokens are counted as ranks (their place among the pieces in order of bytes), since a node of the vocabulary tree is a
range of ranks. The n-grams of an order are 64-bit keys, 13 bits a token for vocabularies up to 8192, the latest token
lowest; of five tokens the topmost bit of the first is lost, which merges contexts that hardly ever meet. Keys are sorted and
run-length coded. What was seen once is dropped, but counts towards the total of its context.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .prepare import token_path

ORDERS = (2, 3, 4, 5)


@dataclass(frozen=True)
class Grams:
    """N-grams of one order: keys (n,) ascending, how often each and its context were seen (n,)."""

    order: int
    keys: NDArray[np.uint64]
    counts: NDArray[np.uint32]
    totals: NDArray[np.uint32]

    @classmethod
    def load(cls, folder: Path, order: int) -> Grams:
        """From what `count` stored."""
        names = (folder / f"order{order}-{part}.npy" for part in ("keys", "counts", "totals"))
        return cls(order, *(np.load(name, mmap_mode="r") for name in names))


def token_bits(vocabulary: int) -> int:
    """Bits of a token within a key."""
    return (vocabulary - 1).bit_length()


def all_ranks(config: Config, ranks: NDArray[np.uint16], sources: list[str]) -> NDArray[np.uint16]:
    """All prepared tokens of these sources as ranks, one source after the other. ranks: (V,), rank of each token."""
    return np.concatenate(
        [ranks[np.fromfile(token_path(config.paths.work, "train", name), np.uint16)] for name in sources]
    )


def count_order(tokens: NDArray[np.uint16], order: int, bits: int, least: int = 2) -> Grams:
    """The n-grams of one order that were seen at least `least` times."""
    count = len(tokens) - order + 1
    keys = np.zeros(max(count, 0), np.uint64)
    for i in range(order):
        keys <<= np.uint64(bits)
        keys |= tokens[i : i + count]
    keys.sort()
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if count > 0 else np.empty(0, np.int64)
    lengths = np.diff(np.append(starts, len(keys))).astype(np.uint32)
    unique = keys[starts]
    del keys, starts
    contexts = unique >> np.uint64(bits)
    heads = (
        np.flatnonzero(np.concatenate([[True], contexts[1:] != contexts[:-1]]))
        if len(unique)
        else np.empty(0, np.int64)
    )
    totals = np.add.reduceat(lengths, heads) if len(heads) else np.empty(0, np.uint32)
    which = np.cumsum(np.bincount(heads, minlength=len(unique)).astype(np.uint32), dtype=np.uint32) - np.uint32(1)
    kept = lengths >= least
    return Grams(order, unique[kept], lengths[kept], totals[which[kept]].astype(np.uint32))


def store(folder: Path, grams: Grams) -> None:
    """Each array whole or not at all; the totals come last and mark the order as done."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("keys", "counts", "totals"):
        target = folder / f"order{grams.order}-{part}.npy"
        aside = target.with_suffix(".part.npy")
        np.save(aside, getattr(grams, part))
        aside.replace(target)


def count(config: Config, ranks: NDArray[np.uint16], vocabulary: int, sources: list[str]) -> Path:
    """Count all orders that have not been counted; the folder that holds them."""
    folder = Path(config.paths.work) / "ngrams"
    tokens = None
    unigrams = folder / "order1.npy"
    for order in ORDERS:
        if unigrams.exists() and (folder / f"order{order}-totals.npy").exists():
            continue
        if tokens is None:
            tokens = all_ranks(config, ranks, sources)
            folder.mkdir(parents=True, exist_ok=True)
            np.save(unigrams, np.bincount(tokens, minlength=vocabulary))
        grams = count_order(tokens, order, token_bits(vocabulary))
        store(folder, grams)
        print(f"order {order}: {len(grams.keys):,} seen at least twice", flush=True)
    return folder
