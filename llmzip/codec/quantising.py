"""The cells of a block: by one lane, or by several, and then the turns may be coded meanwhile, step by step as they come."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmzip.codec.observer import SILENT, Observer

if TYPE_CHECKING:
    # A pipeline without a network needs no arrays, and NumPy takes longer to import than a short block to code.
    import numpy as np
    from numpy.typing import NDArray

    from llmzip.codec.evaluation import Session
    from llmzip.codec.lanes import Check
    from llmzip.codec.layout import Layout
    from llmzip.codec.pipeline import BlockPipeline

Await = Callable[[int], None]
"""Waits until the cells of all rows before this one are there."""


def at_hand(stop: int) -> None:
    """All cells are there."""


@dataclass(frozen=True)
class Cells:
    """What the quantiser makes of the n tokens of a block: states (n,) and cells (n, K), rows in coding order."""

    states: NDArray[np.uint8]
    cells: NDArray[np.uint8]


class _GivenUp(Exception):
    """Cells will not come, or nobody waits for them any more."""


class _Arrivals:
    """Which steps have all of their cells; told and asked by several threads."""

    def __init__(self, layout: Layout) -> None:
        import numpy as np

        self._streams, self._count = layout.streams, layout.count
        self._missing = np.full(layout.steps, layout.streams, np.int32)
        self._missing[-1:] = layout.active(layout.steps - 1)
        self._step, self._open, self._change = 0, True, threading.Condition()
        self.rows = 0  # that have come

    def add(self, rows: NDArray[np.intp]) -> None:
        """Their cells are there now; each row comes once."""
        import numpy as np

        steps = rows // self._streams
        first = int(steps.min())
        counts = np.bincount(steps - first)
        with self._change:
            self._missing[first : first + len(counts)] -= counts.astype(np.int32)
            self.rows += len(rows)
            while self._step < len(self._missing) and not self._missing[self._step]:
                self._step += 1
            self._change.notify_all()

    def wait(self, stop: int) -> None:
        """Until all rows before `stop` have come. Raises _GivenUp."""
        with self._change:
            while min(self._step * self._streams, self._count) < stop:
                self.check()
                self._change.wait()

    def check(self) -> None:
        """Raises _GivenUp."""
        if not self._open:
            raise _GivenUp

    def close(self) -> None:
        """Nothing more comes, or nobody waits."""
        with self._change:
            self._open = False
            self._change.notify_all()


@contextlib.contextmanager
def quantising(
    pipeline: BlockPipeline,
    tokens: NDArray[np.int32],
    layout: Layout,
    *,
    lead: NDArray[np.int32] | None,
    observer: Observer,
    progress: Callable[[float], None],
) -> Iterator[tuple[Cells, Await]]:
    """Evaluate all tokens and put the odds of their turns into cells, which are all there when this ends; before that, rows as far as they
    were waited for. lead: as of `BlockPipeline.lead`."""
    import numpy as np

    session = pipeline.session
    cells = Cells(np.empty(layout.count, np.uint8), np.empty((layout.count, pipeline.tree.depth), np.uint8))

    def keep(indices: NDArray[np.intp], odds: NDArray[np.float64]) -> NDArray[np.intp]:
        rows = layout.rows[indices]
        cells.states[rows], cells.cells[rows] = pipeline.cells(tokens[indices], odds)
        return rows

    lanes = 1 if pipeline.coding.exact or observer is not SILENT else min(session.most_lanes, layout.streams)
    if lanes > 1:
        with _by_lanes(pipeline, tokens, layout, lead, lanes, keep, progress) as wait:
            yield cells, wait
        return
    done = 0

    def told(indices: NDArray[np.intp], odds: NDArray[np.float64]) -> None:
        nonlocal done
        keep(indices, odds)
        done += len(indices)
        progress(min(1.0, done / layout.count))

    def shown() -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        for indices, logits in pipeline.evaluate(tokens, layout, lead):
            observer.logits(indices, logits)
            yield indices, logits

    if layout.count:
        pipeline.odds(tokens, shown(), told)
    yield cells, at_hand


@contextlib.contextmanager
def _by_lanes(
    pipeline: BlockPipeline,
    tokens: NDArray[np.int32],
    layout: Layout,
    lead: NDArray[np.int32] | None,
    lanes: int,
    keep: Callable[[NDArray[np.intp], NDArray[np.float64]], NDArray[np.intp]],
    progress: Callable[[float], None],
) -> Iterator[Await]:
    """The lanes are at work in threads of their own. Raises what one of them raised."""
    from concurrent.futures import ThreadPoolExecutor

    from llmzip.codec.evaluation import groups_of
    from llmzip.codec.lanes import on_lanes

    # Whoever is done with a group takes the next one.
    likely = pipeline.session.lanes + pipeline.session.beside
    groups = iter(groups_of(pipeline.session, layout, pipeline.window, lanes=likely))
    arrivals, one = _Arrivals(layout), threading.Lock()

    def told(indices: NDArray[np.intp], odds: NDArray[np.float64]) -> None:
        arrivals.add(keep(indices, odds))
        with one:
            progress(arrivals.rows / layout.count)

    def work(session: Session, check: Check) -> None:
        for indices, logits in pipeline.on(session).evaluate(tokens, layout, lead, groups):
            check()
            arrivals.check()
            pipeline.odds(tokens, [(indices, logits)], told)

    with ThreadPoolExecutor(1, "lanes") as pool:
        job = pool.submit(on_lanes, pipeline.session, lanes, work)
        job.add_done_callback(lambda _: arrivals.close())
        try:
            yield arrivals.wait
        except _GivenUp:
            job.result()
            raise
        except BaseException:
            arrivals.close()
            raise
        job.result()
