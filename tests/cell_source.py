"""A source of cells for the decoder's loop that knows them beforehand: the interface of cellsource.h, spoken from Python."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

_Cell = ctypes.CFUNCTYPE(
    ctypes.c_uint8, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint8
)


class _Struct(ctypes.Structure):
    _fields_ = [("depth", ctypes.c_uint32), ("rows", ctypes.c_uint32), ("cell", _Cell)]


class CellSource:
    """Cells (active, depth) of one step, of streams from 0 on. Notes what it is told: `turns` (stream, level) in order, `faults` where that is
    not what these ranks and states lead to. rows: that it says it has, if not those."""

    def __init__(
        self, ranks: NDArray[np.uint32], states: NDArray[np.uint8], cells: NDArray[np.uint8], rows: int | None = None
    ) -> None:
        active, depth = cells.shape
        self.turns: list[tuple[int, int]] = []
        self.faults: list[str] = []

        def cell(source, stream, level, prefix, state) -> int:
            self.turns.append((stream, level))
            if (prefix, state) != (int(ranks[stream]) >> depth - level, states[stream]):
                self.faults.append(f"stream {stream}, level {level}: prefix {prefix}, state {state}")
            return int(cells[stream, level])

        self._struct = _Struct(depth, rows or active, _Cell(cell))
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self.capsule = new(ctypes.addressof(self._struct), b"llmzip.cells", None)
