"""Lossless text compression driven by a language model.

    >>> import llmzip
    >>> packed = llmzip.compress("It was a dark and stormy night.".encode())
    >>> llmzip.decompress(packed)
    b'It was a dark and stormy night.'

Every call of the two functions loads the model; a `Codec` keeps it loaded. Errors are subclasses of `LlmzipError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmzip.errors import ArithmeticMismatchError, CorruptError, LlmzipError, ModelError, UsageError
from llmzip.version import __version__

if TYPE_CHECKING:
    from llmzip.codec.codec import Codec
    from llmzip.codec.summary import Summary

__all__ = [
    "ArithmeticMismatchError",
    "Codec",
    "CorruptError",
    "LlmzipError",
    "ModelError",
    "Summary",
    "UsageError",
    "__version__",
    "compress",
    "decompress",
]


def compress(data: bytes, **options: Any) -> bytes:
    """A complete compressed file for these bytes. Options as for `Codec`. Raises ModelError, UsageError."""
    from llmzip.codec.codec import Codec

    with Codec(**options) as codec:
        return codec.compress(data)


def decompress(data: bytes, **options: Any) -> bytes:
    """The original bytes of a compressed file. Options as for `Codec`. Raises CorruptError, ModelError."""
    from llmzip.codec.codec import Codec

    with Codec(**options) as codec:
        return codec.decompress(data)


def __getattr__(name: str) -> Any:
    if name in ("Codec", "Summary"):
        from llmzip.codec import codec

        return getattr(codec, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
