"""What the mixer begins with where there is no network: a leaning tree and weights, learnt once and kept inside the package."""

from __future__ import annotations

import struct
import zlib
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmzip.coding import packaged
from llmzip.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = packaged.START

# format: blocks without a network decode with this start alone; files name it together with the table (table_file.py).
IDENTITY = bytes.fromhex("789c2735f32cc89c")

MAGIC = b"\xecLZS\r\n\x01\x00"
_SHAPE = struct.Struct("<6I")


class Start:
    """A start, unpacked. Raises ValueError where it is damaged; `Mixer` looks at the rest."""

    def __init__(self, data: bytes) -> None:
        if len(data) < len(MAGIC) + _SHAPE.size or not data.startswith(MAGIC):
            raise ValueError("is no start of a mixer")
        self.data = data
        self.leaves, self.rows, self.inputs, self.mixes, self.knots, self.maps = _SHAPE.unpack_from(data, len(MAGIC))

    @classmethod
    def untaught(cls, lengths: bytes) -> Start:
        """A tree (turns on the way to each leaf) without weights."""
        return cls(MAGIC + _SHAPE.pack(len(lengths), 0, 0, 0, 0, 0) + lengths)

    @cached_property
    def lengths(self) -> bytes:
        """Turns on the way to each leaf, one byte each."""
        at = len(MAGIC) + _SHAPE.size
        return self.data[at : at + self.leaves]

    @property
    def _of_weights(self) -> slice:
        """Where the weights of both layers are."""
        first = len(MAGIC) + _SHAPE.size + self.leaves + 2 * self.rows
        return slice(first, first + 2 * (self.rows * self.inputs + self.mixes))

    @property
    def weights(self) -> NDArray[np.int16]:
        """Of both layers, (rows * inputs + mixes,)."""
        import numpy as np

        return np.frombuffer(self.data[self._of_weights], "<i2")

    def with_weights(self, weights: NDArray[np.int16]) -> Start:
        """The same with these. Raises ValueError where they are not as many."""
        place, data = self._of_weights, weights.astype("<i2").tobytes()
        if len(data) != place.stop - place.start:
            raise ValueError("weights of another shape")
        return Start(self.data[: place.start] + data + self.data[place.stop :])

    def resting(self, visits: int, observations: int, step: int) -> Start:
        """The same, with no row of weights visited and no state of a map observed more often than that, so that what comes weighs
        more; weights are multiples of `step`, which makes the file smaller."""
        import numpy as np

        at = len(MAGIC) + _SHAPE.size + self.leaves
        visited = np.minimum(np.frombuffer(self.data, "<u2", self.rows, at), visits).astype("<u2").tobytes()
        coarse, rows = self.weights.astype(np.int32), self.rows * self.inputs
        coarse[:rows] = np.clip((coarse[:rows] + step // 2) // step * step, -(1 << 15), (1 << 15) - step)
        data = self.with_weights(coarse.astype(np.int16)).data
        end = len(self.data) - 2 * self.maps
        seen = np.minimum(np.frombuffer(self.data, "<u2", self.maps, end), observations).astype("<u2").tobytes()
        return Start(data[:at] + visited + data[at + len(visited) : end] + seen)


def open_start(path: Path, identity: bytes) -> Start:
    """A start from its file. Raises ModelError where it is missing, damaged or another one."""
    try:
        packed, found, unpacked = packaged.read(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"the start of the mixer cannot be read ({path}: {error}); reinstall llmzip") from None
    if found != identity:
        raise ModelError(f"{path} is damaged; reinstall llmzip")
    return Start(unpacked or zlib.decompress(packed))


@cache
def embedded_start() -> Start:
    """The start inside the package. Raises ModelError where it is missing or damaged."""
    return open_start(FILE, IDENTITY)
