"""fsspec: the compression `llmz`, and a file system `llmz` that shows the originals of the files below it.

The file system is there for every program that has llmzip installed (entry point `fsspec.specs`). For compressions fsspec has
no such place: importing this module registers it.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import Any, BinaryIO

import fsspec
from fsspec.compression import register_compression
from fsspec.implementations.chained import ChainedFileSystem

from llmzip.errors import CorruptError
from llmzip.files.blocks import original_length
from llmzip.files.file import LlmzipFile, refuse_message

SUFFIX = ".llmz"


class _Owning(LlmzipFile):
    """Closes the file below it too."""

    def __init__(self, below: BinaryIO, mode: str, **options: Any) -> None:
        self._below = below
        super().__init__(below, mode, **options)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._below.close()


class LlmzFileSystem(ChainedFileSystem):
    """Files of another file system; those whose names end in .llmz are read and written as what they stand for.

    `llmz::s3://bucket/x.csv.llmz` puts it over another file system, `llmz://x.csv.llmz` over local files. llmzip: options of
    `Settings`, as level and model.

    `info` reads the index of a compressed file for the length of the original; listings leave sizes of compressed files out, as does `info` for
    messages in the short form, which have no index, and for damaged files.
    """

    protocol = "llmz"
    cachable = False  # nothing is kept that would be worth it

    def __init__(
        self,
        fo: str = "",
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        llmzip: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> None:
        super().__init__(**storage_options)
        self.fs = fsspec.filesystem(target_protocol or "file", **(target_options or {}))
        self._options = llmzip or {}

    @classmethod
    def _strip_protocol(cls, path: str) -> Any:
        return path.removeprefix("llmz://")

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if "a" in mode and path.endswith(SUFFIX) and self.fs.exists(path):
            with self.fs.open(path, "rb") as there:
                refuse_message(there)
        below = self.fs.open(path, mode)
        return _Owning(below, mode, **self._options) if path.endswith(SUFFIX) else below

    def info(self, path: str, **options: Any) -> Any:
        found = self.fs.info(self._strip_protocol(path), **options)
        if _compressed(found):
            size = None
            # What is damaged is there all the same; who reads it is told.
            with contextlib.suppress(CorruptError), self.fs.open(found["name"], "rb") as file:
                size = original_length(file)
            found = {**found, "size": size}
        return found

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        found = self.fs.ls(self._strip_protocol(path), detail=True, **options)
        if not detail:
            return [each["name"] for each in found]
        return [{**each, "size": None} if _compressed(each) else each for each in found]

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        """Copy a file below, coded anew where only one of the names is that of a compressed one."""
        first, second = self._strip_protocol(path1), self._strip_protocol(path2)
        if first.endswith(SUFFIX) == second.endswith(SUFFIX):
            self.fs.cp_file(first, second, **options)
            return
        with self.open(first, "rb") as source, self.open(second, "wb") as sink:
            shutil.copyfileobj(source, sink)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files below, with `recursive` directories too."""
        paths = [path] if isinstance(path, str) else path
        self.fs.rm([self._strip_protocol(each) for each in paths], recursive=recursive, maxdepth=maxdepth)

    def _rm(self, path: str) -> None:
        self.fs.rm_file(path)

    def mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        """Make a directory below."""
        self.fs.mkdir(self._strip_protocol(path), create_parents=create_parents, **options)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a directory below, with those above it."""
        self.fs.makedirs(self._strip_protocol(path), exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory below."""
        self.fs.rmdir(self._strip_protocol(path))


def _compressed(info: dict[str, Any]) -> bool:
    name: str = info["name"]
    return info["type"] == "file" and name.endswith(SUFFIX)


def open_llmz(file: BinaryIO, mode: str = "rb", **options: Any) -> LlmzipFile:
    """What fsspec calls for the compression; options as for `LlmzipFile`. What the file system has opened already stays as it is: its
    names end in .llmz, so the compression is inferred for them, too."""
    return file if isinstance(file, LlmzipFile) else LlmzipFile(file, mode, **options)


register_compression("llmz", open_llmz, "llmz", force=True)
