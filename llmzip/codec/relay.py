"""Several threads that take turns at what only one of them may do at a time, in a fixed order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import ParamSpec

_P = ParamSpec("_P")


class _Dropped(Exception):
    """Another thread has failed: the baton will not come."""


class Baton:
    """Whoever holds it may work; it goes to who waits for the number at which the one before leaves off."""

    def __init__(self, at: int) -> None:
        self._at, self._dropped, self._change = at, False, threading.Condition()

    @contextlib.contextmanager
    def held(self, first: int, stop: int) -> Iterator[None]:
        """Wait for `first`; who waits for `stop` is next. Nobody is where the work raises something."""
        with self._change:
            while self._at != first:
                if self._dropped:
                    raise _Dropped
                self._change.wait()
        yield
        with self._change:
            self._at = stop
            self._change.notify_all()

    def drop(self) -> None:
        """It goes to nobody any more."""
        with self._change:
            self._dropped = True
            self._change.notify_all()

    def run(self, leg: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """What one thread does, up to where another one fails. Raises what the leg raises, and lets the others end."""
        try:
            leg(*args, **kwargs)
        except _Dropped:
            return
        except BaseException:
            self.drop()
            raise
