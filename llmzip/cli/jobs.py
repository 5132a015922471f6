"""Several files at once (`--jobs`): threads that open, store and report, while worker processes code the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from llmzip.cli.options import Options
from llmzip.codec import ahead
from llmzip.model.threads import bounded, usable_cores

if TYPE_CHECKING:
    from concurrent.futures import Future

_PATIENCE = 2.0  # seconds that actions have to end when they are stopped

Done = Callable[[int, str, BaseException | None], bool]
"""Told, by the calling thread, the number of a file (from 0), its name and its error or None as it ends; nothing new is begun
after it answers False."""


def processes(options: Options) -> int:
    """Worker processes for these options: no more than threads in all, and one where memory is limited."""
    if options.memory_limit:
        return 1
    most = bounded(options.threads) or usable_cores()
    return min(options.jobs or most, most)


def threads_each(options: Options, count: int) -> int:
    """Threads of each of so many processes."""
    return max(1, (bounded(options.threads) or usable_cores()) // count)


def one_by_one(files: Iterable[str], action: Callable[[str], None], done: Done) -> None:
    """Do `action` for each file."""
    for number, file in enumerate(files):
        failure = None
        try:
            action(file)
        except Exception as error:
            failure = error
        if not done(number, file, failure):
            return


def side_by_side(
    files: Iterable[str], action: Callable[[str], None], done: Done, stop: Callable[[], None], width: int
) -> None:
    """Do `action` for each file, for `width` of them at once.

    stop: makes the actions that run end soon, when an exception (a signal's) ends this. Those that wait for a pipe do not: they end with
    the process.
    """
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    running: dict[Future[None], tuple[int, str]] = {}
    pool = ThreadPoolExecutor(width, "file")

    def settle() -> bool:
        ended = wait(running, return_when=FIRST_COMPLETED).done
        answers = [done(*running.pop(future), future.exception()) for future in ended]
        return all(answers)

    try:
        going = True
        for number, file in enumerate(files):
            if not going:
                break
            running[pool.submit(action, file)] = number, file
            while going and len(running) >= width:
                going = settle()
        while running:
            settle()
    except BaseException:
        stop()
        ahead.leave(running, _PATIENCE)
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
