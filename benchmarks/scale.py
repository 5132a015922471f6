"""All cores of this machine against one (`cores.py`); and a corpus of millions of files on a thousand workers, by simulation: the real
planning, driver and manifest keys, workers that take time only on paper.

usage: scale.py [--only cores|lake] [--text FILE] [--bytes N] [--rounds N] [--files N] [--workers N] [--rate BYTES] [--loss SHARE]

Sizes of files are drawn from a log-normal distribution, times of tasks from measured rates with the spread of shared machines. What is
measured is the driver: seconds of processor time, memory; what is predicted: hours, and the share of time that workers wait.
"""

from __future__ import annotations

import argparse
import heapq
import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cores
from measure import bench_text

from llmzip.lake.driver import Driver, Unit
from llmzip.lake.manifest import Done, key_of
from llmzip.lake.places import Entry
from llmzip.lake.planning import Item, Pace, tasks
from llmzip.lake.work import Report

MEDIAN, SPREAD = 20_000, 1.2  # bytes, and standard deviation of their logarithm
NOISE = 0.25  # standard deviation of the logarithm of a task's time
LATENCY = 0.05  # seconds from one task of a worker to the next


class PaperCluster:
    """Workers on paper: tasks end in the order of the clock. Stands for cluster, client and the queue of the driver."""

    status = "running"

    def __init__(self, workers: int, rate: float, loss: float, seed: int) -> None:
        self.client, self.workers, self.rate, self.loss = self, workers, rate, loss
        self.random = random.Random(seed)
        self.clock = self.busy = 0.0
        self.lost = self.count = 0
        self.free = [0.0] * workers
        self.running: list[tuple[float, int, Any]] = []
        self.ended: list[tuple[int, Any]] = []

    def threads(self) -> int:
        """As a cluster says."""
        return self.workers

    def submit(self, run: Any, way: Any, group: list[Item], pure: bool) -> Any:
        """Begin a task when a worker is free for it."""
        start = max(self.clock, heapq.heappop(self.free)) + LATENCY
        size = sum(item.entry.size for item in group)
        seconds = size / self.rate * self.random.lognormvariate(0, NOISE)
        lost = self.random.random() < self.loss
        if lost:  # the worker dies on the way, another one does the task again
            self.lost += 1
            start += seconds * self.random.random()
        self.busy += seconds
        heapq.heappush(self.free, start + seconds)
        self.count += 1
        report = Report(seconds=seconds)
        future = SimpleNamespace(status="finished", result=lambda timeout: report)
        future.add_done_callback = lambda done: heapq.heappush(
            self.running, (start + seconds, self.count, (done, future))
        )
        return future

    def get(self, timeout: float) -> tuple[int, Any]:
        """The next task that ends, as the driver's queue gives it."""
        self.clock, _, (done, future) = heapq.heappop(self.running)
        done(future)
        return self.ended.pop()

    def put(self, pair: tuple[int, Any]) -> None:
        """What a future that has ended is given to."""
        self.ended.append(pair)


def files(count: int, seed: int) -> Iterator[Item]:
    """Made-up files of a lake."""
    draw = random.Random(seed)
    for number in range(count):
        size = min(64 << 20, int(draw.lognormvariate(0, SPREAD) * MEDIAN))
        name = f"s3://bucket/2024/{number // 100_000:04}/{number:08}.txt"
        yield Item(Entry(name, name[12:], size, f'"{number:032x}"'), f"s3://other/{name[12:]}.llmz")


def memory() -> float:
    """Peak, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument(
        "--rate", type=float, default=12_000, help="bytes a second of a worker (12000: with the network)"
    )
    parser.add_argument("--loss", type=float, default=0.001, help="share of tasks whose worker dies (0.001)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("cores", "lake"))
    parser.add_argument("--text", type=Path, help="for the cores (English prose of corpora/)")
    parser.add_argument("--bytes", type=int, default=100_000, help="of text, for the cores")
    parser.add_argument("--rounds", type=int, default=3, help="of which medians are shown, for the cores")
    options = parser.parse_args()
    if options.only != "lake":
        cores.show((options.text.read_bytes() if options.text else bench_text())[: options.bytes], options.rounds)
    if options.only != "cores":
        simulate(options)


def simulate(options: argparse.Namespace) -> None:
    """The corpus on paper."""
    before = memory()
    began = time.process_time()
    way = "compress level=6"
    done = Done(
        key_of(item.entry.url, item.entry.stamp, item.target, way) for item in files(options.files // 2, options.seed)
    )
    keys = time.process_time() - began
    print(f"manifest: {len(done):,} keys in {keys:.0f} s of processor time, {memory() - before:.0f} MiB at most")

    began = time.process_time()
    paper = PaperCluster(options.workers, options.rate, options.loss, options.seed)
    pace = Pace(15e3)
    total = 0

    def units() -> Iterator[Unit]:
        nonlocal total
        for group in tasks(files(options.files, options.seed), pace, 60.0, 1 << 62):
            size = sum(item.entry.size for item in group)
            total += size

            def finished(report: Report, size: int = size) -> tuple[Unit, ...]:
                pace.learn(size, report.seconds, size)
                return ()

            yield Unit(print, (way, group), finished, ())

    Driver(paper, print, paper).run(units())  # type: ignore[arg-type]
    driver = time.process_time() - began
    hours = paper.clock / 3600
    used = paper.busy / (paper.workers * paper.clock)
    print(
        f"{options.files:,} files, {total / 1e9:,.0f} GB, {options.workers} workers of {options.rate / 1000:.0f} kB/s"
    )
    print(f"  tasks: {paper.count:,}, {options.files / paper.count:.0f} files each; {paper.lost} done twice")
    print(f"  hours: {hours:.1f}; workers are busy {used:.1%} of the time")
    print(
        f"  driver: {driver:.0f} s of processor time, {driver / paper.clock:.2%} of the run, peak {memory():.0f} MiB in all"
    )


if __name__ == "__main__":
    main()
