"""`LlmzipFile` and `open`: compressed files as file objects, in the shape of `lzma.LZMAFile` and `lzma.open`."""

from __future__ import annotations

import atexit
import builtins
import io
import os
import sys
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast, overload

from llmzip.codec.codec import Codec
from llmzip.container import write_all
from llmzip.container.streams import PIECE
from llmzip.errors import UsageError
from llmzip.files.blocks import is_message
from llmzip.files.incremental import Compressor, codec_of
from llmzip.files.original import OriginalStream
from llmzip.model.base import LanguageModel

if TYPE_CHECKING:
    from typing_extensions import Buffer

    File = str | bytes | os.PathLike[str] | os.PathLike[bytes] | BinaryIO

_written: weakref.WeakSet[LlmzipFile | io.TextIOWrapper] = weakref.WeakSet()
"""Files that are open for writing."""

_BUFFER = 1 << 16  # bytes that are fetched from a decoded block at a time: a line should not cost a call into Python


class LlmzipFile(io.BufferedIOBase):
    """A compressed file that is read or written as what it stands for; bytes in and out.

    file: a path, or an open binary file, which is used from its present place on and stays open. mode: "r" to read, "w" to
    write anew, "x" to create what must not exist, "a" to append a member (also with "b"). model and options as for `Settings`,
    or `codec`; by default the process's codec, so that many files load one model.

    Reading a file that can seek is reading at any offset: `seek` decodes the one block that is needed, and the last few
    stay decoded. Files of several members read as one. A pipe is read forwards. Who writes gets a complete file by `close`
    only; before it, and where writing failed, readers say that the file is cut.

    For one thread at a time, as other file objects. Raises what the others raise: ValueError for a closed file and impossible modes,
    io.UnsupportedOperation for what the mode or a pipe does not allow, UsageError (a ValueError) for appending to or in the short
    form, OSError of the file; ModelError, CorruptError
    (TruncatedError, an EOFError too, for a cut file), ContextError and ArithmeticMismatchError for what only llmzip has.

        >>> from io import BytesIO
        >>> packed = BytesIO()
        >>> with LlmzipFile(packed, "w", level=1) as file:
        ...     file.write(b"It was a dark and stormy night.")
        31
        >>> _ = packed.seek(0)
        >>> file = LlmzipFile(packed)
        >>> file.seek(9)
        9
        >>> file.read(4)
        b'dark'
    """

    def __init__(
        self,
        file: File,
        mode: str = "rb",
        *,
        model: str | Path | LanguageModel | None = None,
        codec: Codec | None = None,
        **options: Any,
    ) -> None:
        self._file: BinaryIO | None = None
        self._owned = False
        self._reader: io.BufferedReader | None = None
        self._compressor: Compressor | None = None
        self._written = 0
        kind = mode.replace("b", "", 1)
        if kind not in ("r", "w", "x", "a"):
            raise ValueError(f"invalid mode: {mode!r}")
        codec = codec_of(model, codec, options)
        if kind == "a":
            _refuse_short(file, codec)
        compressor = (
            None if kind == "r" else Compressor(codec=codec, ahead=True)
        )  # before a file is made: its model may be missing
        if isinstance(file, str | bytes | os.PathLike):
            self._file, self._owned = cast(BinaryIO, builtins.open(file, f"{kind}b")), True
        elif hasattr(file, "read" if kind == "r" else "write"):
            self._file = file
        else:
            raise TypeError(f"a path or a binary file is needed, not {type(file).__name__}")
        self.mode = "rb" if kind == "r" else f"{kind}b"
        if kind == "r":
            self._reader = io.BufferedReader(OriginalStream(self._file, codec), _BUFFER)
        self._compressor = compressor
        if compressor:
            _written.add(self)

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def name(self) -> Any:
        """The name of the compressed file. AttributeError where the underlying file has none."""
        return self._open().name

    @property
    def closed(self) -> bool:
        return self._file is None

    def fileno(self) -> int:
        """The descriptor of the compressed file."""
        return self._open().fileno()

    def readable(self) -> bool:
        self._open()
        return self._reader is not None

    def writable(self) -> bool:
        self._open()
        return self._reader is None

    def seekable(self) -> bool:
        """Whether `seek` works: the file is read, and can seek itself."""
        self._open()
        return self._reader is not None and self._reader.seekable()

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes of the original, fewer only at its end; None or negative: all that is left."""
        return self._reading().read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        """Some bytes, at most `size`, b"" at the end: what is decoded already, or of the next block."""
        return self._reading().read1(size)

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill a buffer; the number of bytes, fewer than it holds only at the end."""
        return self._reading().readinto(buffer)

    def readinto1(self, buffer: Buffer, /) -> int:
        """As `readinto`, with what `read1` would give."""
        return self._reading().readinto1(buffer)

    def peek(self, size: int = 0, /) -> bytes:
        """Some of the bytes that come next, without going on; b"" at the end only."""
        return self._reading().peek(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """The next line with its end, at most `size` bytes of it; b"" at the end."""
        return self._reading().readline(-1 if size is None else size)

    def __iter__(self) -> LlmzipFile:
        self._reading()
        return self

    def __next__(self) -> bytes:
        return next(self._reading())

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a byte of the original, counted from its start, the present place or its end; the new place, at most its length.

        Raises io.UnsupportedOperation when writing and for what cannot seek, ValueError before the start.
        """
        if self._open() and self._reader is None:
            raise io.UnsupportedOperation("only files that are read can seek")
        reader = self._reading()
        if not reader.seekable():
            raise io.UnsupportedOperation("the underlying file cannot seek: it can only be read forwards")
        return reader.seek(offset, whence)

    def tell(self) -> int:
        """The place in the original, in bytes; when appending, from where the new member began."""
        self._open()
        return self._reader.tell() if self._reader else self._written

    # -- writing ----------------------------------------------------------------------------------------------------

    def write(self, data: Buffer, /) -> int:
        """Take more of the original; the number of its bytes. A block is coded and written whenever it is full."""
        self._open()
        if self._reader:
            raise io.UnsupportedOperation("the file was opened for reading")
        if self._compressor is None:
            raise ValueError("writing failed before: nothing can be added, and the file stays without its end")
        view = memoryview(data).cast("B")
        for start in range(0, len(view), PIECE):
            piece = view[start : start + PIECE]
            self._put(partial(Compressor.compress, data=piece))
            self._written += len(piece)
        return len(view)

    def flush(self) -> None:
        """Flush the underlying file. The block that is not full stays in memory: cutting it would cost size."""
        file = self._open()
        if self._reader is None and hasattr(file, "flush"):
            file.flush()

    def close(self) -> None:
        """Complete the file if it was written; close it unless the caller opened it. A second call does nothing."""
        if self._file is None:
            return
        try:
            if self._reader:
                self._reader.close()
            else:
                self._put(Compressor.flush)
        finally:
            file, self._file, self._reader, self._compressor = self._file, None, None, None
            if self._owned:
                file.close()

    # -- within -----------------------------------------------------------------------------------------------------

    def _open(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("I/O operation on closed file")
        return self._file

    def _reading(self) -> io.BufferedReader:
        self._open()
        if self._reader is None:
            raise io.UnsupportedOperation("the file was opened for writing")
        return self._reader

    def _put(self, step: Callable[[Compressor], bytes]) -> None:
        """Write what a step of the compressor gives. After a failure the file is given up, without its end."""
        compressor, self._compressor = self._compressor, None
        if compressor:
            try:
                write_all(self._open(), step(compressor))
            except BaseException:
                compressor.close()
                raise
            self._compressor = compressor


def _refuse_short(file: File, codec: Codec) -> None:
    """Raises UsageError where appending would make what nobody can read: a message is alone in its file."""
    if codec.settings.short:
        raise UsageError("nothing is appended in the short form: write a file of its own, or leave out short")
    if isinstance(file, str | bytes | os.PathLike) and os.path.isfile(file):
        with builtins.open(file, "rb") as there:
            refuse_message(there)


def refuse_message(file: BinaryIO) -> None:
    """Raises UsageError where a file that is to be appended to, open for reading, holds a message in the short form."""
    if is_message(file):
        raise UsageError("the file holds a message in the short form, to which nothing can be appended")


@overload
def open(
    file: File,
    mode: Literal["r", "rb", "w", "wb", "x", "xb", "a", "ab"] = "rb",
    *,
    model: str | Path | LanguageModel | None = None,
    codec: Codec | None = None,
    **options: Any,
) -> LlmzipFile: ...


@overload
def open(
    file: File,
    mode: Literal["rt", "wt", "xt", "at"],
    *,
    model: str | Path | LanguageModel | None = None,
    codec: Codec | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **options: Any,
) -> io.TextIOWrapper: ...


@overload
def open(
    file: File,
    mode: str,
    *,
    model: str | Path | LanguageModel | None = None,
    codec: Codec | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **options: Any,
) -> LlmzipFile | io.TextIOWrapper: ...


def open(
    file: File,
    mode: str = "rb",
    *,
    model: str | Path | LanguageModel | None = None,
    codec: Codec | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **options: Any,
) -> LlmzipFile | io.TextIOWrapper:
    """Open a compressed file: an `LlmzipFile`, or with "t" in the mode text over it, as the built-in `open`.

    encoding, errors, newline: of text. The others as for `LlmzipFile`, which says what is raised; text adds UnicodeDecodeError and
    UnicodeEncodeError.

        >>> with open("night.txt.llmz", "wt", encoding="utf-8", level=1) as file:
        ...     file.write("a dark night\\nand stormy\\n")
        24
        >>> list(open("night.txt.llmz", "rt", encoding="utf-8"))
        ['a dark night\\n', 'and stormy\\n']
    """
    if "t" in mode:
        if "b" in mode:
            raise ValueError(f"invalid mode: {mode!r}")
        encoding = io.text_encoding(encoding)
        io.TextIOWrapper(io.BytesIO(), encoding, errors, newline)  # what is wrong is refused before a file is emptied
    elif not (encoding is errors is newline is None):
        raise ValueError("encoding, errors and newline are for text: add t to the mode")
    binary = LlmzipFile(file, mode.replace("t", "", 1), model=model, codec=codec, **options)
    if "t" not in mode:
        return binary
    text = io.TextIOWrapper(binary, encoding, errors, newline)
    if binary.writable():
        _written.add(text)
    return text


@atexit.register
def _complete() -> None:
    """Close what a program that ends left open, as the standard library does; later there would be nothing to code with."""
    for file in sorted(_written, key=lambda file: isinstance(file, LlmzipFile)):  # text holds some back from its file
        try:
            file.close()
        except Exception:
            sys.excepthook(*sys.exc_info())  # as for the others: told, and the next one is closed
