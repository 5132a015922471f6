"""What a report says of the model it was made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmzip.codec.locate import resolve, table_bytes, table_facts
from llmzip.codec.settings import LAST_WITHOUT_NETWORK
from llmzip.model import embedded
from llmzip.model.base import LanguageModel
from llmzip.model.split import all_parts


def model_bytes(named: str | Path | None) -> int:
    """Size of a model as it is stored, all its parts together. `named` as for `Codec`. Raises ModelError, OSError."""
    path = resolve(named).path or embedded.PACKED
    return sum(path.with_name(part).stat().st_size for part in all_parts(path.name))


def data_bytes(model: int, level: int, *, mixing: bool, own: bool) -> int:
    """What a level needs beside a file: the network of `model` bytes, the table of n-grams, or both."""
    table = table_bytes() if mixing and not own else 0
    return table + (model if level > LAST_WITHOUT_NETWORK else 0)


def table_document() -> dict[str, Any]:
    """The same of the table of n-grams, which is all there is where no network takes part."""
    identity, vocabulary = table_facts()
    return {
        "name": "table of n-grams",
        "identity": identity.hex(),
        "bytes": table_bytes(),
        "vocabulary": vocabulary,
    }


def model_document(named: str | Path | None, model: LanguageModel) -> dict[str, Any]:
    """Name, identity, size and vocabulary of a model, for a JSON document."""
    return {
        "name": model.name,
        "identity": model.identity.hex(),
        "bytes": model_bytes(named),
        "vocabulary": len(model.pieces),
    }
