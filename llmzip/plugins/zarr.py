"""zarr: the codec `llmzip` for arrays of format 3, found by its name (entry point `zarr.codecs`)."""

from __future__ import annotations

import asyncio
from typing import Any

from zarr.abc.codec import BytesBytesCodec

from llmzip.plugins.configured import Configured


class LlmzipCodec(BytesBytesCodec):
    """Compresses the chunks of an array, as of strings, into complete .llmz files: `compressors=[LlmzipCodec(level=6)]`.

    options: as of `llmzip.plugins.numcodecs.Llmzip`; they are stored with the array.
    """

    is_fixed_size = False

    def __init__(self, **options: Any) -> None:
        self._configured = Configured(options)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LlmzipCodec:
        """The codec of an array's metadata."""
        if data.get("name") != "llmzip":
            raise ValueError(f"the codec is called llmzip, not {data.get('name')!r}")
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Name and configuration, for an array's metadata."""
        return {"name": "llmzip", "configuration": self._configured.configuration}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        """Not known before a chunk is compressed."""
        raise NotImplementedError

    def _encode_sync(self, chunk: Any, spec: Any) -> Any:
        return spec.prototype.buffer.from_bytes(self._configured.codec.compress(chunk.to_bytes()))

    def _decode_sync(self, chunk: Any, spec: Any) -> Any:
        return spec.prototype.buffer.from_bytes(self._configured.codec.decompress(chunk.to_bytes()))

    async def _encode_single(self, chunk: Any, spec: Any) -> Any:
        return await asyncio.to_thread(self._encode_sync, chunk, spec)

    async def _decode_single(self, chunk: Any, spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LlmzipCodec) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(str(self.to_dict()))

    def __repr__(self) -> str:
        return (
            f"LlmzipCodec({', '.join(f'{name}={value!r}' for name, value in self._configured.configuration.items())})"
        )
