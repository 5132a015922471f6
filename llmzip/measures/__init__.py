"""What code lengths tell about texts (docs/measures.md).

    >>> from llmzip.measures import ModelLengths, distance_matrix
    >>> from llmzip.codec.settings import Settings
    >>> with ModelLengths(Settings(level=1)) as coder:
    ...     found = distance_matrix(coder, [b"The moon rose over the hills.", b"The moon rose over the lake.", b"Oil fell."])
    >>> bool(found.values[0, 1] < found.values[0, 2])
    True

Coders (`ModelLengths`, `contender`, `StoredLengths`) give code lengths; `distance_matrix`, `by_class`, `by_neighbours` and `efforts` make
something of them. `EqualInfo`, `shorten` and `restore` are exact inverses of their own. Bad arguments raise ValueError and TypeError.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmzip.measures.classes import by_class, by_neighbours, cross_validate
    from llmzip.measures.distances import distance_matrix
    from llmzip.measures.editing import edit_distance, efforts, levenshtein
    from llmzip.measures.equal_info import EqualInfo
    from llmzip.measures.lengths import contender
    from llmzip.measures.model_lengths import ModelLengths
    from llmzip.measures.prompts import restore, restore_text, saved, shorten, shorten_text
    from llmzip.measures.store import StoredLengths

__all__ = [
    "EqualInfo",
    "ModelLengths",
    "StoredLengths",
    "by_class",
    "by_neighbours",
    "contender",
    "cross_validate",
    "distance_matrix",
    "edit_distance",
    "efforts",
    "levenshtein",
    "restore",
    "restore_text",
    "saved",
    "shorten",
    "shorten_text",
]

_HOMES = {
    "classes": ("by_class", "by_neighbours", "cross_validate"),
    "distances": ("distance_matrix",),
    "editing": ("edit_distance", "efforts", "levenshtein"),
    "equal_info": ("EqualInfo",),
    "lengths": ("contender",),
    "model_lengths": ("ModelLengths",),
    "prompts": ("restore", "restore_text", "saved", "shorten", "shorten_text"),
    "store": ("StoredLengths",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Prompts need no codec, editing no arrays of a model: what is not asked for is not imported.
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
