"""The three ways of LLMZip (Valmeekam et al., arXiv 2306.04050) to turn a model's predictions into bits.

All take the same predictions. Ranks are those of a stable descending sort of the probabilities, counted from 0.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-6  # a cost this little above a whole number of bits is that number: logits are in single precision


def ranks_and_zlib(ranks: NDArray[np.int32]) -> int:
    """Bits of the ranks (n,), written as decimals with blanks between them and deflated at level 9."""
    return 8 * len(zlib.compress(rank_text(ranks), 9))


def rank_text(ranks: NDArray[np.int32]) -> bytes:
    """What is deflated."""
    return b" ".join(b"%d" % rank for rank in ranks.tolist())


def token_by_token(bits: NDArray[np.float64]) -> int:
    """Bits of a prefix code made anew for every token: the sum of ceil(-log2 p) over tokens that cost bits (n,)."""
    return int(codeword_lengths(bits).sum())


def codeword_lengths(bits: NDArray[np.float64]) -> NDArray[np.int64]:
    """Lengths (n,) of the codewords; by Kraft's inequality a prefix code with them exists.

    A token with p = 1 takes none.
    """
    return np.maximum(np.ceil(bits - _ROUNDING), 0).astype(np.int64)


def arithmetic_coding(bits: NDArray[np.float64]) -> float:
    """Bits of ideal arithmetic coding: the sum of -log2 p. A real coder adds a few bits for the whole text."""
    return float(bits.sum())
