"""Confidence intervals for bits per unit, from how much blocks of a text differ."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
"""Tokens of the blocks over which an interval is taken."""

_EXACT = {1: 12.706205, 2: 4.302653, 3: 3.182446, 4: 2.776445, 5: 2.570582}  # where the expansion is not yet good


def t_quantile(freedom: int, share: float = 0.95) -> float:
    """The value that |t| stays below with probability `share`, for so many degrees of freedom.

    Cornish-Fisher expansion about the normal quantile (Abramowitz and Stegun 26.7.5), good to 0.005 % from 6 degrees on;
    1 to 5 degrees are tabulated for 95 %.
    """
    if freedom in _EXACT and share == 0.95:
        return _EXACT[freedom]
    z = NormalDist().inv_cdf(0.5 + share / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, 1))


def half_width(bits: NDArray[np.float64], units: NDArray[np.float64]) -> float | None:
    """Half of the 95 % interval of sum(bits) / sum(units), from blocks with so many bits (n,) and units (n,).

    A ratio estimate with its linearised variance (Cochran, Sampling Techniques, chapter 6) and Student's t with n - 1
    degrees of freedom. None for fewer than two blocks, where nothing can be said.
    """
    count, total = len(bits), float(units.sum())
    if count < 2 or total <= 0:
        return None
    residuals = bits - bits.sum() / total * units
    error = math.sqrt(count / (count - 1) * float(residuals @ residuals)) / total
    return t_quantile(count - 1) * error


def block_sums(blocks: NDArray[np.int64], *values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Sums of each of the values (n,) over the blocks (n,) of tokens; blocks without tokens are left out."""
    _, places = np.unique(blocks, return_inverse=True)
    return [np.bincount(places, value).astype(np.float64, copy=False) for value in values]


def bounds(value: float, margin: float) -> tuple[float, float]:
    """Both ends of an interval of bits per unit, which cannot be negative."""
    return max(0.0, value - margin), value + margin
