"""What a codec can be told, with the limits of each setting; the command line and Python share it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmzip.codec.head import MAX_STREAMS
from llmzip.container import MAX_BLOCK
from llmzip.errors import UsageError
from llmzip.model import BUILT_IN
from llmzip.model.base import LanguageModel

DEFAULT_BLOCK = 4 << 20
SMALLEST_BLOCK = 1 << 12
SMALLEST_CONTEXT, LARGEST_CONTEXT = 16, 1 << 20


@dataclass(frozen=True)
class Settings:
    """Everything a codec can be told. Raises UsageError for values outside their limits.

    model: a GGUF file, a registered name, `hf:OWNER/REPO[/FILE]`, or a loaded model (which stays the caller's to close); None: the
        embedded model.
    threads: of llama.cpp; 0 = as many as help. Never changes the bytes that come back.
    mix: whether the adaptive mixer is used.
    streams: of a block, 1 to 256; None = by its length.
    context: tokens of a window, 16 to 2**20; None = the model's own.
    exact: evaluate quantised weights as they are, for files that need this machine's arithmetic; None = only where the
        model is too large for F32.
    gpu_layers: layers on a GPU; None = all of an own model, none of the embedded one.
    block_size: bytes of a block, 4 KiB to 64 MiB.
    verify: decode every block again before it is written, and store what does not come back by a classic codec.
    show_downloads: progress on stderr while a model is fetched from the hub.

    Files say what decompression needs: for that only model, threads, gpu_layers and show_downloads count.
    """

    model: str | Path | LanguageModel | None = None
    threads: int = 0
    mix: bool = True
    streams: int | None = None
    context: int | None = None
    exact: bool | None = None
    gpu_layers: int | None = None
    block_size: int = DEFAULT_BLOCK
    verify: bool = False
    show_downloads: bool = True

    def __post_init__(self) -> None:
        if not SMALLEST_BLOCK <= self.block_size <= MAX_BLOCK:
            raise UsageError(f"a block must hold {SMALLEST_BLOCK} to {MAX_BLOCK} bytes, not {self.block_size}")
        if self.streams is not None and not 1 <= self.streams <= MAX_STREAMS:
            raise UsageError(f"there can be 1 to {MAX_STREAMS} streams, not {self.streams}")
        if self.context is not None and not SMALLEST_CONTEXT <= self.context <= LARGEST_CONTEXT:
            raise UsageError(f"a window can hold {SMALLEST_CONTEXT} to {LARGEST_CONTEXT} tokens, not {self.context}")
        if self.threads < 0:
            raise UsageError(f"the number of threads cannot be {self.threads}")
        if self.gpu_layers is not None and self.gpu_layers < 0:
            raise UsageError(f"the number of layers on a GPU cannot be {self.gpu_layers}")

    @property
    def named(self) -> str | Path | None:
        """The model by name; None for the embedded one and for a loaded one."""
        return self.model if isinstance(self.model, str | Path) and self.model != BUILT_IN else None

    @property
    def loaded(self) -> LanguageModel | None:
        """The model if it was given loaded."""
        return None if self.model is None or isinstance(self.model, str | Path) else self.model
