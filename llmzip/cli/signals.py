"""Signals that ask the program to end, as an exception of the main thread that cannot get lost."""

from __future__ import annotations

import signal
import sys
from types import CodeType, FrameType
from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.001  # seconds


class Terminated(BaseException):
    """A signal that asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_on_signals() -> None:
    """From now on these signals raise Terminated; those that the caller has switched off (nohup, background jobs) stay off."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    others = sys.unraisablehook

    def hook(ignored: sys.UnraisableHookArgs) -> None:
        # Raised where Python ignores exceptions (destructors, callbacks from C): once more, in a moment.
        if isinstance(ignored.exc_value, Terminated):
            _raise_later(ignored.exc_value.number, hook.__code__)
        else:
            others(ignored)

    sys.unraisablehook = hook


def _terminate(number: int, frame: object) -> NoReturn:
    # One is enough: a second signal must not interrupt the cleaning up.
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise Terminated(number)


def _raise_later(number: int, hook: CodeType) -> None:
    def again(alarm: int, frame: FrameType | None) -> None:
        while frame:
            if frame.f_code is hook:  # which is not over yet: there it would be ignored for good
                signal.setitimer(signal.ITIMER_REAL, _AGAIN)
                return
            frame = frame.f_back
        raise Terminated(number)

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)
