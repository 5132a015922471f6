"""How many threads to evaluate with: measured, not assumed.

More threads are not always faster: on a busy machine the threads of a step wait for each other at every one of its
hundreds of operations, and a step of a few rows can take a hundred times longer than with one thread. So the evaluator
times itself with one thread and with all, and keeps to what is faster.
"""

from __future__ import annotations

import time

# The share of time spent on finding out whether the other choice has become faster.
_PROBING = 0.03
_SMOOTHING = 0.2


class ThreadTuner:
    """Chooses between one thread and `most` for calls whose cost grows with their rows.

    clock: seconds, for tests.
    """

    def __init__(self, most: int, clock=time.perf_counter) -> None:  # noqa: ANN001 - any callable
        self._choices = sorted({1, most})
        self._clock = clock
        self._cost: dict[int, float] = {}  # smoothed seconds a row
        self._credit = 0.0  # seconds of evaluation since the last probe
        self._began = 0.0
        self.threads = most

    @property
    def best(self) -> int:
        """The faster choice so far."""
        return min(self._cost, key=self._cost.__getitem__, default=self._choices[-1])

    def begin(self, rows: int) -> int:
        """Threads for a call of so many rows, which starts now."""
        untried = [choice for choice in self._choices if choice not in self._cost]
        if untried:
            self.threads = untried[-1]
        else:
            other = max(self._choices, key=self._cost.__getitem__)
            if other != self.best and self._cost[other] * rows < _PROBING * self._credit:
                self.threads, self._credit = other, 0.0
            else:
                self.threads = self.best
        self._began = self._clock()
        return self.threads

    def end(self, rows: int) -> None:
        """The call that began last has ended."""
        seconds = self._clock() - self._began
        cost = seconds / rows
        known = self._cost.get(self.threads)
        # A probe replaces what is known of the slower choice: it is seen too seldom for an average.
        smooth = known is not None and self.threads == self.best
        self._cost[self.threads] = known + _SMOOTHING * (cost - known) if smooth else cost
        self._credit += seconds
