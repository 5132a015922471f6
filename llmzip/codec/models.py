"""From what the user names to a loaded model."""

from __future__ import annotations

from pathlib import Path

from llmzip.model import embedded
from llmzip.model.base import LanguageModel


def load_model(path: str | Path | None, threads: int) -> LanguageModel:
    """The embedded model (None), or a GGUF file expanded to F32. Raises ModelError."""
    if path is None:
        return embedded.load_embedded(threads)
    from llmzip.model.own import load_own

    return load_own(Path(path), threads)


def at_hand(identity: bytes) -> bool:
    """Whether the model of this identity can be used without being named."""
    return identity == embedded.IDENTITY
