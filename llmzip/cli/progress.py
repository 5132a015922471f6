"""Progress on a terminal and the summary line of a file."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llmzip.cli.options import Options


def shown(options: Options) -> bool:
    """Whether progress is wanted and there is a terminal to show it on."""
    return options.progress and not options.quiet and sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def progress(
    name: str, total: Callable[[], int | None], options: Options, unit: str = "B"
) -> Iterator[Callable[[int], None] | None]:
    """A function to report newly done units (original bytes) to, while the with statement lasts; None when nobody
    looks.

    `total` is asked for the number of units to come only if it is shown.
    """
    if not shown(options):
        yield None
        return
    bar = _bar(total(), name[-40:], unit)
    try:
        yield bar.update
    finally:
        bar.close()


def _bar(total: int | None, name: str, unit: str) -> Any:
    from tqdm import tqdm

    # Its watching thread only serves bars that hang, and threads complicate signals.
    tqdm.monitor_interval = 0
    # Terminals of containers and editors may call themselves 0 by 0; the bar would vanish.
    width = {"dynamic_ncols": True} if os.get_terminal_size(sys.stderr.fileno()).columns else {"ncols": 79, "nrows": 24}
    return tqdm(total=total, desc=name, unit=unit, unit_scale=True, leave=False, file=sys.stderr, **width)


class Together:
    """One display for the files of a call that are worked on side by side."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bar: Any = None
        self._begun = self._ended = 0

    @contextmanager
    def file(
        self, name: str, total: Callable[[], int | None], options: Options, unit: str = "B"
    ) -> Iterator[Callable[[int], None] | None]:
        """As `progress`, for one of the files."""
        if not shown(options):
            yield None
            return
        with self._lock:
            self._begun += 1
            self._show(total() or 0, unit)
        try:
            yield self._advance
        finally:
            with self._lock:
                self._ended += 1
                self._show(0, unit)

    def _show(self, more: int, unit: str) -> None:
        if self._bar is None:
            self._bar = _bar(0, "", unit)
        self._bar.total += more
        self._bar.set_description(f"{self._ended} of {self._begun} files")

    def _advance(self, count: int) -> None:
        with self._lock:
            self._bar.update(count)

    def close(self) -> None:
        """Take the display away."""
        if self._bar:
            self._bar.close()


def summary_line(summary: Any, *, compressing: bool) -> str:
    """One line on a finished file: sizes, ratio, bits per byte and character, time and rate of the original."""
    original, compressed = summary.original, summary.compressed
    parts = [f"{original} -> {compressed} bytes" if compressing else f"{compressed} -> {original} bytes"]
    if original and compressed:
        parts.append(f"ratio {original / compressed:.3f}")
        parts.append(f"{8 * compressed / original:.3f} bits/byte")
    if summary.characters and original:
        parts.append(f"{8 * compressed / summary.characters:.3f} bits/char")
    parts.append(f"{summary.seconds:.2f} s")
    if summary.seconds > 0:
        parts.append(f"{original / summary.seconds / 1000:.1f} kB/s")
    return ", ".join(parts)
