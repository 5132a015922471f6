"""Editing effort: what it takes to turn a text into another, where whole blocks may be moved and copied.

The distance is that of Devatine and Abraham, "Assessing Human Editing Effort on LLM-Generated Texts via Compression-Based
Edit Distance" (arXiv 2412.17321), after Ergün, Muthukrishnan and Sahinalp, "Comparing sequences with segment
rearrangements" (2003): d(S -> T) = LZ(S $ T) - LZ(S $), in phrases of LZ77, where $ occurs nowhere else. A phrase is the
longest stretch that has begun before (it may overlap itself), or a symbol that is new. A copy of the whole is one phrase, so
equal texts have distance 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzipError
from llmzip.measures.lengths import CodeLengths, Progress, Size, unwatched


def need(library: str) -> None:
    """Raises LlmzipError where a library of the extra `measures` is missing."""
    from importlib.util import find_spec

    if find_spec(library) is None:
        raise LlmzipError(f"this needs {library}: pip install 'llmzip[measures]'")


def _symbols(text: str | bytes) -> NDArray[np.int64]:
    """The characters of a text, or its bytes, as numbers (n,)."""
    if isinstance(text, bytes):
        return np.frombuffer(text, np.uint8).astype(np.int64)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)


def phrase_starts(symbols: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the phrases of LZ77 begin, (phrases,), of a sequence of non-negative numbers, (n,).

    In linear time: suffix array (libdivsufsort), longest common prefixes, longest previous factors.
    """
    if not len(symbols):
        return np.empty(0, np.int64)
    need("pydivsufsort")
    from pydivsufsort import lempel_ziv_factorization, longest_previous_factor

    known, dense = np.unique(symbols, return_inverse=True)
    kind = np.uint8 if len(known) <= 1 << 8 else np.uint16 if len(known) <= 1 << 16 else np.uint32
    ends = lempel_ziv_factorization(longest_previous_factor(dense.astype(kind)))
    return np.array(ends[:-1], np.int64)


def phrases(text: str | bytes) -> int:
    """LZ(text): phrases of LZ77."""
    return len(phrase_starts(_symbols(text)))


def edit_distance(source: str | bytes, target: str | bytes) -> int:
    """Phrases of LZ77 that the target takes after the source; not symmetric; 1 for equal texts, 0 for an empty target.

    Both of one type: characters of strings, or bytes. O(n) for n symbols of both together.
    """
    if isinstance(source, bytes) != isinstance(target, bytes):
        raise TypeError("both texts must be strings, or both bytes")
    before, after = _symbols(source), _symbols(target)
    fence = int(max(before.max(initial=0), after.max(initial=0))) + 1
    starts = phrase_starts(np.concatenate([before, [fence], after]))
    return int(np.count_nonzero(starts > len(before)))


def levenshtein(source: str | bytes, target: str | bytes) -> int:
    """Insertions, deletions and replacements of single symbols that turn the source into the target (by rapidfuzz)."""
    need("rapidfuzz")
    from rapidfuzz.distance import Levenshtein

    if isinstance(source, bytes) and isinstance(target, bytes):
        return int(Levenshtein.distance(source.decode("latin-1"), target.decode("latin-1")))
    return int(Levenshtein.distance(source, target))


def characters(source: bytes, target: bytes) -> tuple[str, str] | tuple[bytes, bytes]:
    """Both texts as characters where both are UTF-8, else as bytes."""
    try:
        return source.decode(), target.decode()
    except UnicodeDecodeError:
        return source, target


@dataclass(frozen=True)
class Effort:
    """From the source to one edited text. phrases: `edit_distance`; levenshtein: symbols; symbols: of the edited text; bits:
    K(edited|source); alone: K(edited)."""

    phrases: int
    levenshtein: int
    symbols: int
    bits: float
    alone: float


@dataclass(frozen=True)
class Efforts:
    """From one source to several edited texts, with what they rest on."""

    coder: str
    source: Size
    edited: list[Size]
    efforts: list[Effort]
    notices: list[str]


def efforts(coder: CodeLengths, source: bytes, edited: Sequence[bytes], progress: Progress = unwatched) -> Efforts:
    """All three measures of effort, from the source to each edited text: phrases, Levenshtein, and the coder's own, the bits of
    the edited text given the source. Raises ValueError for empty texts."""
    if not source or not all(edited):
        raise ValueError("an empty text has no distance to others")
    alone = coder.alone(edited, progress)
    ((_, bits),) = coder.given([source], edited, np.ones((1, len(edited)), np.bool_), progress)
    found = []
    for i, target in enumerate(edited):
        before, after = characters(source, target)
        found.append(
            Effort(
                edit_distance(before, after), levenshtein(before, after), len(after), float(bits[i]), float(alone[i])
            )
        )
    return Efforts(coder.name, coder.sizes([source])[0], coder.sizes(edited), found, coder.notices([source], edited))
