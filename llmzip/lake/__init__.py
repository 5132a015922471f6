"""Corpora of many files on any store, compressed by all workers of a Dask cluster; columns of strings, too.

    >>> from llmzip.lake import Corpus, compress
    >>> report = compress(Corpus("s3://bucket/**/*.txt"), "s3://other/")  # doctest: +SKIP

Paths go through fsspec, work through Dask: neither is imported before it is needed. `docs/scale.md` has the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmzip.lake.columns import compress_bag, compress_column, decompress_bag, decompress_column
    from llmzip.lake.jobs import compress, decompress, verify
    from llmzip.lake.places import Corpus

__all__ = [
    "Corpus",
    "compress",
    "compress_bag",
    "compress_column",
    "decompress",
    "decompress_bag",
    "decompress_column",
    "verify",
]

_HOMES = {
    "Corpus": "places",
    "compress": "jobs",
    "decompress": "jobs",
    "verify": "jobs",
    **dict.fromkeys(("compress_bag", "compress_column", "decompress_bag", "decompress_column"), "columns"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"llmzip.lake.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
