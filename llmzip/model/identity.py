"""The identity of a model: a hash over everything in a GGUF that can change a logit or a token."""

from __future__ import annotations

import hashlib
from pathlib import Path

from llmzip.errors import ModelError

IDENTITY_BYTES = 8


def model_identity(path: Path) -> bytes:
    """BLAKE2b, 8 bytes, over the metadata (but not the `general.*` fields, which describe) and all tensors of a GGUF.

    Fields and tensors are taken in the order of their names, so a rewritten file keeps its identity. Raises ModelError.

    format: the identity stands in the header of every compressed file.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise ModelError(f"{path} is not a readable GGUF model: {error}") from None
    digest = hashlib.blake2b(digest_size=IDENTITY_BYTES)
    for name in sorted(reader.fields):
        if not name.startswith(("general.", "GGUF.")):
            digest.update(name.encode())
            for part in reader.fields[name].parts:
                digest.update(part.tobytes())
    for tensor in sorted(reader.tensors, key=lambda tensor: tensor.name):
        digest.update(f"{tensor.name} {tensor.tensor_type} {tensor.shape.tolist()}".encode())
        digest.update(tensor.data.tobytes())
    return digest.digest()
