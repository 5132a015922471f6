"""What a worker does: whole files one after the other, or some blocks of a big one, each output complete or not there."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from llmzip.codec.codec import Codec
from llmzip.codec.summary import Summary
from llmzip.container.format import MAGIC
from llmzip.container.streams import PIECE
from llmzip.container.writer import original_digest
from llmzip.errors import LlmzipError, ModelError
from llmzip.lake.manifest import Line, Manifest
from llmzip.lake.places import Entry, complete_file, read_from, store, told
from llmzip.lake.planning import Item
from llmzip.version import __version__

_codecs = threading.local()


@dataclass(frozen=True)
class Way:
    """How a corpus is worked on. operation: compress, decompress, verify or estimate; settings: of the codec, by name;
    target: root of the outputs, under which the manifest lies; force: whether other files may be overwritten; version: of the
    llmzip that asks."""

    operation: str
    settings: tuple[tuple[str, Any], ...]
    target: str
    source_options: tuple[tuple[str, Any], ...] = ()
    target_options: tuple[tuple[str, Any], ...] = ()
    force: bool = False
    version: str = __version__

    @property
    def label(self) -> str:
        """The operation and what changes its bytes, as manifests name it."""
        names = [f"{name}={value}" for name, value in self.settings if name not in ("threads", "gpu_layers")]
        return " ".join([self.operation, *names])

    @property
    def reading(self) -> dict[str, Any]:
        """Storage options of the sources."""
        return dict(self.source_options)

    @property
    def writing(self) -> dict[str, Any]:
        """Storage options of the target."""
        return dict(self.target_options)

    @property
    def manifest(self) -> Manifest:
        """The manifest under the target."""
        return Manifest(self.target, self.writing)


@dataclass(frozen=True)
class Failure:
    """A file that was not done. code: the exit code that goes with it."""

    source: str
    reason: str
    code: int


@dataclass
class Report:
    """What a task, or all of them, did."""

    lines: list[Line] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def original(self) -> int:
        """Bytes of the originals that were done."""
        return sum(line.original for line in self.lines)


def check_version(way: Way) -> None:
    """Raises `LlmzipError` on a worker with another llmzip than that of whoever asks."""
    if way.version != __version__:
        raise LlmzipError(
            f"a worker has llmzip {__version__}, this is {way.version}: install the same version on all of them"
        )


def codec_of(way: Way) -> Codec:
    """The codec of this thread for these settings; kept, so that a worker loads its model once. Raises ModelError."""
    held: dict[tuple[tuple[str, Any], ...], Codec] = _codecs.__dict__.setdefault("held", {})
    if way.settings not in held:
        for other in held.values():
            other.close()
        held.clear()
        settings = dict(way.settings)
        if isinstance(settings.get("model"), str) and "://" in settings["model"]:
            settings["model"] = _fetched(settings["model"])
        held[way.settings] = Codec(**{"threads": 1, "show_downloads": False} | settings)
    return held[way.settings]


def _fetched(url: str) -> str:
    """A model file from a store, once for a machine."""
    import hashlib

    from llmzip import atomic
    from llmzip.model.places import cache_folder

    fs, path = store(url)
    with told(url):
        mark = hashlib.blake2b(f"{url} {fs.ukey(path)}".encode(), digest_size=10).hexdigest()
        folder = cache_folder() / "lake"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{Path(path).stem}-{mark}.gguf"
        if not target.exists():
            aside = atomic.aside(folder)
            try:
                fs.get_file(path, str(aside))
                atomic.publish(aside, target)
            finally:
                aside.unlink(missing_ok=True)
    return os.fspath(target)


def prepare(way: Way) -> str:
    """Load what the work will need; the model's name, empty where there is none. Raises ModelError, `LlmzipError`."""
    check_version(way)
    codec = codec_of(way)
    header = codec.member_header() if way.operation in ("compress", "estimate") else None
    return header.model.hex() if header else ""


class Hashed(io.RawIOBase):
    """A stream that is read through: counts the bytes and hashes them."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner, self.count, self.digest = inner, 0, original_digest()

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """As the stream inside does."""
        data = self._inner.read(size)
        self.count += len(data)
        self.digest.update(data)
        return data


class _Sink(io.RawIOBase):
    """Takes data, counts and hashes it, and gives it on if there is somebody to take it."""

    def __init__(self, inner: BinaryIO | None) -> None:
        self._inner, self.count, self.digest = inner, 0, original_digest()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if self._inner:
            self._inner.write(data)
        self.count += len(data)
        self.digest.update(data)
        return len(data)


def guarded(source: str, step: Callable[[], Line]) -> Line | Failure:
    """A step's line, or why there is none; what concerns all files alike is raised."""
    try:
        with told(source):
            return step()
    except ModelError as error:
        return Failure(source, str(error), error.exit_code)
    except LlmzipError as error:
        # Messages of stores name the URL already.
        return Failure(source, str(error).removeprefix(f"{source}: "), error.exit_code)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and not isinstance(error.errno, str) else str(error)
        return Failure(source, reason or type(error).__name__, 1)
    except MemoryError:
        return Failure(source, "not enough memory", 1)


def do_files(way: Way, items: list[Item]) -> Report:
    """Whole files, one after the other, and their lines in the manifest. Raises `LlmzipError` for what concerns them all."""
    check_version(way)
    began, report = time.monotonic(), Report()
    step = {"compress": _compress, "estimate": _compress, "decompress": _decompress, "verify": _decompress}[
        way.operation
    ]
    for item in items:
        result = guarded(item.entry.url, lambda item=item: step(way, item))  # type: ignore[misc]
        (report.lines if isinstance(result, Line) else report.failures).append(result)  # type: ignore[arg-type]
    if way.operation in ("compress", "decompress"):
        way.manifest.add(report.lines)
    report.seconds = time.monotonic() - began
    return report


def _compress(way: Way, item: Item) -> Line:
    began = time.monotonic()
    codec, entry = codec_of(way), item.entry
    with read_from(entry.url, way.reading) as file:
        source = Hashed(file)
        if way.operation == "estimate":
            summary = codec.compress_stream(source, _Sink(None))  # type: ignore[arg-type]
            check_size(entry, source.count)
        else:
            refuse_foreign(way, item.target)
            with complete_file(item.target, way.writing) as sink:
                summary = codec.compress_stream(source, sink)  # type: ignore[arg-type]
                check_size(entry, source.count)
    return line_of(way, item, summary, source.digest.hexdigest(), began)


def check_size(entry: Entry, count: int) -> None:
    """Raises `LlmzipError` if a file gave another number of bytes than its listing said."""
    if entry.size not in (-1, count):
        raise LlmzipError(
            f"gave {count} bytes where its listing says {entry.size}: it changed meanwhile, or was cut off"
        )


def _decompress(way: Way, item: Item) -> Line:
    began = time.monotonic()
    codec, entry = codec_of(way), item.entry
    with read_from(entry.url, way.reading) as file:
        source = Hashed(file)
        if way.operation == "verify":
            sink = _Sink(None)
            summary = codec.decompress_stream(source, sink)  # type: ignore[arg-type]
        else:
            with complete_file(item.target, way.writing) as stored:
                sink = _Sink(stored)
                summary = codec.decompress_stream(source, sink)  # type: ignore[arg-type]
                check_size(entry, source.count)
                refuse_other(way, item.target, sink.digest.digest())
    summary.compressed = source.count
    return line_of(way, item, summary, sink.digest.hexdigest(), began)


def refuse_foreign(way: Way, target: str) -> None:
    """Raises `LlmzipError` if an archive would overwrite what is no archive. One that a killed worker left is made anew."""
    fs, path = store(target, way.writing)
    fs.invalidate_cache()
    if not way.force and fs.exists(path):
        with fs.open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise LlmzipError(f"{target} is there and is no archive: nothing done; use --force to overwrite it")


def refuse_other(way: Way, target: str, digest: bytes) -> None:
    """Raises `LlmzipError` if a restored file would overwrite one with another content."""
    fs, path = store(target, way.writing)
    fs.invalidate_cache()
    if not way.force and fs.exists(path):
        with fs.open(path, "rb") as file:
            there = Hashed(file)
            while there.read(PIECE):
                pass
        if there.digest.digest() != digest:
            raise LlmzipError(f"{target} is there with another content: nothing done; use --force to overwrite it")


def line_of(way: Way, item: Item, summary: Summary, digest: str, began: float) -> Line:
    """The manifest's line for a file that is done."""
    entry = item.entry
    return Line(
        source=entry.url,
        target=item.target,
        original=summary.original,
        compressed=summary.compressed,
        characters=summary.characters,
        digest=digest,
        stamp=entry.stamp,
        way=way.label,
        seconds=round(time.monotonic() - began, 3),
    )
