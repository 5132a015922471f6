"""The model inside the package: stored as Q8_0, evaluated in F32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmzip.errors import ModelError
from llmzip.model import BUILT_IN
from llmzip.model.base import Window

if TYPE_CHECKING:
    from llmzip.model.llama import LlamaModel

PACKED = Path(__file__).parent.parent / "data" / "embedded.gguf"

# format: files name the model by its identity; a new embedded model is a new identity (docs/models.md).
IDENTITY = bytes.fromhex("80561b8f758a5216")
SHA256 = "2cc53371a4f3225eff7cc306ca5326922bb5a86281257fe5a7e8c0cb028f4bcd"

EARLIER = PACKED.parent / "earlier"
"""Models that were embedded before: their files stay decodable, since a model that is needed is found here by its identity."""

# What the model was trained on, in tokens; the oldest quarter of a full window is dropped.
WINDOW = Window(1024, 4)


def _check_packed() -> None:
    from llmzip.model.expansion import file_digest

    if not PACKED.is_file() or file_digest(PACKED) != SHA256:
        raise ModelError(f"the model inside the package is missing or damaged ({PACKED}); reinstall llmzip")


def load_embedded(threads: int = 0, *, exact: bool = False, gpu_layers: int = 0) -> LlamaModel:
    """The embedded model, ready to evaluate in F32, or with its quantised weights as they are. Raises ModelError."""
    from llmzip.model.expansion import expanded
    from llmzip.model.llama import LlamaModel

    if exact:
        _check_packed()
        return LlamaModel(PACKED, IDENTITY, BUILT_IN, WINDOW, threads, gpu_layers=gpu_layers, one_gpu=True, exact=True)
    with expanded(PACKED, IDENTITY, _check_packed) as file:
        return LlamaModel(file, IDENTITY, BUILT_IN, WINDOW, threads, gpu_layers=gpu_layers, one_gpu=True)
