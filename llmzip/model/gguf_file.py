"""The header of a GGUF file: metadata and the places of the tensors, read without touching the weights.

The reader of the `gguf` package makes several arrays for each element of a vocabulary, which takes 10 s for 150,000
tokens; this one only steps over them. Layout: the GGUF specification, versions 2 and 3.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmzip.errors import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_DEFAULT_ALIGNMENT = 32
_MOST_DIMENSIONS = 4


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies: `start` and `size` in bytes of the file, `kind` a ggml type, `shape` fastest index first."""

    name: str
    kind: int
    shape: tuple[int, ...]
    start: int
    size: int

    @property
    def elements(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)


@dataclass
class GgufHeader:
    """What a GGUF file says before its weights.

    values: metadata, arrays only as their length. stored: each field's bytes as they stand in the file.
    """

    values: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, tuple[int, int]] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def architecture(self) -> str:
        """`general.architecture`; empty where it is missing."""
        return str(self.values.get("general.architecture", ""))

    def of_architecture(self, name: str, default: Any = None) -> Any:
        """The value of a field that belongs to the architecture, like `context_length`."""
        return self.values.get(f"{self.architecture}.{name}", default)


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of a file, mapped into memory. Raises ModelError."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            view = memoryview(content)
            try:
                yield view
            finally:
                view.release()
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise ModelError(f"cannot read the model {path}: {error}") from None


class _Scanner:
    """Reads a header from front to back; struct.error at the end of the bytes."""

    def __init__(self, data: memoryview) -> None:
        self._data, self.at, self._order = data, 0, "<"

    def number(self, kind: str) -> Any:
        """One number of a struct format."""
        layout = self._order + kind
        (value,) = struct.unpack_from(layout, self._data, self.at)
        self.at += struct.calcsize(layout)
        return value

    def skip(self, count: int) -> None:
        """Step over bytes that must be there."""
        if count > len(self._data) - self.at:
            raise struct.error("past the end")
        self.at += count

    def text(self) -> str:
        """A string with its length before it."""
        length = self.number("Q")
        self.skip(length)
        return bytes(self._data[self.at - length : self.at]).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """A value of a GGUF type; arrays only as their length."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_FORMATS[kind])
        inner, count = self.number("I"), self.number("Q")
        if inner == _STRING:
            for _ in range(count):
                self.skip(self.number("Q"))
        elif inner == _ARRAY:
            for _ in range(count):
                self.value(_ARRAY)
        else:
            self.skip(struct.calcsize("<" + _FORMATS[inner]) * count)
        return count


def read_header(path: Path, data: memoryview) -> GgufHeader:
    """The header of a mapped GGUF file. Raises ModelError for what is no GGUF, damaged or cut short."""
    if bytes(data[:4]) != _MAGIC:
        raise ModelError(f"{path} is not a GGUF model: it does not begin with GGUF")
    try:
        return _read(path, data)
    except (struct.error, KeyError, OverflowError, MemoryError, RecursionError):
        raise ModelError(f"{path} is not a readable GGUF model: its header is damaged or cut short") from None


def _read(path: Path, data: memoryview) -> GgufHeader:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    scan = _Scanner(data)
    scan.skip(4)
    version = scan.number("I")
    if version not in _VERSIONS:
        raise ModelError(f"{path} is a GGUF file of version {version}; llmzip reads versions 2 and 3")
    tensors, fields = scan.number("Q"), scan.number("Q")
    header = GgufHeader()
    for _ in range(fields):
        start = scan.at
        name = scan.text()
        header.values[name] = scan.value(scan.number("I"))
        header.stored[name] = (start, scan.at)
    places = []
    for _ in range(tensors):
        name = scan.text()
        dimensions = scan.number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise struct.error("impossible tensor")
        shape = tuple(scan.number("Q") for _ in range(dimensions))
        places.append((name, scan.number("I"), shape, scan.number("Q")))
    alignment = header.values.get("general.alignment", _DEFAULT_ALIGNMENT)
    base = -(-scan.at // alignment) * alignment if alignment else scan.at
    for name, kind, shape, offset in places:
        try:
            block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        except (ValueError, KeyError):
            raise ModelError(f"{path} holds weights of the unknown type {kind}; made for a newer llama.cpp") from None
        size = math.prod(shape) // block * block_bytes
        if base + offset + size > len(data):
            missing = base + offset + size - len(data)
            raise ModelError(f"{path} is cut short: at least {missing} bytes of its weights are missing; get it again")
        header.tensors.append(Tensor(name, kind, shape, base + offset, size))
    return header
