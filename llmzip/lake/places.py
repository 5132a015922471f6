"""Where files lie: stores named by URL, what a pattern finds there, and output that appears complete or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from llmzip import atomic
from llmzip.errors import LlmzipError, UsageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SUFFIX = ".llmz"
HIDDEN = ".llmzip-lake"
"""Folder under a target that holds manifests and parts of files in work; never taken for data."""

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "oss", "memory"}
_STAMPS = ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "updated", "generation", "created")


@dataclass(frozen=True)
class Entry:
    """A file of a corpus. name: relative to the corpus' root; stamp: changes when the file does."""

    url: str
    name: str
    size: int
    stamp: str
    modified: str = ""


@dataclass(frozen=True)
class Corpus:
    """Files by URLs or patterns of fsspec (`**` too), a folder meaning everything in it. options: storage options of fsspec."""

    urls: tuple[str, ...]
    options: tuple[tuple[str, Any], ...] = ()

    def __init__(self, *urls: str, **options: Any) -> None:
        object.__setattr__(self, "urls", urls)
        object.__setattr__(self, "options", tuple(sorted(options.items())))

    def entries(self, passed: Callable[[], None] = lambda: None) -> Iterator[Entry]:
        """The files, each once, as they are found: folder by folder, so that nobody holds a list of all.

        passed: is called for what is neither a file nor a folder, like symbolic links and pipes. Raises `LlmzipError` for what is not there.
        """
        seen: set[str] = set()
        for url in self.urls:
            for entry in _found(url, dict(self.options), passed):
                if len(self.urls) > 1:
                    if entry.url in seen:
                        continue
                    seen.add(entry.url)
                yield entry


def store(url: str, options: dict[str, Any] | None = None) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL and the path in it. Raises `LlmzipError` where the library for such URLs is missing."""
    try:
        import fsspec
    except ImportError:
        raise LlmzipError("the lake needs fsspec and Dask: pip install 'llmzip[dask]'") from None
    try:
        fs, path = fsspec.core.url_to_fs(url, **(options or {}))
    except (ImportError, ValueError) as error:
        raise LlmzipError(f"{url}: {error}") from None
    return fs, cast(str, path)


def canonical(url: str, options: dict[str, Any]) -> str:
    """The one name of what a URL stands for: that under which a listing has it."""
    fs, path = store(url, options)
    return _url(fs, path)


def _url(fs: AbstractFileSystem, path: str) -> str:
    return path if _is_local(fs) else str(fs.unstrip_protocol(path))


def _found(url: str, options: dict[str, Any], passed: Callable[[], None]) -> Iterator[Entry]:
    fs, path = store(url, options)
    count = 0
    with told(url):
        for name, root, info in _listed(fs, path):
            if HIDDEN in name.split("/"):
                continue
            if info.get("type", "file") == "file":
                count += 1
                yield _entry(fs, name, root, info)
            elif info["type"] != "directory":
                passed()
    if not count and is_pattern(path):
        raise LlmzipError(f"{url}: no file matches")


def _listed(fs: AbstractFileSystem, path: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, root and facts of what a path stands for."""
    if not is_pattern(path):
        if not fs.isdir(path):
            yield path, path.rpartition("/")[0], fs.info(path)
            return
        yield from ((name, path, info) for name, info in _below(fs, path))
        return
    root = _fixed_part(path)
    if "**" not in path:
        yield from ((name, root, info) for name, info in sorted(fs.glob(path, detail=True).items()))
        return
    from fsspec.utils import glob_translate

    matches = re.compile(glob_translate(path)).match
    yield from ((name, root, info) for name, info in _below(fs, root) if matches(name))


def _below(fs: AbstractFileSystem, root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Files below a folder, one folder after the other."""
    for folder, _, files in fs.walk(root, detail=True, on_error="raise"):
        for name in sorted(files):
            if name:
                yield f"{folder}/{name}" if folder else name, files[name]


def _entry(fs: AbstractFileSystem, path: str, root: str, info: dict[str, Any]) -> Entry:
    size = info.get("size")
    stamp = "|".join(str(info[key]) for key in _STAMPS if info.get(key) is not None)
    modified = next((str(info[key]) for key in ("LastModified", "last_modified", "updated") if info.get(key)), "")
    if not modified and isinstance(info.get("mtime"), float):
        from datetime import UTC, datetime

        modified = datetime.fromtimestamp(info["mtime"], UTC).isoformat()
    name = path[len(root) :].lstrip("/") if root else path.lstrip("/")
    return Entry(_url(fs, path), name, -1 if size is None else int(size), stamp, modified[:10])


class Stored:
    """Whether outputs are there, by listings of their folders, of which one is held: outputs come folder by folder."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._folder, self._names = "", frozenset[str]()

    def __contains__(self, url: str) -> bool:
        """Raises `LlmzipError` where the folder cannot be listed, OSError."""
        folder, _, name = url.rpartition("/")
        if folder != self._folder:
            fs, path = store(folder, self._options)
            with told(folder):
                found = fs.ls(path, detail=False) if fs.isdir(path) else []
            self._folder, self._names = folder, frozenset(each.rpartition("/")[2] for each in found)
        return name in self._names


def is_pattern(path: str) -> bool:
    return any(sign in path for sign in "*?[")


def _fixed_part(pattern: str) -> str:
    """The folder above the first part of a pattern that is not literal."""
    parts = pattern.split("/")
    fixed = next(i for i, part in enumerate(parts) if is_pattern(part))
    return "/".join(parts[:fixed])


def join(root: str, name: str) -> str:
    """A URL below another."""
    return f"{root.rstrip('/')}/{name}"


def read_from(url: str, options: dict[str, Any], start: int = 0) -> BinaryIO:
    """A file open for reading at a position. Raises OSError."""
    fs, path = store(url, options)
    file = fs.open(path, "rb")
    if start:
        file.seek(start)
    return cast(BinaryIO, file)


@contextmanager
def complete_file(url: str, options: dict[str, Any]) -> Iterator[BinaryIO]:
    """A file that has its name when the with statement ends well, with all of its content, and is not there otherwise."""
    fs, path = store(url, options)
    if _is_local(fs):
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.sweep(target.parent)
        aside = atomic.aside(target.parent)
        try:
            with open(aside, "xb") as file:
                atomic.in_use(file.fileno())
                yield cast(BinaryIO, file)
            atomic.publish(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        return
    import tempfile

    # A stream to an object store would complete the object when it is closed by an error.
    with tempfile.NamedTemporaryFile(prefix="llmzip-") as spool:
        yield cast(BinaryIO, spool)
        spool.flush()
        with told(url):
            _upload(fs, spool.name, path)


def _upload(fs: AbstractFileSystem, local: str, path: str) -> None:
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if protocols & _OBJECT_STORES:
        fs.put_file(local, path)
        return
    aside = f"{path.rpartition('/')[0]}/{atomic.aside('').name}"
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        fs.put_file(local, aside)
        fs.mv(aside, path)
    except BaseException:
        if fs.exists(aside):
            fs.rm_file(aside)
        raise


def write_complete(url: str, options: dict[str, Any], data: bytes) -> None:
    """Store bytes under a URL, all or nothing."""
    with complete_file(url, options) as file:
        file.write(data)


def _is_local(fs: AbstractFileSystem) -> bool:
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turns what stores raise into one line that names the URL; what is a matter of the network stays an OSError."""
    try:
        yield
    except FileNotFoundError as error:
        raise LlmzipError(f"{url}: not found ({_line(error)})") from error
    except PermissionError as error:
        raise LlmzipError(f"{url}: access denied ({_line(error)}): check the credentials") from error
    except OSError:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("botocore", "aiobotocore", "s3fs", "gcsfs", "adlfs", "aiohttp"):
            raise LlmzipError(f"{url}: {_line(error)}") from error
        raise


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def folds_case(url: str, options: dict[str, Any]) -> bool:
    """Whether names below a URL that differ in case only are one."""
    fs, path = store(url, options)
    return _is_local(fs) and _folds_case(Path(path))


def refuse_twins(targets: Iterable[str], folds: bool) -> None:
    """Raises UsageError if two targets would be one file: the same name, or on a store that folds case one that differs in that."""
    seen: dict[bytes, str] = {}
    for target in targets:
        name = target.casefold() if folds else target
        key = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).digest()
        other = seen.get(key)
        seen[key] = target
        if other is not None:
            why = "the same name" if other == target else "names that differ in case only, where case does not count"
            raise UsageError(f"two files would both become {target} ({why}): compress them to folders of their own")


def _folds_case(folder: Path) -> bool:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    probe = atomic.aside(folder)
    try:
        probe.touch(exist_ok=False)
        return os.path.exists(folder / probe.name.upper())
    finally:
        probe.unlink(missing_ok=True)
