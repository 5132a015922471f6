"""What GPUs need: batches of shapes that CUDA computes in F32, and a look at the memory that is left.

llama.cpp's own kernel for matrices of F32 with 4 to 16 columns (mmf.cu) rounds the factors to TF32, ten bits of mantissa, on GPUs from
Ampere on, and no setting turns that off. Fewer columns go to its kernels for vectors, more to cuBLAS, which `NVIDIA_TF32_OVERRIDE=0`
keeps at F32. The columns of a product are the rows of a batch, those of attention the rows of one stream.
"""

from __future__ import annotations

import ctypes

import llama_cpp.llama_cpp as library
import numpy as np
from numpy.typing import NDArray

from llmzip.model.llama import LlamaEvaluator

_GPU = 1  # ggml_backend_dev_type

_FEW, MANY = 3, 17
"""Columns of the kernels for vectors at most, and of cuBLAS at least."""
_AWKWARD = 5  # streams of one row that need so many rows each: two or three would not be enough


def free_memory() -> int:
    """Bytes that the first GPU has left, as its driver says; 0 where llama.cpp finds none, or cannot be asked."""
    size = ctypes.POINTER(ctypes.c_size_t)

    def device(kind: int) -> int | None: ...

    def memory(device: int, free: object, total: object) -> None: ...

    try:
        find = library.ctypes_function("ggml_backend_dev_by_type", [ctypes.c_int], ctypes.c_void_p)(device)
        ask = library.ctypes_function("ggml_backend_dev_memory", [ctypes.c_void_p, size, size], None)(memory)
    except AttributeError:  # of another library, here
        return 0
    found, free, total = find(_GPU), ctypes.c_size_t(), ctypes.c_size_t()
    if found:
        ask(found, ctypes.byref(free), ctypes.byref(total))
    return free.value


def _in_full(columns: int) -> bool:
    return columns <= _FEW or columns >= MANY


def rows_each(streams: int, rows: int) -> int:
    """The fewest rows of each of so many streams, at least `rows`, with which all products are computed in full."""
    for each in (rows, max(rows, -(-MANY // streams))):
        if _in_full(each) and _in_full(each * streams):
            return each
    return MANY


def most_rows(streams: int, rows: int) -> int:
    """What batches of at most `rows` rows of so many streams, about as many of each, can grow to."""
    return max(rows, MANY * min(streams, max(_AWKWARD, rows // (_FEW + 1))))


class FullPrecisionEvaluator(LlamaEvaluator):
    """Streams of one llama.cpp context on a GPU; batches are filled up with rows that are taken back at once.

    rows, context: as callers know them. filler: the token of these rows.
    """

    def __init__(
        self, model: object, vocabulary: int, streams: int, context: int, rows: int, threads: int, filler: int
    ) -> None:
        rows = max(rows, streams)
        super().__init__(model, vocabulary, streams, context + MANY - 1, most_rows(streams, rows), threads, True)
        self._most, self.rows, self._filler = self.rows, rows, filler

    def evaluate(
        self, tokens: NDArray[np.int32], positions: NDArray[np.int32], streams: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        firsts = np.flatnonzero(np.diff(streams, prepend=-1))  # rows come stream by stream
        counts = np.diff(firsts, append=len(streams))
        each = rows_each(len(firsts), int(counts.max()))
        if np.all(counts == each):
            return super().evaluate(tokens, positions, streams)
        if each * len(firsts) > self._most:  # streams of very different lengths
            parts = [slice(first, first + count) for first, count in zip(firsts.tolist(), counts.tolist(), strict=True)]
            return np.concatenate(
                [self.evaluate(tokens[part], positions[part], streams[part]).copy() for part in parts]
            )
        offsets = np.arange(each)
        given = offsets < counts[:, None]
        filled = np.full(given.shape, self._filler, np.int32)
        filled[given] = tokens
        at = (positions[firsts, None] + offsets).astype(np.int32)
        logits = super().evaluate(filled.ravel(), at.ravel(), np.repeat(streams[firsts], each))[given.ravel()]
        for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
            if count < each:
                self._take_back(int(streams[first]), int(positions[first]) + count)
        return logits
