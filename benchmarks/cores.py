"""What all cores of a machine do against one of them: the bare network, one block, a block for each core, worker processes.

Parts run in turn, several rounds, so that a machine whose speed drifts slows all of them alike; medians are shown. Rows are tokens. The
share is that of (one core's rows a second x cores), first by the clock on the wall, then by processor time, which other programs change less.
"""

from __future__ import annotations

import io
import math
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from measure import peak_memory

from llmzip.codec.codec import Codec
from llmzip.codec.crew import CrewCodec
from llmzip.codec.settings import Settings
from llmzip.model import embedded
from llmzip.model.base import BranchingEvaluator, Window
from llmzip.model.schedule import span_at
from llmzip.model.threads import usable_cores

WINDOW, STREAMS, ROWS, STEPS = embedded.WINDOW, 128, 512, 96
Evaluators = list[BranchingEvaluator]


class Clock:
    """Rows a second of wall and of processor time, of all rounds, by the name of a part."""

    def __init__(self) -> None:
        self.rates: dict[str, list[tuple[float, float]]] = {}

    def add(self, name: str, rows: int, began: tuple[float, float]) -> None:
        """A part of so many rows, which `began` then, ends now. What worker processes take is known when they end, which is too late."""
        wall, processor = (now - then for now, then in zip(moment(), began, strict=True))
        processor = math.inf if "--jobs" in name else processor
        self.rates.setdefault(name, []).append((rows / wall, rows / processor))
        print(f"{name}: {rows / wall:,.0f} rows/s", file=sys.stderr)

    def show(self, kind: str, cores: int) -> None:
        """Medians of all parts of a kind, the first of which is that of one core."""
        names = [name for name in self.rates if name.startswith(kind)]
        found = {name: [statistics.median(rates) for rates in zip(*self.rates[name], strict=True)] for name in names}
        wall, processor = found[names[0]]
        for name in names:
            shares = ""
            if name != names[0]:
                shares = f"{found[name][0] / wall / cores:6.0%}" + (
                    f"{found[name][1] / processor:6.0%}" if found[name][1] else ""
                )
            print(f"  {name:72}{found[name][0]:8,.0f} rows/s{shares}")


def moment() -> tuple[float, float]:
    """Seconds on the wall's clock, and of processor time."""
    return time.perf_counter(), time.process_time()


def side_by_side(
    evaluators: Evaluators, prepare: Callable[..., object], work: Callable[..., object]
) -> tuple[float, float]:
    """Prepare all, then do the work by all at once, each in a thread of its own; when that began."""
    ready = threading.Barrier(len(evaluators) + 1)

    def one(evaluator: BranchingEvaluator) -> None:
        prepare(evaluator)
        ready.wait()
        work(evaluator)

    threads = [threading.Thread(target=one, args=(evaluator,)) for evaluator in evaluators]
    for thread in threads:
        thread.start()
    ready.wait()
    began = moment()
    for thread in threads:
        thread.join()
    return began


def fill(streams: int, window: Window, evaluator: BranchingEvaluator) -> None:
    """As many tokens in every stream as are left of a full window."""
    count = window.context - window.drop
    tokens, positions = tokens_of(count), np.arange(count, dtype=np.int32)
    evaluator.clear()
    for first in range(0, count, ROWS):
        rows = slice(first, first + ROWS)
        evaluator.evaluate(tokens[rows], positions[rows], np.zeros(len(tokens[rows]), np.int32))
    evaluator.copy(0, 1, streams)


def steps(streams: int, window: Window, evaluator: BranchingEvaluator) -> None:
    """The decoder's steps behind that, slides included."""
    slots = np.arange(streams, dtype=np.int32)
    for step in range(STEPS):
        span = span_at(step, window, window.context - window.drop)
        if span.slide:
            evaluator.slide(streams, window.drop)
        evaluator.evaluate(tokens_of(streams), np.full(streams, span.position, np.int32), slots)


def batches(window: Window, evaluator: BranchingEvaluator) -> None:
    """The encoder's batches over a window, in groups of streams."""
    each = window.drop
    groups = ROWS // each
    slots = np.repeat(np.arange(groups, dtype=np.int32), each)
    for batch in range(window.parts):
        span = span_at(batch * each, window)
        if span.slide:
            evaluator.slide(groups, window.drop)
        evaluator.evaluate(tokens_of(ROWS), np.tile(span.position + np.arange(each, dtype=np.int32), groups), slots)


def tokens_of(count: int) -> np.ndarray:
    """Any tokens."""
    return np.random.default_rng(count).integers(0, 8000, count).astype(np.int32)


def network(clock: Clock, cores: int) -> None:
    """One round of the network alone."""
    model = embedded.load_embedded()
    less, whole = f"windows of {WINDOW.near.context}", f"windows of {WINDOW.context}"
    for name, count, streams, threads, window in (
        (f"one core, {STREAMS} streams, {less}", 1, STREAMS, 1, WINDOW.near),
        (
            f"{cores} evaluators of one thread, {STREAMS} streams in all, {less}",
            cores,
            STREAMS // cores,
            1,
            WINDOW.near,
        ),
        (f"{cores} evaluators of one thread, {STREAMS} streams each, {less}", cores, STREAMS, 1, WINDOW.near),
        (f"{cores} evaluators of one thread, {STREAMS} streams in all, {whole}", cores, STREAMS // cores, 1, WINDOW),
        (f"one evaluator of {cores} threads, {STREAMS // 2} streams, {whole}", 1, STREAMS // 2, cores, WINDOW),
    ):
        evaluators = [model.evaluator(streams, window.context, ROWS, threads) for _ in range(count)]
        began = side_by_side(evaluators, BranchingEvaluator.clear, partial(batches, window))
        clock.add(f"prefill: {name}", window.parts * ROWS * count, began)
        began = side_by_side(evaluators, partial(fill, streams, window), partial(steps, streams, window))
        clock.add(f"lock step: {name}", STEPS * streams * count, began)
        for evaluator in evaluators:
            evaluator.close()
    model.close()


def files(clock: Clock, data: bytes, cores: int) -> None:
    """One round of whole files by the codec, all of the same streams."""
    with Codec(threads=1) as codec:
        rows = len(codec.session.model.tokenize(data))
    part = -(-len(data) // cores)
    for name, size, threads, jobs in (
        ("one core, one block", len(data), 1, 1),
        (f"{cores} cores, one block", len(data), cores, 1),
        (f"{cores} cores, {cores} blocks", part, cores, 1),
        (f"{cores} processes (--jobs), {cores} blocks", part, 1, cores),
        (f"{cores} cores, {cores + 1} blocks", -(-len(data) // (cores + 1)), cores, 1),
    ):
        settings = Settings(threads=threads, streams=STREAMS, block_size=size)
        make = partial(Codec, settings=settings)
        with make() if jobs == 1 else CrewCodec(jobs, make, settings) as codec:
            if jobs == 1:
                codec.compress(data[:2000])  # loads the model
            packed, back = io.BytesIO(), io.BytesIO()
            began = moment()
            codec.compress_stream(io.BytesIO(data), packed)
            clock.add(f"compress: {name}", rows, began)
            packed.seek(0)
            began = moment()
            codec.decompress_stream(packed, back)
            clock.add(f"decompress: {name}", rows, began)
            assert back.getvalue() == data


def memory(data: bytes, cores: int) -> None:
    """Peak memory of the command, with one block in work and with one for each core."""
    with tempfile.TemporaryDirectory() as folder:
        source, packed, back = (Path(folder, name) for name in ("text", "packed", "back"))
        source.write_bytes(data)
        for threads in (1, cores):
            shape = [f"-T{threads}", "--streams", str(STREAMS), "--block-size", str(-(-len(data) // cores))]
            forth = peak_memory(shape, source, packed)
            restore = peak_memory(["-d", f"-T{threads}"], packed, back)
            print(
                f"  {threads} blocks of {STREAMS} streams at once: {forth:.0f} MiB to compress, {restore:.0f} to decompress"
            )


def show(data: bytes, rounds: int) -> None:
    """All of it, on a text."""
    cores, clock = usable_cores(), Clock()
    memory(data[:25_000], cores)  # first: what a process has when it starts another one counts as the other one's peak
    for _ in range(rounds):
        network(clock, cores)
        files(clock, data, cores)
    print(f"{len(data):,} bytes of text; share of {cores} times one core: wall, processor time")
    for kind in ("prefill", "lock step", "compress", "decompress"):
        clock.show(kind + ":", cores)
