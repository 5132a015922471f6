"""How many threads to evaluate with: measured, not assumed.

More threads are not always faster: the threads of a step wait for each other at every one of its hundreds of
operations. For a step of a few rows that costs more than it gains, and on a busy machine, where a thread may have to
wait for a processor, it can make a step ten or a hundred times slower. So the evaluator times itself with 1, 2, 4 ...
all cores and keeps to what is fastest, trying the next fewer and the next more now and then. The number of threads
changes no result.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

# The share of time spent on finding out whether the next fewer, or the next more, threads have become faster.
_PROBING = 0.015
_SMOOTHING = 0.2
_HESITATION = 10.0  # seconds of evaluation before more threads are tried on a machine that was found busy
_THREAD, _BESIDE_THREADS = 136 << 20, 300 << 20  # bytes of address space: its stack and arena; all else that is mapped


def address_space() -> int | None:
    """Bytes that the process may have mapped (`ulimit -v`); None: as many as there are."""
    try:
        import resource
    except ImportError:  # not Unix
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def usable_cores() -> int:
    """Cores this process may run on, and whose threads have room in its address space: the default number of threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = address_space()
    return cores if limit is None else max(1, min(cores, (limit - _BESIDE_THREADS) // _THREAD))


def may_begin() -> bool:
    """Whether threads may still begin: not once the main thread has ended, when files that are still open are completed."""
    return threading.main_thread().is_alive()


def bounded(wanted: int) -> int:
    """Threads for a wish, at most the usable cores: more of them only wait for each other. 0, as many as help, stays 0."""
    return min(wanted, usable_cores())


_evaluated = _orphaned = False


def for_evaluation(wanted: int) -> int:
    """Threads that a network begins with; wanted: 0 = the usable cores.

    OpenMP's threads do not come along into a forked process, and its library there waits for them for ever: where networks were
    evaluated before the fork, evaluation has to do with one thread.
    """
    global _evaluated
    _evaluated = True
    return 1 if _orphaned else wanted or usable_cores()


def _forked() -> None:
    global _orphaned
    _orphaned = _evaluated


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def is_busy(cores: int) -> bool:
    """Whether other programs leave less than half of the cores: in the last minute, and still."""
    try:
        if os.getloadavg()[0] <= cores / 2:
            return False
    except (AttributeError, OSError):
        return False
    others = _others_running()
    return others is None or others >= cores / 2


def _others_running() -> int | None:
    """Threads of the machine, beside this one, that run or wait for a core at this moment; None: not known."""
    try:
        with open("/proc/loadavg") as file:
            return int(file.read().split()[3].partition("/")[0]) - 1
    except (OSError, ValueError, IndexError):  # not Linux
        return None


class ThreadTuner:
    """Chooses between 1, 2, 4 ... `most` threads for calls whose cost grows with their rows.

    busy: start with one thread instead of with all. clock: seconds, for tests.
    """

    def __init__(self, most: int, busy: bool = False, clock: Callable[[], float] = time.perf_counter) -> None:
        self._choices = sorted({1 << power for power in range(most.bit_length()) if 1 << power < most} | {most})
        self._clock = clock
        self._cost: dict[int, float] = {}  # smoothed seconds a row
        self._total = 0.0  # seconds of evaluation so far
        self._tried: dict[int, float] = {}  # `_total` when a choice was last used
        self._began = 0.0
        self.threads = self._choices[0 if busy else -1]
        self._hesitation = _HESITATION if busy else 0.0

    @property
    def best(self) -> int:
        """The fastest choice so far; before the first call, the one to begin with."""
        return min(self._cost, key=self._cost.__getitem__, default=self.threads)

    def _neighbours(self) -> list[int]:
        """The next fewer and the next more threads."""
        at = self._choices.index(self.best)
        return [self._choices[i] for i in (at - 1, at + 1) if 0 <= i < len(self._choices)]

    def begin(self, rows: int) -> int:
        """Threads for a call of so many rows, which starts now."""
        self.threads = self.best
        if self._cost:
            for choice in self._neighbours():
                # What has never been tried is tried at once, so that the first calls walk to the fastest; but not on a busy machine, where
                # one call may take as long as all others of a short text.
                if choice not in self._cost:
                    wanted = self._total >= self._hesitation
                else:
                    wanted = self._cost[choice] * rows < _PROBING * (self._total - self._tried[choice])
                if wanted:
                    self.threads = choice
                    break
        self._began = self._clock()
        return self.threads

    def end(self, rows: int) -> None:
        """The call that began last has ended."""
        seconds = self._clock() - self._began
        cost = seconds / rows
        known = self._cost.get(self.threads)
        # A probe replaces what is known of a slower choice: it is seen too seldom for an average.
        if known is not None and self.threads == self.best:
            cost = known + _SMOOTHING * (cost - known)
        self._cost[self.threads] = cost
        self._total += seconds
        self._tried[self.threads] = self._total
