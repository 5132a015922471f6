"""The cells that stand for a turn's probability on the hard side.

A cell is an interval of log odds ln(p / (1 - p)) of turning right. There are two grids, the second shifted by half a
cell, and one neutral cell for turns whose probability had to be given up. All share one numbering:

    0 .. 31   base grid, from certainly left to certainly right
    32 .. 64  shifted grid
    65        neutral, p = 1/2

Widths are proportional to (p (1 - p)) ** (-1/3), which minimises the sum of two costs: a wide cell wastes bits in
proportion to p (1 - p) width**2, a narrow one makes a drifting value cross an edge in proportion to 1 / width.

format: edges and centres decide the cell of every turn and the bits it costs.
"""

from __future__ import annotations

from array import array

UNIT = 256  # edges and centres are integers in units of 1/256 of log odds

# The half above zero; both tables are symmetric.
_EDGES = (67, 135, 206, 278, 354, 436, 522, 617, 723, 845, 986, 1159, 1380, 1693, 2225)
_CENTRES = (34, 101, 170, 242, 316, 394, 477, 568, 668, 781, 912, 1067, 1261, 1519, 1912, 2756)
_OUTERMOST = 3289  # centre of the shifted grid's last cell


def _mirrored(half: tuple[int, ...], middle: tuple[int, ...] = ()) -> array[int]:
    return array("h", [*(-x for x in reversed(half)), *middle, *half])


BASE_EDGES = _mirrored(_EDGES, (0,))
SHIFTED_EDGES = _mirrored(_CENTRES)
BASE = 0
SHIFTED = len(BASE_EDGES) + 1
NEUTRAL = SHIFTED + len(SHIFTED_EDGES) + 1

# Centre of every cell by its number, int16 in units of 1/UNIT: what the mixer starts from.
CENTRES = SHIFTED_EDGES + _mirrored((*_EDGES, _OUTERMOST), (0,)) + array("h", [0])

# How a token's cells were chosen.
SAFE, HALF_SHIFTED, ESCAPED = 0, 1, 2
