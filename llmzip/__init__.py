"""Lossless text compression driven by a language model.

    >>> import llmzip
    >>> packed = llmzip.compress("It was a dark and stormy night.".encode())
    >>> llmzip.decompress(packed)
    b'It was a dark and stormy night.'

Functions and files share what they load: a process loads a model once. A `Codec` of one's own can let it go. Errors are
subclasses of `LlmzipError`, and of Python's own where Python has one.
"""

from __future__ import annotations

# As in `typing`, which takes a while: the sooner this module is there, the sooner the command hears Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Buffer

    from llmzip.codec.codec import Codec
    from llmzip.codec.settings import Settings
    from llmzip.codec.summary import Summary
    from llmzip.errors import (
        ArithmeticMismatchError,
        ContextError,
        CorruptError,
        LlmzipError,
        ModelError,
        TruncatedError,
        UsageError,
    )
    from llmzip.files.file import LlmzipFile, open
    from llmzip.files.incremental import Compressor, Decompressor
    from llmzip.version import __version__

__all__ = [
    "ArithmeticMismatchError",
    "Codec",
    "Compressor",
    "ContextError",
    "CorruptError",
    "Decompressor",
    "LlmzipError",
    "LlmzipFile",
    "ModelError",
    "Settings",
    "Summary",
    "TruncatedError",
    "UsageError",
    "__version__",
    "compress",
    "decompress",
    "open",
]

_HOMES = {  # of the names that are loaded when they are first used
    "ArithmeticMismatchError": "llmzip.errors",
    "Codec": "llmzip.codec.codec",
    "Compressor": "llmzip.files.incremental",
    "ContextError": "llmzip.errors",
    "CorruptError": "llmzip.errors",
    "Decompressor": "llmzip.files.incremental",
    "LlmzipError": "llmzip.errors",
    "LlmzipFile": "llmzip.files.file",
    "ModelError": "llmzip.errors",
    "Settings": "llmzip.codec.settings",
    "Summary": "llmzip.codec.summary",
    "TruncatedError": "llmzip.errors",
    "UsageError": "llmzip.errors",
    "__version__": "llmzip.version",
    "open": "llmzip.files.file",
}


def compress(data: Buffer, **options: Any) -> bytes:
    """A complete compressed file for the bytes of any buffer. Options as for `Settings`: model, level, ...

    Safe in several threads. Raises ModelError, ContextError, UsageError (a ValueError), TypeError for what is no buffer.
    """
    from llmzip.files.shared import shared_codec

    return shared_codec(**options).compress(data)


def decompress(data: Buffer, **options: Any) -> bytes:
    """The original bytes of a compressed file, all its members. Options as for `Settings`.

    Safe in several threads. Raises CorruptError (TruncatedError, also an EOFError, for a cut file), ModelError,
    ContextError, ArithmeticMismatchError, UsageError (a ValueError), TypeError for what is no buffer.
    """
    from llmzip.files.shared import shared_codec

    return shared_codec(**options).decompress(data)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
