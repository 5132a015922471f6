"""Inputs that are what they seem and outputs that appear whole or not at all.

An output is written to a new file beside its target, synced, and given the target's name as the very last step;
whatever goes wrong before leaves the target as it was and nothing else behind.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO, cast

from llmzip import atomic
from llmzip.cli.options import SUFFIX
from llmzip.container.streams import From
from llmzip.errors import LlmzipError

_temporaries: set[str] = set()
"""Temporary files that exist now, so that a signal at the worst moment still leaves none behind."""


def remove_leftovers() -> None:
    """Remove every temporary file that is still there; never raises."""
    for path in list(_temporaries):
        _discard(path)


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
    _temporaries.discard(path)


def compressed_name(path: str, force: bool, suffix: str = SUFFIX) -> str:
    """The name of `path` compressed. Raises `LlmzipError` if it has the suffix already, unless forced."""
    for known in (suffix, SUFFIX):
        if path.endswith(known) and not force:
            raise LlmzipError(f"already has the suffix {known}: nothing done; use -f to compress it again")
    return path + suffix


def decompressed_name(path: str, suffix: str = SUFFIX) -> str:
    """The name of `path` decompressed. Raises `LlmzipError` if it ends neither in `suffix` nor in the usual one."""
    for known in (suffix, SUFFIX):
        if path.endswith(known) and os.path.basename(path) != known:
            return path[: -len(known)]
    raise LlmzipError(f"does not end in {suffix}: name the output with -o, use -c, or name its suffix with -S")


class Input:
    """An open input: `stream` to read, `status` (`os.stat_result` at opening), `path` (None for standard input)."""

    def __init__(self, path: str | None, *, follow: bool, special: bool = True) -> None:
        """Open `path`. Unless `follow`, symbolic links are refused; unless that and `special`, what is no regular file.

        Raises `LlmzipError` for what is refused, `OSError` as opening does.
        """
        self.path = path
        self._start = 0
        self.stream: BinaryIO
        if path is None:
            # With a buffer the end of what is typed, Ctrl-D, would have to be typed twice.
            self.stream = open(0, "rb", 0 if os.isatty(0) else -1, closefd=False)
            self.status = os.fstat(0)
            if stat.S_ISREG(self.status.st_mode) and (start := self.stream.tell()):
                # What another program has taken from it is none of ours.
                self._start, self.stream = start, cast(BinaryIO, From(self.stream, start))
            return
        before = os.lstat(path)
        if stat.S_ISLNK(before.st_mode):
            if not follow:
                raise LlmzipError("is a symbolic link: skipped; use -f, -c or -o to read what it points to")
            before = os.stat(path)
        special = special and follow
        _refuse_kind(before, special)
        # A file that turned into a pipe since must not block; a pipe that was asked for may.
        nonblocking = os.O_NONBLOCK if stat.S_ISREG(before.st_mode) else 0
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | nonblocking | (0 if follow else os.O_NOFOLLOW))
        try:
            self.status = os.fstat(descriptor)
            _refuse_kind(self.status, special)
            self.stream = open(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    @property
    def size(self) -> int | None:
        """Bytes from the current place to the end; None when unknown."""
        if not stat.S_ISREG(self.status.st_mode):
            return None
        try:
            return max(0, self.status.st_size - self._start - self.stream.tell())
        except OSError:
            return None

    @property
    def terminal(self) -> bool:
        """Whether it is a terminal."""
        return self.stream.isatty()

    def remove(self) -> None:
        """Unlink the input, if it is still the file that was read. Raises `LlmzipError` if not, `OSError`."""
        if self.path is None:
            raise LlmzipError("standard input cannot be removed")
        named = os.lstat(self.path)
        if not stat.S_ISREG(named.st_mode):
            raise LlmzipError("is not removed, since it is no regular file")
        if any(_identity(status) != _identity(self.status) for status in (named, os.fstat(self.stream.fileno()))):
            raise LlmzipError("changed while it was read: not removed")
        os.unlink(self.path)

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _refuse_kind(status: os.stat_result, special: bool) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise LlmzipError("is a directory: skipped; use -r for the files in it, or tar to pack it")
    if not stat.S_ISREG(status.st_mode) and not special:
        raise LlmzipError("is no regular file: skipped; use -c or -o to read it all the same")


class StandardOutput:
    """Standard output as a raw stream, without a buffer that could fail after the exit code is decided."""

    def __init__(self, source: Input, *, binary: bool, force: bool) -> None:
        """Raises `LlmzipError` when `binary` data would go to a terminal or the input is the output file."""
        self.stream: BinaryIO = io.FileIO(1, "wb", closefd=False)
        if binary and not force and self.stream.isatty():
            raise LlmzipError("compressed data is not written to a terminal: redirect it, use -o, or force it with -f")
        _refuse_same(source, os.fstat(1))

    def __enter__(self) -> StandardOutput:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            # Closing a copy makes a network file system report what it could not store.
            os.close(os.dup(1))


class Nowhere(io.RawIOBase):
    """A sink that takes everything and keeps nothing; writes: how often it was given something."""

    writes = 0

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any, /) -> int:
        """All of `data` is taken."""
        self.writes += 1
        return memoryview(data).nbytes


class OutputFile:
    """An output for a with statement: `stream` to write; the target appears when it ends without an error."""

    def __init__(self, path: str, source: Input, *, binary: bool, force: bool) -> None:
        """Check the target. Raises `LlmzipError` if it exists (unless forced), is a directory or the input itself."""
        self.path = path
        self._source = source
        self._force = force
        self._binary = binary
        self._temporary: str | None = None
        self.special = False
        """Whether the output is a device or a pipe."""
        if not os.path.basename(path):
            raise LlmzipError(f"{path} is no name for a file")
        try:
            status = os.stat(path)
        except FileNotFoundError:
            if os.path.islink(path) and not force:
                raise self._exists() from None
            return
        if stat.S_ISDIR(status.st_mode):
            raise LlmzipError(f"{path} is a directory: name a file with -o")
        _refuse_same(source, status)
        # Renaming onto a device or a pipe would replace it; these are written to as they are.
        self.special = stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode)
        if not self.special and not force:
            raise self._exists()
        if stat.S_ISBLK(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            raise LlmzipError(f"{path} is neither a file nor a pipe: use -c and a redirection")

    def _exists(self) -> LlmzipError:
        return LlmzipError(f"{self.path} already exists: nothing written; use -f to overwrite it")

    def __enter__(self) -> OutputFile:
        if self.special:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
            self.stream: BinaryIO = io.FileIO(descriptor, "wb")
            if self._binary and not self._force and self.stream.isatty():
                self.stream.close()
                raise LlmzipError(f"compressed data is not written to the terminal {self.path}; force it with -f")
            return self
        folder = os.path.dirname(self.path)
        atomic.sweep(folder)
        self._temporary = os.fspath(atomic.aside(folder))
        # Listed before it exists: a signal between the two steps must not leave it behind.
        _temporaries.add(self._temporary)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self.stream = io.FileIO(os.open(self._temporary, flags, 0o600), "wb")
            atomic.in_use(self.stream.fileno())
        except BaseException as error:
            _discard(self._temporary)
            if isinstance(error, OSError):
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise LlmzipError(f"cannot create {self.path}: {reason}") from error
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._temporary is None:
            self.stream.close()
            return
        try:
            if kind is None:
                self._copy_metadata(self.stream.fileno())
                os.fsync(self.stream.fileno())
                self.stream.close()
                self._publish(self._temporary)
        finally:
            try:
                self.stream.close()
            except OSError:
                # Only when an error is on its way already: a good file has been closed above.
                pass
            _discard(self._temporary)

    def _copy_metadata(self, descriptor: int) -> None:
        """Permissions, times and, where allowed, the owner of the input; default permissions when it has none."""
        status = self._source.status
        if self._source.path is None or not stat.S_ISREG(status.st_mode):
            mask = os.umask(0o077)
            os.umask(mask)
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, 0o666 & ~mask)
            return
        mode = stat.S_IMODE(status.st_mode) & 0o777
        try:
            os.fchown(descriptor, status.st_uid if os.geteuid() == 0 else -1, status.st_gid)
        except OSError:
            # What the old group could do, another group must not.
            others = mode & 0o007
            mode = mode & 0o707 | mode & (others << 3)
        # Some file systems know no permissions, or not these: then the file stays its owner's alone.
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, mode)
        with contextlib.suppress(OSError):
            os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _publish(self, temporary: str) -> None:
        """Give the finished file its name, replacing nothing unless forced."""
        if self._force:
            os.replace(temporary, self.path)
            _temporaries.discard(temporary)
        else:
            self._publish_new(temporary)
        atomic.sync_folder(os.path.dirname(self.path) or ".")

    def _publish_new(self, temporary: str) -> None:
        try:
            # Unlike a rename, a link fails when somebody has made the target meanwhile.
            os.link(temporary, self.path, follow_symlinks=False)
        except FileExistsError:
            raise self._exists() from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EMLINK, errno.EXDEV):
                raise
            # A file system without hard links.
            if os.path.lexists(self.path):
                raise self._exists() from None
            os.rename(temporary, self.path)
            _temporaries.discard(temporary)


def _refuse_same(source: Input, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode) and os.path.samestat(source.status, status):
        raise LlmzipError("input and output are the same file: name another output")


def printable(path: str | Path) -> str:
    """A file name that is safe in one line on a terminal: control characters and undecodable bytes are escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in os.fspath(path))


def on_output(name: str) -> str:
    """A name in what another program writes to standard output: as it is for programs, safe for terminals."""
    return printable(name) if sys.stdout.isatty() else name


class ClosedOutput(io.TextIOBase):
    """Stands for a standard output that is closed, where Python has none and drops what is printed."""

    def write(self, text: str, /) -> int:
        raise LlmzipError("standard output is closed")


def require_output() -> None:
    """Raises `LlmzipError` where standard output is closed: before the work whose result goes there."""
    if isinstance(sys.stdout, ClosedOutput):
        sys.stdout.write("")


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()
