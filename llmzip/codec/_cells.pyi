from typing import Any

from numpy.typing import NDArray

from llmzip.model._masses import Masses

NONE: int

class Grids:
    def __init__(
        self, base: int, base_edges: NDArray[Any], shifted: int, shifted_edges: NDArray[Any], neutral: int
    ) -> None: ...
    def decode(self, odds: NDArray[Any], states: NDArray[Any], out: NDArray[Any], /) -> None: ...

class Cells:
    def __init__(
        self,
        masses: Masses,
        grids: Grids,
        odds: NDArray[Any] = ...,
        states: NDArray[Any] = ...,
        cells: NDArray[Any] = ...,
        instead: NDArray[Any] = ...,
    ) -> None: ...
    @property
    def capsule(self) -> object: ...
