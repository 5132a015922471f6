"""Work of one block on several cores, each with a session of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from llmzip.codec.evaluation import Session


class _Stopped(Exception):
    """Another lane failed."""


Check = Callable[[], None]
"""Raises where going on is of no use."""


def on_lanes(session: Session, count: int, work: Callable[[Session, Check], None]) -> None:
    """Do `work` in so many lanes at once, the first one in this thread. All have ended when it returns or raises what one raised."""
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise _Stopped

    def lane(own: Session) -> None:
        try:
            work(own, check)
        except BaseException:
            stop.set()
            raise

    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(session.branch(1)) for _ in range(count)]
        with ThreadPoolExecutor(count - 1, "lane") as pool:
            others = [pool.submit(lane, own) for own in sessions[1:]]
            try:
                with contextlib.suppress(_Stopped):
                    lane(sessions[0])
                wait(others)
            finally:
                stop.set()  # a signal may have come while it waited
        failures = [failure for other in others if (failure := other.exception())]
        for failure in failures:
            if not isinstance(failure, _Stopped):
                raise failure
