"""Ctrl-C as a request: the work stops at the next safe place and what is known so far is reported."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """The user asked to stop. Not an `Exception`, so that no handler of a file's errors takes it for one."""


class StopRequest:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.made = False

    def check(self) -> None:
        """Raises Stopped if the request was made."""
        if self.made:
            raise Stopped


@contextmanager
def stop_on_interrupt() -> Iterator[StopRequest]:
    """SIGINT makes the request while the with statement lasts; a second one is handled as it was before."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield request
        return

    def note(number: int, frame: object) -> None:
        request.made = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, before)
