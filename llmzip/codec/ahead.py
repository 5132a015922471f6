"""Work on several blocks at once, with results in the order of the blocks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Generic, TypeVar

from llmzip.model.threads import bounded, usable_cores

Result = TypeVar("Result")
Job = Callable[[Callable[[float], None]], Result]
"""What is done for a block; is given where to tell the share that is done."""

_BY_DEFAULT = 2  # blocks at once: each takes some 130 MB


class _Stopped(Exception):
    """Nobody waits for this job any more."""


def workers(wanted: int, source: BinaryIO) -> int:
    """Blocks of a source to work on at once; wanted: 0 = as many as there are cores, but for memory's sake no more than two.

    One where the source is no file: whoever reads from a pipe waits for every block.
    """
    if not (hasattr(source, "seekable") and source.seekable()):
        return 1
    return at_once(wanted)


def at_once(wanted: int) -> int:
    """Blocks to work on at once where nobody waits for one; wanted: 0 = as `workers` says."""
    return bounded(wanted) or min(_BY_DEFAULT, usable_cores())


class Ahead(Generic[Result]):
    """A queue of jobs, at most `most` of which run at once; with one, each runs when it is put in.

    An error of a job comes out with its result. For one thread; `close` waits for what runs, which then ends soon.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._jobs: deque[Future[Result]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._stop = threading.Event()

    @property
    def full(self) -> bool:
        """Whether a result has to be taken before more is put in."""
        return len(self._jobs) >= self.most

    def put(self, job: Job[Result], report: Callable[[float], None], *, here: bool = False) -> None:
        """Add a job. here: it is no work for another thread, so it runs now."""
        if self.most == 1 or here:
            done: Future[Result] = Future()
            try:
                done.set_result(job(report))
            except Exception as error:
                done.set_exception(error)
            self._jobs.append(done)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.most, "block")
        self._jobs.append(self._pool.submit(job, self._unless_stopped(report)))

    def take(self) -> Result:
        """The oldest result. Raises what its job raised."""
        return self._jobs.popleft().result()

    def close(self) -> None:
        """Give up what was not taken."""
        self._stop.set()
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._jobs.clear()

    def _unless_stopped(self, report: Callable[[float], None]) -> Callable[[float], None]:
        def tell(share: float) -> None:
            if self._stop.is_set():
                raise _Stopped
            report(share)

        return tell
