"""The codec, where the soft and the hard side meet. Names load on first use, so that importing this costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmzip.codec.codec import Codec
    from llmzip.codec.summary import Summary

__all__ = ["Codec", "Summary"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from llmzip.coding import packaged

        packaged.begin()
        from llmzip.codec import codec

        return getattr(codec, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
