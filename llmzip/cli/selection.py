"""Which files a call is about: those that it names, those in folders (-r), those in a list (--files-from)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from llmzip.cli.files import printable
from llmzip.cli.options import SUFFIX, Options
from llmzip.cli.run import notice, report
from llmzip.cli.tree import Tree
from llmzip.errors import LlmzipError, UsageError


class Selection:
    """The names of the files, once; afterwards `failed` and `skipped` tell what is to be told of the others.

    Raises UsageError for contradictions, LlmzipError for a list that cannot be read.
    """

    def __init__(self, files: tuple[str, ...], options: Options, *, compressing: bool) -> None:
        self._options, self._compressing = options, compressing
        if options.recursive and not (files or options.files_from):
            raise UsageError("-r needs a folder to go through: llmzip -r . is the one that you are in")
        if options.null and not options.files_from:
            raise UsageError("-0 is for the list of --files-from")
        listed = _listed(options.files_from, null=options.null, taken="-" in files) if options.files_from else []
        names = [*files, *listed]
        if not options.files_from and not files:
            names = ["-"]
        if names.count("-") > 1:
            raise UsageError("standard input (-) can be read only once")
        self._names = names
        self._tree = (
            Tree(names, follow=options.force, unfit=self._unfit, errors=self._unreadable) if options.recursive else None
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree or self._names)

    @property
    def failed(self) -> bool:
        """Whether a folder could not be read."""
        return self._tree is not None and self._tree.failed

    def tell_skipped(self) -> None:
        """Say what was passed over in folders."""
        if self._tree and self._tree.skipped and not self._options.quiet:
            notice(
                "skipped: " + ", ".join(f"{reason} ({count})" for reason, count in sorted(self._tree.skipped.items()))
            )

    def _unfit(self, name: str) -> str | None:
        packed = name.endswith((self._options.suffix, SUFFIX))
        if self._compressing:
            return f"files with the suffix {self._options.suffix}" if packed and not self._options.force else None
        return None if packed else f"files without the suffix {self._options.suffix}"

    def _unreadable(self, folder: str, error: OSError) -> None:
        report(error, printable(folder), self._options.debug)


def _listed(path: str, *, null: bool, taken: bool) -> list[str]:
    """The names in a file, one on each line or each ended by a zero byte; `-` is standard input."""
    if path == "-" and taken:
        raise UsageError("standard input (-) can be read only once")
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            if path != "-" and stat.S_ISDIR(os.fstat(file.fileno()).st_mode):
                raise IsADirectoryError(21, "Is a directory")
            data = file.read()
    except OSError as error:
        raise LlmzipError(f"cannot read the list of files {printable(path)}: {error.strerror}") from None
    if not null and b"\0" in data:
        raise LlmzipError(f"the list of files {printable(path)} holds zero bytes: read it with -0, or check what it is")
    names = [os.fsdecode(name) for name in data.split(b"\0" if null else b"\n") if name]
    return [f".{os.sep}-" if name == "-" else name for name in names]
