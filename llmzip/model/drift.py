"""How far builds of llama.cpp are known to drift from each other in F32, by kind of network (docs/models.md).

What a machine sees of it between its own batch shapes says little: a build without AVX computes all of them alike, and still
differs from others.
"""

from __future__ import annotations

BOUNDLESS = 1 << 30
"""No tolerance is worth its price."""

# llama.cpp looks GELU up in a table of half precision, where drift falls on either side of its steps.
_GELU = frozenset(
    (
        "bloom",
        "codeshell",
        "falcon",
        "gpt2",
        "gptj",
        "gptneox",
        "grok",
        "jais2",
        "mpt",
        "phi2",
        "starcoder",
        "starcoder2",
    )
)
_GEMMA = "gemma"  # all of whose generations use it


def known_drift(architecture: str, layers: int, *, recurrent: bool) -> int:
    """The tolerance that portable files by a network need at least, in units of 1e-6.

    Two to four times the largest drift of some 6,000 turns between three builds, as it grew with the layers; the tail of millions
    reaches about five times that largest one, and repair four times the tolerance.
    """
    if architecture in _GELU or architecture.startswith(_GEMMA):
        return BOUNDLESS
    return 48 + 10 * layers if recurrent else 72 + layers
