"""What one stream of a llama.cpp context holds, as a copy that goes into a context of any number of streams.

llama.cpp lists the cells of every stream in such a copy, none for all but one, and takes it back only where there are as many. Here the others are left
out, which is what a context of a single stream gives, and put in again. A copy of any other kind than that is not taken.

    magic, stream, streams, then for each stream: cells, and unless that is 0 their positions, keys and values      (32-bit words)
"""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

_HEAD = 3  # words before the first stream's number of cells


def save(context: Any, stream: int, streams: int) -> NDArray[np.uint8] | None:
    """A copy (bytes,) of what a stream holds; not while positions are to be moved. None where it cannot be carried to another context."""
    if llama_cpp.llama_model_n_swa(llama_cpp.llama_get_model(context)):
        return None  # two caches one behind the other
    copy = np.empty(llama_cpp.llama_state_seq_get_size(context, stream), np.uint8)
    size = llama_cpp.llama_state_seq_get_data(context, _pointer(copy), len(copy), stream)
    if size != len(copy) or size % 4 or size < 4 * (_HEAD + streams):
        return None
    words = copy.view(np.uint32)
    own, behind = _HEAD + stream, len(words) - (streams - 1 - stream)
    others = words[_HEAD:own], words[behind:]
    if words[2] != streams or any(part.any() for part in others) or words[own] != _held(context, stream):
        return None
    one = words[stream:behind]
    one[:_HEAD] = words[0], 0, 1
    return one.view(np.uint8)


def restore(context: Any, stream: int, streams: int, copy: NDArray[np.uint8]) -> bool:
    """Let a stream go on from what `save` gave; False where llama.cpp does not take it, and the stream is of no use any more."""
    words = np.concatenate([copy.view(np.uint32), np.zeros(streams - 1, np.uint32)])
    words[2] = streams
    memory = llama_cpp.llama_get_memory(context)
    llama_cpp.llama_memory_seq_rm(memory, stream, -1, -1)
    taken = llama_cpp.llama_state_seq_set_data(context, _pointer(words), words.nbytes, stream)
    return bool(taken == words.nbytes and words[_HEAD] == _held(context, stream))


def _held(context: Any, stream: int) -> int:
    """Positions that a stream holds, which follow on from each other."""
    memory = llama_cpp.llama_get_memory(context)
    last = llama_cpp.llama_memory_seq_pos_max(memory, stream)
    return 0 if last < 0 else int(last - llama_cpp.llama_memory_seq_pos_min(memory, stream) + 1)


def _pointer(array: NDArray[Any]) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
