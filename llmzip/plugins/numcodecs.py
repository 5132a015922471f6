"""numcodecs: the codec `llmzip`, found by `numcodecs.get_codec` (entry point `numcodecs.codecs`); zarr uses it for arrays of format 2."""

from __future__ import annotations

from typing import Any

from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy

from llmzip.plugins.configured import Configured


class Llmzip(Codec):
    """Compresses buffers, as of text, into complete .llmz files.

    options: level and, of `Settings`, model (a name or path), mix, streams, window, exact, block_size. They are the
    configuration, without those that are as by default. Safe in several threads. Raises UsageError (a ValueError), TypeError for
    unknown options, and errors as `llmzip.compress` and `llmzip.decompress` do.
    """

    codec_id = "llmzip"

    def __init__(self, **options: Any) -> None:
        self._configured = Configured(options)

    def encode(self, buf: Any) -> bytes:
        """The compressed file for a contiguous buffer of any type but object."""
        return self._configured.codec.compress(ensure_contiguous_ndarray(buf))

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The original bytes; put into `out`, a buffer of just this size, if it is given."""
        data = self._configured.codec.decompress(ensure_contiguous_ndarray(buf))
        return ndarray_copy(data, None if out is None else ensure_contiguous_ndarray(out))

    def get_config(self) -> dict[str, Any]:
        """The configuration, all JSON, with the `id`."""
        return {"id": self.codec_id, **self._configured.configuration}

    def __repr__(self) -> str:
        return f"Llmzip({', '.join(f'{name}={value!r}' for name, value in self._configured.configuration.items())})"
