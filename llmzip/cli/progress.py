"""Progress on a terminal and the summary line of a file."""

from __future__ import annotations

import os
import sys
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
    from tqdm import tqdm

    # Its watching thread only serves bars that hang, and threads complicate signals.
    tqdm.monitor_interval = 0
    # Terminals of containers and editors may call themselves 0 by 0; the bar would vanish.
    width = {"dynamic_ncols": True} if os.get_terminal_size(sys.stderr.fileno()).columns else {"ncols": 79, "nrows": 24}
    bar = tqdm(total=total(), desc=name[-40:], unit=unit, unit_scale=True, leave=False, file=sys.stderr, **width)
    try:
        yield bar.update
    finally:
        bar.close()


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
