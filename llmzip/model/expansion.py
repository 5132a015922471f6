"""Quantised weights expanded to F32 once, into the user's cache folder.

Quantised arithmetic drifts ten thousand times more between machines than F32 does; dequantising is exact. A cached
file carries a digest of its content in its name and is checked against it at every start; a damaged one is made anew,
and where no cache can be written a temporary folder serves.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from llmzip import atomic
from llmzip.errors import ModelError
from llmzip.model.llama import expand
from llmzip.model.places import cache_folder


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _expand_into(folder: Path, source: Path, stem: str) -> Path:
    """Expand a GGUF into a folder: written aside, synced, then renamed into place."""
    atomic.sweep(folder)
    temporary = atomic.aside(folder)
    try:
        with open(temporary, "xb") as file:
            atomic.in_use(file.fileno())
            expand(source, temporary)
        target = folder / f"{stem}{file_digest(temporary)}.gguf"
        atomic.publish(temporary, target)
        return target
    finally:
        temporary.unlink(missing_ok=True)


def is_cached(identity: bytes) -> bool:
    """Whether the cache holds an expansion of this model; whether it is sound shows when it is used."""
    return any(cache_folder().glob(f"{identity.hex()}-f32-*.gguf"))


def _find_or_make(folder: Path, source: Path, identity: bytes, check: Callable[[], None]) -> Path:
    stem = f"{identity.hex()}-f32-"
    for candidate in sorted(folder.glob(f"{stem}*.gguf")):
        if file_digest(candidate) == candidate.stem.removeprefix(stem):
            return candidate
        candidate.unlink(missing_ok=True)
    check()
    folder.mkdir(parents=True, exist_ok=True)
    return _expand_into(folder, source, stem)


@contextmanager
def expanded(source: Path, identity: bytes, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Path of the F32 expansion of a GGUF, to be loaded within the `with` (llama.cpp maps the file into memory).

    identity: names the expansion in the cache. check: called before expanding; raises where the source is not sound.
    Raises ModelError where it can be written nowhere.
    """
    try:
        path = _find_or_make(cache_folder(), source, identity, check)
    except (OSError, ModelError) as first:
        # llama.cpp says no more than "failed" when a disk is full, so a ModelError is given a second try as well.
        check()
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="llmzip-"))
                path = _find_or_make(Path(folder), source, identity, check)
            except (OSError, ModelError) as error:
                raise ModelError(
                    f"no room to expand the model to F32: {error} (cache: {first}); set LLMZIP_CACHE"
                ) from None
            yield path
        return
    yield path
