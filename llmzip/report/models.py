"""What a report says of the model it was made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmzip.model import embedded
from llmzip.model.base import LanguageModel


def model_bytes(path: str | Path | None) -> int:
    """Size of the model as it is stored; None is the built-in one. Raises OSError."""
    return (embedded.PACKED if path is None else Path(path)).stat().st_size


def describe(path: str | Path | None, model: LanguageModel) -> dict[str, Any]:
    """Name, identity, size and vocabulary of a model, for a JSON document."""
    return {
        "name": model.name,
        "identity": model.identity.hex(),
        "bytes": model_bytes(path),
        "vocabulary": len(model.pieces),
    }
