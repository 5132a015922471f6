"""A user's own GGUF, evaluated in F32 so that its files open everywhere."""

from __future__ import annotations

from pathlib import Path

from llmzip.errors import ModelError
from llmzip.model.expansion import expanded
from llmzip.model.identity import model_identity
from llmzip.model.llama import LlamaModel


def load_own(path: Path, threads: int = 0) -> LlamaModel:
    """The model in a GGUF file, expanded to F32 like the embedded one. Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"there is no model file {path}; give --model the path of a GGUF file")
    identity = model_identity(path)
    with expanded(path, identity) as file:
        return LlamaModel(file, identity, path.name, None, threads)
