"""Files made by the CPU opened by a GPU and the other way round, byte for byte, in several processes that share the GPU.

Archives that another machine made can be taken instead of making them here, and those made here kept for another machine to open.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from llmzip.codec.codec import Codec
from llmzip.errors import LlmzipError

_codecs: dict[bool, Codec] = {}  # by whether they use the GPU
_STREAMS = (16, 40, 24, None, 16, 40, 24, 16, 40)  # of files by the CPU, in turn: lock step of several shapes


@dataclass(frozen=True)
class Work:
    """A text to be compressed into an archive, or to come back from one; on the GPU or the CPU. streams: None for as many as usual."""

    text: Path
    archive: Path
    there: bool
    gpu: bool
    streams: int | None = None


@dataclass(frozen=True)
class Done:
    """What became of it. length: of the archive; problem: why the text did not come back."""

    work: Work
    length: int
    seconds: float
    problem: str = ""

    def __str__(self) -> str:
        way = f"{'GPU' if self.work.gpu else 'CPU'} {'compressed' if self.work.there else 'opened'}"
        rate = self.work.text.stat().st_size / self.seconds / 1000
        line = f"{'FAILED' if self.problem else 'ok':7}{self.work.text.name:24}{way:16}{self.length:>10,} bytes {rate:8.0f} kB/s"
        return f"{line}  {self.problem}" if self.problem else line


def _do(work: Work, layers: int) -> Done:
    codec = _codecs.get(work.gpu)
    if codec is None:
        codec = _codecs[work.gpu] = Codec(gpu_layers=layers if work.gpu else 0, threads=1)
        codec.session.evaluator(1, 64, 64)  # what loading takes does not count
    data, began, problem = work.text.read_bytes(), time.perf_counter(), ""
    try:
        if work.there:
            one = Codec(sharing=codec, settings=codec.settings, streams=work.streams)
            work.archive.write_bytes(one.compress(data))
        elif codec.decompress(work.archive.read_bytes()) != data:
            problem = "other bytes came back"
    except (LlmzipError, MemoryError) as error:
        problem = str(error)
    return Done(work, work.archive.stat().st_size if work.archive.exists() else 0, time.perf_counter() - began, problem)


def exchange(
    texts: list[Path], layers: int, processes: int, seconds: float, cpu_bytes: int, keep: Path, *, opened: bool
) -> bool:
    """Whether everything came back; prints every file, and what was not done after so many seconds.

    cpu_bytes: the longest text that the CPU compresses. keep: a folder for the archives. opened: whether the CPU opens those by the GPU.
    """
    folders = {True: keep / "gpu", False: keep / "cpu"}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)

    def work(text: Path, gpu: bool, streams: int | None = None) -> Work:
        return Work(text, folders[gpu] / f"{text.name}.llmz", True, gpu, streams)

    texts = sorted(texts, key=lambda path: (path.stat().st_size, path.name.rpartition("-")[2]))
    short = [text for text in texts if text.stat().st_size <= cpu_bytes]
    by_cpu = [work(text, False, streams) for text, streams in zip(short, cycle(_STREAMS), strict=False)]
    early = processes * 3 // 4  # the CPU takes the longest
    waiting = by_cpu[:early] + [work(text, True) for text in reversed(texts)] + by_cpu[early:]
    since, good = time.monotonic(), True
    volume: dict[tuple[bool, bool], int] = {}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        running = [pool.apply_async(_do, (each, layers)) for each in waiting]
        while running and time.monotonic() < since + seconds:
            time.sleep(0.02)
            for one in [one for one in running if one.ready()]:
                running.remove(one)
                done = one.get()
                print(f"{time.monotonic() - since:6.1f} s  {done}", flush=True)
                good &= not done.problem
                each = done.work
                key = (each.gpu, each.there)
                volume[key] = volume.get(key, 0) + (0 if done.problem else each.text.stat().st_size)
                # What one side made the other one opens.
                if each.there and not done.problem and (opened or not each.gpu):
                    after = Work(each.text, each.archive, False, not each.gpu)
                    running.append(pool.apply_async(_do, (after, layers)))
        pool.terminate()
    for (gpu, there), size in volume.items():
        print(f"{'GPU' if gpu else 'CPU'} {'compressed' if there else 'opened'}: {size:,} bytes")
    if running:
        print(f"time is up: {len(running)} not done")
    return good and bool(volume)
