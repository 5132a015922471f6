"""Keeps a cluster busy: a few tasks more than it can run at once are with it, follow-ups go before what has not begun.

Tasks may be done twice, by a worker that was taken for dead, or after a scheduler came back: they are made so that it does not matter.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmzip.lake.cluster import Cluster
from llmzip.lake.work import Failure

if TYPE_CHECKING:
    from distributed import Future

_AHEAD = 2  # tasks with the cluster for each thread of it
_LOOK = 5.0  # seconds between looks at how large the cluster is


@dataclass(frozen=True)
class Unit:
    """A task. done: takes what `run(*arguments)` returns and gives what has to follow; sources: files that are not done if
    workers die of it."""

    run: Callable[..., Any]
    arguments: tuple[Any, ...]
    done: Callable[[Any], Iterable[Unit]]
    sources: tuple[str, ...]


class Driver:
    """Runs units on a cluster. deadly: is told of the files of a task that killed its workers one after the other.

    finished: where futures go that have ended; simulations have one that knows the time.
    """

    def __init__(
        self,
        cluster: Cluster,
        deadly: Callable[[Failure], None],
        finished: queue.SimpleQueue[tuple[int, Future]] | None = None,
    ) -> None:
        self._cluster, self._deadly = cluster, deadly
        self._finished: queue.SimpleQueue[tuple[int, Future]] = finished or queue.SimpleQueue()
        self._begun: dict[int, tuple[Future, Unit]] = {}
        self._count = 0
        self._looked, self._room = float("-inf"), 1

    def run(self, units: Iterator[Unit]) -> None:
        """Until there are no more units. Raises what a unit raised, after which nothing of it goes on, and `LlmzipError` where the
        cluster is lost."""
        following: deque[Unit] = deque()
        more = True
        try:
            while more or following or self._begun:
                while len(self._begun) < self._most() and (following or more):
                    unit = following.popleft() if following else next(units, None)
                    if unit is None:
                        more = False
                    else:
                        self._submit(unit)
                if self._begun:
                    following.extend(self._take())
        finally:
            self._cluster_forget()

    def _most(self) -> int:
        if time.monotonic() - self._looked > _LOOK:
            self._looked, self._room = time.monotonic(), _AHEAD * self._cluster.threads() + 1
        return self._room

    def _submit(self, unit: Unit) -> None:
        number = self._count
        self._count += 1
        future = self._cluster.client.submit(unit.run, *unit.arguments, pure=False)
        self._begun[number] = future, unit
        future.add_done_callback(lambda done: self._finished.put((number, done)))

    def _take(self) -> Iterable[Unit]:
        """What follows from the next task that has ended, if one does within a moment."""
        try:
            number, future = self._finished.get(timeout=1.0)
        except queue.Empty:
            if self._cluster.client.status == "closed":
                self._again()
            return ()
        if number not in self._begun:
            return ()  # of an earlier scheduler
        _, unit = self._begun.pop(number)
        if future.status == "finished":
            try:
                result = future.result(timeout=30)
            except (OSError, TimeoutError):  # its result has gone with the worker
                self._submit(unit)
                return ()
            return unit.done(result)
        if future.status == "error":
            error = future.exception()
            if type(error).__name__ in ("KilledWorker", "NoValidWorkerError"):
                for source in unit.sources:
                    self._deadly(
                        Failure(source, "the workers that took it died; it may need more memory than they have", 1)
                    )
                return ()
            raise error if isinstance(error, BaseException) else RuntimeError(str(error))
        # Cancelled or lost: the scheduler has gone.
        self._begun[number] = future, unit
        self._again()
        return ()

    def _again(self) -> None:
        """Find the scheduler and give it everything that had begun."""
        units = [unit for _, unit in self._begun.values()]
        self._begun.clear()
        self._cluster.find_again()
        for unit in units:
            self._submit(unit)

    def _cluster_forget(self) -> None:
        futures = [future for future, _ in self._begun.values()]
        self._begun.clear()
        if futures and self._cluster.client.status == "running":
            try:
                self._cluster.client.cancel(futures)
            except (OSError, TimeoutError):
                pass
