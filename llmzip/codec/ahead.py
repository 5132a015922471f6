"""Work on several blocks at once, with results in the order of the blocks."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, NoReturn, TypeVar

from llmzip.model.threads import bounded, usable_cores

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Result = TypeVar("Result")
Job = Callable[[Callable[[float], None]], Result]
"""What is done for a block; is given where to tell the share that is done."""

_PATIENCE = 0.5  # seconds that jobs have to end after a signal: native code hears of none
_left: list[Future[Any]] = []

_FEW, _EACH = 2, 500 << 20  # blocks at once by default at least, and bytes that one takes with the network


class _Stopped(Exception):
    """Nobody waits for this job any more."""


def leave(jobs: Iterable[Future[Any]], seconds: float) -> None:
    """Wait so long, and no longer, for jobs that a signal has ended."""
    from concurrent.futures import wait

    _left.extend(wait(jobs, seconds).not_done)


def stuck() -> bool:
    """Whether such jobs wait for a pipe or are in native code still, so that the interpreter would not end."""
    return not all(future.done() for future in _left)


def always() -> bool:
    """That no other block is in work."""
    return True


def never() -> bool:
    """That others are."""
    return False


def workers(wanted: int, source: BinaryIO) -> int:
    """Blocks of a source to work on at once; wanted: 0 = as `at_once` says.

    One where the source is no file: whoever reads from a pipe waits for every block.
    """
    if not (hasattr(source, "seekable") and source.seekable()):
        return 1
    return at_once(wanted)


def at_once(wanted: int) -> int:
    """Blocks to work on at once where nobody waits for one; wanted: 0 = as many as there are cores, but more than two only while
    they take no more than a quarter of the machine's memory."""
    return bounded(wanted) or min(usable_cores(), max(_FEW, _memory() // 4 // _EACH))


def _memory() -> int:
    """Bytes of memory that this process may come to use; 0 if unknown."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
    with contextlib.suppress(OSError, ValueError):
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found


def _settled(job: Job[Result], report: Callable[[float], None]) -> Callable[[], Result]:
    """Do a job now; its result, or its error, for later."""
    try:
        result = job(report)
    except Exception as error:
        return partial(_fail, error)
    return lambda: result


def _fail(error: Exception) -> NoReturn:
    raise error


class Ahead(Generic[Result]):
    """A queue of jobs, at most `most` of which run at once; with one, each runs when it is put in.

    A job that no other one follows runs where it is taken: files of one block need no threads. An error of a job comes out with its result. For one thread; `close` waits for what runs, which then ends soon.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._jobs: deque[Callable[[], Result]] = deque()
        self._first: tuple[Job[Result], Callable[[float], None]] | None = None  # the only job, not begun
        self._pool: ThreadPoolExecutor | None = None
        self._begun: list[Future[Result]] = []
        self._unfinished, self._counting = 0, threading.Lock()
        self._stop = threading.Event()

    @property
    def full(self) -> bool:
        """Whether a result has to be taken before more is put in."""
        return len(self._jobs) + bool(self._first) >= self.most

    def alone(self) -> bool:
        """Whether no more than one job is in work or waits for that. For the jobs' own threads."""
        return self._unfinished <= 1

    def put(self, job: Job[Result], report: Callable[[float], None], *, here: bool = False) -> None:
        """Add a job. here: it is no work for another thread, so it runs now."""
        self._count(1)
        job = partial(self._counted, job)
        if self.most == 1 or here:
            self._begin_first()
            self._jobs.append(_settled(job, report))
        elif self._first or self._jobs:
            self._begin_first()
            self._begin(job, report)
        else:
            self._first = job, report

    def take(self) -> Result:
        """The oldest result. Raises what its job raised."""
        if self._first:
            (job, report), self._first = self._first, None
            return job(report)
        return self._jobs.popleft()()

    def close(self) -> None:
        """Give up what was not taken. After a signal what is in native code is not waited for."""
        self._stop.set()
        if self._pool:
            signal = isinstance(error := sys.exc_info()[1], BaseException) and not isinstance(
                error, Exception | GeneratorExit
            )
            self._pool.shutdown(wait=not signal, cancel_futures=True)
            if signal:
                leave(self._begun, _PATIENCE)
        self._jobs.clear()
        self._first = None

    def _count(self, more: int) -> None:
        with self._counting:
            self._unfinished += more

    def _counted(self, job: Job[Result], report: Callable[[float], None]) -> Result:
        try:
            return job(report)
        finally:
            self._count(-1)

    def _begin_first(self) -> None:
        if self._first:
            first, self._first = self._first, None
            self._begin(*first)

    def _begin(self, job: Job[Result], report: Callable[[float], None]) -> None:
        try:
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(self.most, "block")
            future = self._pool.submit(job, self._unless_stopped(report))
            self._begun = [*(each for each in self._begun if not each.done()), future]
            self._jobs.append(future.result)
        except (
            RuntimeError
        ):  # the interpreter shuts down and has no more threads; files that are open are completed now
            self._jobs.append(_settled(job, report))

    def _unless_stopped(self, report: Callable[[float], None]) -> Callable[[float], None]:
        def tell(share: float) -> None:
            if self._stop.is_set():
                raise _Stopped
            report(share)

        return tell
