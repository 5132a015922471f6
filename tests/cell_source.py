"""A source of cells for the decoder's loop that knows them beforehand: the interface of cellsource.h, spoken from Python."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

_Fill = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.POINTER(ctypes.c_uint32),
    ctypes.POINTER(ctypes.c_uint8),
    ctypes.c_uint32,
    ctypes.POINTER(ctypes.c_uint8),
)


class _Struct(ctypes.Structure):
    _fields_ = [("depth", ctypes.c_uint32), ("rows", ctypes.c_uint32), ("fill", _Fill)]


class CellSource:
    """Cells (active, depth) of one step. Notes what it is told: `levels` in order, `faults` where that is not what these
    ranks and states lead to."""

    def __init__(self, ranks: NDArray[np.uint32], states: NDArray[np.uint8], cells: NDArray[np.uint8]) -> None:
        active, depth = cells.shape
        self.levels: list[int] = []
        self.faults: list[str] = []

        def fill(source, level, prefixes, told, count, out) -> int:
            self.levels.append(level)
            if prefixes[:count] != (ranks >> np.uint32(depth - level)).tolist():
                self.faults.append(f"prefixes at level {level}: {prefixes[:count]}")
            if told[:count] != states.tolist():
                self.faults.append(f"states at level {level}: {told[:count]}")
            for i in range(count):
                out[i] = int(cells[i, level])
            return 0

        self._struct = _Struct(depth, active, _Fill(fill))
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self.capsule = new(ctypes.addressof(self._struct), b"llmzip.cells", None)
