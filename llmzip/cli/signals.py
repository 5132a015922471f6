"""Signals that ask the program to end, as an exception of the main thread that cannot get lost."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.05  # seconds

_handled: list[signal.Signals] = []
_came: int | None = None
_over = False


class Terminated(BaseException):
    """A signal that asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_on_signals() -> None:
    """From now on these signals raise Terminated; those that the caller has switched off (nohup, background jobs) stay off."""
    global _told, _came, _over
    if sys.unraisablehook is not _unraisable:
        _told, sys.unraisablehook = sys.unraisablehook, _unraisable
    _came, _over = None, False
    _handled.clear()
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            _handled.append(number)
            signal.signal(number, _terminate)


def resume() -> None:
    """Raise Terminated where a signal came: whatever error is at hand may be what a library made of that."""
    if _came is not None:
        raise Terminated(_came) from None


def no_more() -> None:
    """The program ends: from now on no signal can keep it from putting things in order."""
    global _over
    _over = True
    signal.setitimer(signal.ITIMER_REAL, 0)


def end_at_once() -> None:
    """Nothing is left to be put in order: from now on a signal ends the process without a word."""
    for number in _handled:
        signal.signal(number, signal.SIG_DFL)


def _terminate(number: int, frame: object) -> None:
    global _came
    # One is enough: a second signal must not interrupt the cleaning up. (Nor is it switched off here, since Python has words for one that came
    # before that and is yet to be handled.)
    if _over or _came is not None:
        return
    _came = number
    signal.signal(signal.SIGALRM, _look_again)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
    raise Terminated(number)


def _look_again(alarm: int, frame: FrameType | None) -> None:
    """Raise once more what got lost: Python drops exceptions in destructors and callbacks, some libraries wherever they like."""
    if _over or _came is None:
        return
    error, met = sys.exc_info()[1], set[int]()
    while error is not None and id(error) not in met:
        if isinstance(error, (Terminated, GeneratorExit)):
            return  # on its way, or put in order by a generator that it ends
        met.add(id(error))
        error = error.__cause__ or error.__context__
    while frame:
        if frame.f_code is _unraisable.__code__:
            return  # there it would be ignored for good
        frame = frame.f_back
    raise Terminated(_came)


def _unraisable(ignored: sys.UnraisableHookArgs) -> None:
    if not isinstance(ignored.exc_value, Terminated):
        _told(ignored)


_told: Callable[[Any], Any] = sys.__unraisablehook__
