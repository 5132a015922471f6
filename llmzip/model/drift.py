"""How far builds of llama.cpp are known to drift from each other in F32, by kind of network (docs/models.md).

What a machine sees of it between its own batch shapes says little: a build without AVX computes all of them alike, and still
differs from others.
"""

from __future__ import annotations

BOUNDLESS = 1 << 30
"""No tolerance is worth its price."""

GPU = 600
"""And so much where a GPU takes part: half as much again as the largest drift that was found between a CPU and one of an ordinary build, whose
angles for rotary positions come from other formulas (docs/models.md)."""

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


def known_drift(architecture: str, layers: int, *, recurrent: bool, gpu: bool = False) -> int:
    """The tolerance that portable files by a network need at least, in units of 1e-6. gpu: whether layers of it are on one.

    Three to six times the largest drift of some 6,000 turns of random weights between three builds, as it grew with the layers. Trained weights drift further: the
    built-in ones, of 4 layers, need 120 (docs/portability.md).
    """
    if architecture in _GELU or architecture.startswith(_GEMMA):
        return BOUNDLESS
    return max(116 + layers, 48 + 10 * layers if recurrent else 0, GPU if gpu else 0)
