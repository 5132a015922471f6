"""What a codec can be told, with the limits of each setting; the command line and Python share it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmzip.codec.context import Context
from llmzip.codec.head import MAX_STREAMS
from llmzip.container.format import MAX_BLOCK, MAX_CONTEXT
from llmzip.errors import UsageError
from llmzip.model import BUILT_IN
from llmzip.model.base import LanguageModel

DEFAULT_LEVEL, LAST_WITHOUT_NETWORK, FIRST_THOROUGH = 6, 3, 7
DEFAULT_BLOCK, THOROUGH_BLOCK = 4 << 20, 16 << 20
SMALLEST_BLOCK = 1 << 12
SMALLEST_WINDOW = 16
DEFAULT_PATIENCE, MOST_PATIENCE = 4.0, 1e6


@dataclass(frozen=True)
class Settings:
    """Everything a codec can be told. Raises UsageError for values outside their limits.

    model: a GGUF file, a registered name, `hf:OWNER/REPO[/FILE]`, or a loaded model (which stays the caller's to close); None: the
        embedded model.
    threads: cores to use, by llama.cpp or, where blocks need no network, for as many blocks at once; 0 = as many as help (two
        blocks). At most the usable cores count. Never changes the bytes.
    level: 1 to 9, as of xz and zstd. 1 to 3: the table of n-grams and the mixer, no network. 4 to 6: network, table and mixer.
        7 to 9: the same in one stream and larger blocks, slow to decompress (docs/levels.md).
    mix: whether the adaptive mixer is used; without it there is the network alone.
    streams: of a block that the network codes, 1 to 256; None = by level and length.
    window: tokens of a window, 16 to 2**20; None = the model's own.
    context: a text that both sides have (bytes, or the name of its file): new files build on it, and name it by its digest;
        those made so need it to be decompressed. None or empty: none.
    short: write the short form: of at most 1 MiB, without index and digest, with a check of 2 or 3 bytes.
    exact: evaluate quantised weights as they are, for files that need this machine's arithmetic; None = only where the
        model is too large for F32.
    gpu_layers: layers on a GPU; None = all, where llama.cpp finds one; of the embedded model for blocks of 64 KiB and more, and only
        where the GPU is seen to compute as the CPU does.
    block_size: bytes of a block, 4 KiB to 64 MiB; None = by level.
    max_size: original bytes that a file is decompressed to at most; None = no limit. memory_limit: bytes of memory that decompression may
        take (about; then blocks are decoded one by one); None = no limit. Beyond them LlmzipError is raised.
    patience: how many times the work of one decoding may go into putting a portable block right that drift has misled; 0 = none, up to 10^6.
    verify: decode every block again before it is written, as it is and with drift added, and store what does not come back by a
        classic codec.
    show_downloads: progress on stderr while a model is fetched from the hub.

    Files say what decompression needs: for that only model, context, threads, gpu_layers, max_size, memory_limit, patience and
    show_downloads count.
    """

    model: str | Path | LanguageModel | None = None
    level: int = DEFAULT_LEVEL
    threads: int = 0
    mix: bool = True
    streams: int | None = None
    window: int | None = None
    context: bytes | str | Path | Context | None = None
    short: bool = False
    exact: bool | None = None
    gpu_layers: int | None = None
    block_size: int | None = None
    verify: bool = False
    show_downloads: bool = True
    max_size: int | None = None
    memory_limit: int | None = None
    patience: float = DEFAULT_PATIENCE

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 9:
            raise UsageError(f"levels go from 1 to 9: there is no level {self.level}")
        if not self.network and not self.mix:
            raise UsageError(
                f"level {self.level} has no network, and without mixing nothing would be left: use level 4 to 9"
            )
        if not self.network and self.model is not None:
            raise UsageError(f"level {self.level} uses no model's network: use level 4 to 9 with --model")
        if self.block_size is not None and not SMALLEST_BLOCK <= self.block_size <= MAX_BLOCK:
            raise UsageError(f"a block must hold {SMALLEST_BLOCK} to {MAX_BLOCK} bytes, not {self.block_size}")
        if self.streams is not None and not 1 <= self.streams <= MAX_STREAMS:
            raise UsageError(f"there can be 1 to {MAX_STREAMS} streams, not {self.streams}")
        if self.window is not None and not SMALLEST_WINDOW <= self.window <= MAX_CONTEXT:
            raise UsageError(f"a window can hold {SMALLEST_WINDOW} to {MAX_CONTEXT} tokens, not {self.window}")
        if self.threads < 0:
            raise UsageError(f"the number of threads cannot be {self.threads}")
        if not 0 <= self.patience <= MOST_PATIENCE:
            raise UsageError(f"patience goes from 0 to {MOST_PATIENCE:.0f} times one decoding: not {self.patience:g}")
        if self.gpu_layers is not None and self.gpu_layers < 0:
            raise UsageError(f"the number of layers on a GPU cannot be {self.gpu_layers}")

    @property
    def network(self) -> bool:
        """Whether new files may use the network."""
        return self.level > LAST_WITHOUT_NETWORK

    @property
    def thorough(self) -> bool:
        """Whether size counts more than time."""
        return self.level >= FIRST_THOROUGH

    @property
    def block_bytes(self) -> int:
        """Bytes of a block of new files."""
        return self.block_size or (THOROUGH_BLOCK if self.thorough else DEFAULT_BLOCK)

    @property
    def named(self) -> str | Path | None:
        """The model by name; None for the embedded one and for a loaded one."""
        return self.model if isinstance(self.model, str | Path) and self.model != BUILT_IN else None

    @property
    def loaded(self) -> LanguageModel | None:
        """The model if it was given loaded."""
        return None if self.model is None or isinstance(self.model, str | Path) else self.model
