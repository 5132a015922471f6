"""The decoder of the range coder's words (`rangecoder`), which needs neither constriction nor NumPy: both take longer to import than a
short file takes to decode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmzip.coding import _mixer
from llmzip.errors import CorruptError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TurnDecoder:
    """Reads back what a TurnEncoder wrote, given the same probabilities. The loop is native; `native` is its object."""

    def __init__(self, data: bytes) -> None:
        self.native = _mixer.Decoder(data)

    def decode(self, probabilities: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Bits (n,) of the next turns. Raises CorruptError where the data cannot come from an encoder."""
        import numpy as np

        bits = np.frombuffer(self.native.decode(np.ascontiguousarray(probabilities, np.uint16)), np.uint8)
        self.check()
        return bits

    def check(self) -> None:
        """Raises CorruptError where the data so far cannot come from an encoder."""
        # An encoder's words stand for all turns but for zeros at the end, and the state looks two words ahead.
        if self.native.broken:
            raise CorruptError("the coded text is damaged: the range coder met data that no encoder writes")
