"""Work of one block on several cores, each with a session of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from llmzip.codec.ahead import never
from llmzip.codec.evaluation import Session


class _Stopped(Exception):
    """Another lane failed."""


Check = Callable[[], None]
"""Raises where going on is of no use."""


def on_lanes(session: Session, most: int, work: Callable[[Session, Check], None]) -> None:
    """Do `work` in as many lanes at once as the session has, up to `most`, the first one in this thread; more join when cores become free.

    All have ended when it returns or raises what one raised.
    """
    stop = threading.Event()
    others: list[Future[None]] = []

    def check() -> None:
        if stop.is_set():
            raise _Stopped

    def lane(check: Check) -> None:
        try:
            with session.branch(never) as own:
                work(own, check)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(max(1, most - 1), "lane") as pool:

        def first() -> None:
            check()
            while 1 + len(others) < min(most, session.lanes):
                others.append(pool.submit(lane, check))

        try:
            with contextlib.suppress(_Stopped):
                first()
                lane(first)
            wait(others)
        finally:
            stop.set()  # a signal may have come while it waited
    for other in others:
        failure = other.exception()
        if failure and not isinstance(failure, _Stopped):
            raise failure
