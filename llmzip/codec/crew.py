"""Worker processes that code blocks, each with a model of its own: what several cores can do where one model cannot."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from os import _exit as end_process
from typing import Any, BinaryIO, TextIO

from llmzip.codec.ahead import always
from llmzip.codec.blockcoder import BlockCoder, CodedBlock
from llmzip.codec.codec import Codec
from llmzip.codec.compressing import MemberCompressor
from llmzip.codec.observer import Observer
from llmzip.codec.pipeline import ShareDone, silent
from llmzip.codec.settings import Settings
from llmzip.codec.summary import BytesDone
from llmzip.container import Block, Header
from llmzip.errors import LlmzipError, LlmzipWarning

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux
_PATIENCE = 2.0  # seconds that a worker has to end by itself


class _GivenUp(Exception):
    """Nobody waits for this block any more."""


class _Gone(Exception):
    """The process at the other end has ended."""


class _Worker:
    """One process, and the connection to it."""

    def __init__(self, make: Callable[[], Codec], others: list[Connection]) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve,
            args=(theirs, make, [*others, self.connection], os.getpid()),
            name="block worker",
            daemon=True,
        )
        self.process.start()
        theirs.close()

    def call(self, name: str, arguments: tuple[Any, ...], report: ShareDone) -> Any:
        """What a method of the worker's gives. Raises what it raises, and _Gone."""
        self._send((name, arguments))
        given_up: BaseException | None = None
        while True:
            try:
                kind, value = self.connection.recv()
            except (EOFError, OSError):
                raise _Gone from None
            if kind == "share" and not given_up:
                try:
                    report(value)
                except BaseException as error:
                    given_up = error
                    self._send("enough")
            elif kind == "warning":
                warnings.warn(value, stacklevel=2)
            elif kind in ("done", "failed"):
                # A word that came too late must not be taken for the next block.
                self._send("heard")
                if given_up:
                    raise given_up
                if kind == "failed":
                    raise value
                return value

    def _send(self, words: Any) -> None:
        try:
            self.connection.send(words)
        except OSError:
            raise _Gone from None


class Crew:
    """Processes that work on one block each; threads that have one wait for a free process.

    make: gives a process its codec; is called there. The processes are copies of this one, made here, before it has threads.
    """

    def __init__(self, count: int, make: Callable[[], Codec]) -> None:
        self._workers: list[_Worker] = []
        for _ in range(count):
            self._workers.append(_Worker(make, [worker.connection for worker in self._workers]))
        self._idle = deque(self._workers)
        self._change = threading.Condition()
        self._closed = False

    def call(self, name: str, *arguments: Any, report: ShareDone = silent) -> Any:
        """What a method (`_Methods`) gives in the next free process. Raises what it raises, LlmzipError if the process dies."""
        with self._change:
            while not self._idle and self._workers and not self._closed:
                self._change.wait()
            if not self._idle or self._closed:
                raise LlmzipError("all worker processes have ended: use fewer --jobs")
            worker = self._idle.popleft()
        try:
            return worker.call(name, arguments, report)
        except _Gone:
            worker.process.join(_PATIENCE)
            with self._change:
                self._workers.remove(worker)
            raise LlmzipError(_obituary(worker.process.exitcode)) from None
        finally:
            with self._change:
                if worker in self._workers:
                    self._idle.append(worker)
                self._change.notify_all()

    def close(self) -> None:
        """End the processes, in the middle of their blocks if need be."""
        with self._change:
            self._closed = True
            self._change.notify_all()
            workers = list(self._workers)
        for worker in workers:
            worker.process.terminate()
        end = time.monotonic() + _PATIENCE
        for worker in workers:
            worker.process.join(max(0.0, end - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _obituary(exit_code: int | None) -> str:
    cause = f"was ended by {signal.Signals(-exit_code).name}" if exit_code and exit_code < 0 else "ended"
    advice = ": too little memory for so many? use fewer --jobs" if exit_code == -signal.SIGKILL else ""
    return f"the process that worked on it {cause}{advice}"


class _Methods:
    """What a worker does."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._coder: BlockCoder | None = None

    def header(self, report: ShareDone) -> Header:
        """Of new members."""
        return self._codec.member_header()

    def code(self, report: ShareDone, data: bytes) -> CodedBlock:
        """A block of a new member."""
        self._coder = self._coder or self._codec.block_coder()
        return self._coder.code(data, report)

    def decode(self, report: ShareDone, header: Header, block: Block) -> tuple[bytes, bool]:
        """A block of a member."""
        return self._codec.decode_block(header, block, report)


def _serve(connection: Connection, make: Callable[[], Codec], others: list[Connection], parent: int) -> None:
    """The life of a worker: blocks until the other side closes the connection or a signal ends it."""
    _end_with(parent)
    for other in others:
        other.close()  # or the worker would not see that this side of it is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells all of them; the first one decides

    def warned(
        message: Any,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        connection.send(("warning", message if isinstance(message, LlmzipWarning) else LlmzipWarning(str(message))))

    warnings.showwarning = warned

    def report(share: float) -> None:
        if connection.poll():
            connection.recv()
            raise _GivenUp
        connection.send(("share", share))

    try:
        # A signal, too, ends it by an exception: what is being expanded is removed on the way out.
        with contextlib.suppress(BaseException):
            methods: _Methods | None = None
            while True:
                name, arguments = connection.recv()
                answer: tuple[str, Any]
                try:
                    methods = methods or _Methods(make())
                    answer = ("done", getattr(methods, name)(report, *arguments))
                except Exception as error:
                    answer = ("failed", _portable(error))
                connection.send(answer)
                while connection.recv() != "heard":
                    pass
    finally:
        end_process(0)  # before another signal, or the same one raised again, can make a traceback


def _end_with(parent: int) -> None:
    """End with the process that made this one, whatever ends that; where the system cannot do so, at the next report."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit(1)


def _portable(error: Exception) -> Exception:
    """The error as it can be sent, with the place where it happened."""
    if not isinstance(error, LlmzipError | OSError | MemoryError | _GivenUp):
        return LlmzipError(
            f"internal error in a worker, {type(error).__name__}: {error}; run with --debug and without --jobs"
        )
    error.__cause__ = error.__context__ = None
    error.add_note("".join(traceback.format_exception(error)))
    return error.with_traceback(None)


class CrewCodec(Codec):
    """A codec whose blocks are coded by worker processes; safe for use by several threads. The files are the same.

    make: gives a process its codec, of the same settings but for the threads. Raises as `Codec`.
    """

    def __init__(self, count: int, make: Callable[[], Codec], settings: Settings) -> None:
        super().__init__(settings=settings)
        self.count = count
        self._crew = Crew(count, make)

    def close(self) -> None:
        """End the processes."""
        self._crew.close()
        super().close()

    def member_header(self) -> Header:
        """The header of new members. Raises ModelError."""
        header: Header = self._crew.call("header")
        return header

    def block_coder(self) -> BlockCoder:
        """Codes single blocks of a member in the processes."""
        return _Coder(self._crew)

    def _member(self, sink: BinaryIO, progress: BytesDone | None, observer: Observer, most: int) -> MemberCompressor:
        header, coder = self.member_header(), self.block_coder()
        return MemberCompressor(self.settings, self.choice, sink, progress, observer, most, header, coder)

    def _at_once(self, source: BinaryIO) -> int:
        return 2 * self.count  # so that nobody waits for the oldest

    def _for_threads(self, header: Header, block: Block) -> bool:
        return True

    def decode_block(
        self, header: Header, block: Block, progress: ShareDone | None = None, alone: Callable[[], bool] = always
    ) -> tuple[bytes, bool]:
        """As of `Codec`."""
        decoded: tuple[bytes, bool] = self._crew.call("decode", header, block, report=progress or silent)
        return decoded


class _Coder(BlockCoder):
    """Codes blocks in the worker processes."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def code(self, data: bytes, report: ShareDone = silent, alone: Callable[[], bool] = always) -> CodedBlock:
        """What is stored of a block. Raises ModelError."""
        coded: CodedBlock = self._crew.call("code", data, report=report)
        return coded
