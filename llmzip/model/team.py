"""One set of streams over several evaluators, each worked by a thread of its own.

Several contexts of one thread do more than one context of several threads, whose threads wait for each other at every operation of the
network, and whose steps take a hundred times as long where a thread has to wait for a processor (docs/scale.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.model.base import BranchingEvaluator


class Share(NamedTuple):
    """The share of one evaluator in a set of streams: first .. stop-1."""

    evaluator: BranchingEvaluator
    first: int
    stop: int


class Team:
    """Evaluators that share the streams of one set: `each` for every member, fewer for the last. See `llmzip.model.base.Evaluator`.

    rows: the most of one call; every member must take its part of them. Rows of a call come stream by stream.
    """

    def __init__(self, members: Sequence[BranchingEvaluator], each: int, rows: int, vocabulary: int) -> None:
        self.rows = rows
        self._members, self._each = members, each
        self._firsts = [number * each for number in range(len(members))]
        self._logits = np.empty((rows, vocabulary), np.float32)
        from concurrent.futures import ThreadPoolExecutor  # which cannot be loaded any more while the interpreter ends

        self._pool = ThreadPoolExecutor(len(members) - 1, "streams")

    def evaluate(
        self, tokens: NDArray[np.int32], positions: NDArray[np.int32], streams: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        bounds = [*np.searchsorted(streams, self._firsts).tolist(), len(tokens)]

        def part(member: BranchingEvaluator, first: int, start: int, stop: int) -> None:
            rows = slice(start, stop)
            self._logits[rows] = member.evaluate(tokens[rows], positions[rows], streams[rows] - np.int32(first))

        self.together(
            [
                partial(part, member, first, start, stop)
                for member, first, start, stop in zip(self._members, self._firsts, bounds, bounds[1:], strict=False)
                if start < stop
            ]
        )
        return self._logits[: len(tokens)]

    def together(self, jobs: Sequence[Callable[[], Any]], failed: Callable[[], None] = lambda: None) -> list[Any]:
        """What the jobs give, one a member at most, the first one done by this thread. No job is at work any more when one of them raises.

        failed: called before the others are waited for, should this thread not come to the end of its job.
        """
        from concurrent.futures import Future, wait

        others: list[Future[Any]] = []
        try:
            for job in jobs[1:]:
                others.append(self._pool.submit(job))
            first = jobs[0]()
        except BaseException:
            failed()
            raise
        finally:
            try:
                wait(others)
            except BaseException:  # a signal, and a step is soon done
                wait(others)
                raise
        return [first, *(other.result() for other in others)]

    def shares(self, streams: int) -> list[Share]:
        """The shares of streams 0 .. streams-1."""
        return [
            Share(member, first, min(first + self._each, streams))
            for member, first in zip(self._members, self._firsts, strict=True)
            if first < streams
        ]

    def take_over(self, other: BranchingEvaluator, streams: int) -> None:
        """Go on from what streams 0 .. streams-1 of another evaluator of the model hold, which keeps it. Raises what a member raises."""
        turn = Lock()

        def carry(share: Share) -> None:
            for stream in range(share.first, share.stop):
                with turn:
                    cache = other.save_stream(stream)
                share.evaluator.restore_stream(stream - share.first, cache)

        self.together([partial(carry, share) for share in self.shares(streams)])

    def slide(self, streams: int, drop: int) -> None:
        for member, first, stop in self.shares(streams):
            member.slide(stop - first, drop)

    def discard(self, streams: int, position: int) -> None:
        for member, first, stop in self.shares(streams):
            member.discard(stop - first, position)

    def save(self) -> NDArray[np.uint8]:
        caches = [member.save() for member in self._members]
        sizes = np.array([len(cache) for cache in caches], np.int64)
        return np.concatenate([sizes.view(np.uint8), *caches])

    def restore(self, caches: NDArray[np.uint8]) -> None:
        start = 8 * len(self._members)
        for member, size in zip(self._members, caches[:start].copy().view(np.int64).tolist(), strict=True):
            member.restore(np.ascontiguousarray(caches[start : start + size]))
            start += size

    def clear(self) -> None:
        for member in self._members:
            member.clear()

    def close(self) -> None:
        self._pool.shutdown()
        for member in self._members:
            member.close()
