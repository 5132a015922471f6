"""What a GGUF file holds: the identity of a model, and the facts that decide whether and how it can be used.

The identity is a hash over everything that can change a logit or a token. Hashing a large model takes a while, so
results are remembered, together with the sizes and times of the files they were read from.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmzip.errors import ModelError
from llmzip.model.gguf_file import GgufHeader, mapped, read_header
from llmzip.model.split import all_parts

IDENTITY_BYTES = 8
_F32 = 0
_REMEMBERED = "identities.json"
_MOST_REMEMBERED = 500
_DESCRIBING = ("general.", "GGUF.", "split.")


@dataclass(frozen=True)
class ModelFacts:
    """A model as its files describe it. Sizes in bytes; `weights` counts numbers; `kind` is the commonest weight
    type."""

    identity: str
    architecture: str
    name: str
    kind: str
    weights: int
    stored: int
    vocabulary: int
    context: int
    parts: int
    plain: bool
    """All weights are F32 already."""
    learned_positions: bool
    """Positions are learnt one by one: there are none beyond the context, and cached ones cannot be moved."""

    @property
    def expanded(self) -> int:
        """Size of the weights in F32."""
        return 4 * self.weights


def model_files(path: Path) -> list[Path]:
    """The files of the model that one of them belongs to, the first part first. Raises ModelError for missing ones."""
    files = [path.with_name(name) for name in all_parts(path.name)]
    missing = [file for file in files if not file.is_file()]
    if len(files) == 1 and missing:
        raise ModelError(f"there is no model file {path}; give the path of a GGUF file")
    if missing:
        raise ModelError(
            f"{path} is one of {len(files)} parts of a model, and {missing[0].name} is not beside it; get all parts"
        )
    return files


def model_identity(path: Path) -> bytes:
    """The identity of the model in a file, read from the file itself. Raises ModelError."""
    return bytes.fromhex(_read_facts(model_files(path)).identity)


def model_facts(path: Path, *, fresh: bool = False) -> ModelFacts:
    """The facts on a model, remembered or read (always if `fresh`). Raises ModelError, also for what is no text
    model."""
    files = model_files(path)
    key, stamp = str(files[0].resolve()), _stamp(files)
    known = _recall()
    entry = known.get(key)
    if not fresh and isinstance(entry, dict) and entry.get("stamp") == stamp:
        with contextlib.suppress(TypeError, KeyError):
            return ModelFacts(**entry["facts"])
    facts = _read_facts(files)
    known.pop(key, None)
    _remember(known | {key: {"stamp": stamp, "facts": asdict(facts)}})
    return facts


def _read_facts(files: list[Path]) -> ModelFacts:
    """BLAKE2b, 8 bytes, over the metadata (but not `general.*`, which describes) and all tensors; and what else counts.

    Fields and tensors are taken in the order of their names, so a rewritten, split or joined file keeps its identity.

    format: the identity stands in the header of every compressed file.
    """
    with contextlib.ExitStack() as stack:
        contents = [stack.enter_context(mapped(file)) for file in files]
        headers = [read_header(file, content) for file, content in zip(files, contents, strict=True)]
        first = headers[0]
        _refuse(files, headers)
        digest = hashlib.blake2b(digest_size=IDENTITY_BYTES)
        for name in sorted(first.stored):
            if not name.startswith(_DESCRIBING):
                start, stop = first.stored[name]
                digest.update(name.encode())
                digest.update(contents[0][start:stop])
        tensors = [
            (tensor, content) for header, content in zip(headers, contents, strict=True) for tensor in header.tensors
        ]
        sizes: dict[int, int] = {}
        for tensor, content in sorted(tensors, key=lambda pair: pair[0].name):
            digest.update(f"{tensor.name} {tensor.kind} {list(tensor.shape)}".encode())
            digest.update(content[tensor.start : tensor.start + tensor.size])
            sizes[tensor.kind] = sizes.get(tensor.kind, 0) + tensor.size
        return ModelFacts(
            identity=digest.hexdigest(),
            architecture=first.architecture,
            name=str(first.values.get("general.name", "")),
            kind=_kind_name(max(sizes, key=sizes.__getitem__)),
            weights=sum(tensor.elements for tensor, _ in tensors),
            stored=sum(tensor.size for tensor, _ in tensors),
            vocabulary=int(first.values.get("tokenizer.ggml.tokens", 0)),
            context=int(first.of_architecture("context_length", 0)),
            parts=len(files),
            plain=set(sizes) == {_F32},
            learned_positions=any(tensor.name == "position_embd.weight" for tensor, _ in tensors),
        )


def _kind_name(kind: int) -> str:
    from gguf import GGMLQuantizationType

    return GGMLQuantizationType(kind).name


def _refuse(files: list[Path], headers: list[GgufHeader]) -> None:
    """Raises ModelError for GGUF files that hold something else than a model that continues text."""
    path, first = files[0], headers[0]
    count = int(first.values.get("split.count", 0))
    if count > 1 and count != len(files):
        raise ModelError(
            f"{path} is one of {count} parts of a model, but not named like one (NAME-00001-of-{count:05d}.gguf)"
        )
    kind = str(first.values.get("general.type", "model"))
    if kind not in ("model", ""):
        raise ModelError(f"{path} holds no model by itself (its type is {kind}); name the text model's GGUF")
    architecture = first.architecture
    if not architecture:
        raise ModelError(f"{path} does not say which architecture it has: not a model that llama.cpp can run")
    if architecture == "clip" or any(tensor.name.startswith(("v.", "mm.", "a.")) for tensor in first.tensors[:8]):
        raise ModelError(f"{path} holds the vision or audio part of a model; name the text model's GGUF")
    if not any(header.tensors for header in headers):
        raise ModelError(f"{path} holds a vocabulary without weights; name a complete model")
    if first.of_architecture("attention.causal", True) is False or first.of_architecture("pooling_type", 0):
        raise ModelError(
            f"{path} is an embedding model ({architecture}): it does not predict the next token, so it cannot compress"
        )
    if not first.values.get("tokenizer.ggml.tokens"):
        raise ModelError(f"{path} has no vocabulary of its own, so text cannot be turned into its tokens")


def _stamp(files: list[Path]) -> list[list[int]]:
    # The time of the last change of the inode: that of the content can be set back.
    status = [file.stat() for file in files]
    return [[each.st_size, each.st_mtime_ns, each.st_ctime_ns, each.st_ino] for each in status]


def _memory_file() -> Path:
    from llmzip.model.places import cache_folder

    return cache_folder() / _REMEMBERED


def _recall() -> dict[str, Any]:
    try:
        known = json.loads(_memory_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(known: dict[str, Any]) -> None:
    """Best effort: without it the next run hashes again."""
    from llmzip.model.places import store_json

    with contextlib.suppress(OSError):
        store_json(_memory_file(), dict(list(known.items())[-_MOST_REMEMBERED:]))
