"""`make gpu`: the embedded model on a GPU against the same on the CPU: drift, files both ways, speed against streams; larger shapes.

usage: gpu.py [--parts drift exchange speed shapes] [--layers N] [TEXT...]

Texts: whatever is named, else those of corpora/, repeated where they are too short. `--layers 0` does the same on the CPU alone, to see
that everything runs. Exit status 1 if a file does not come back.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import llama_cpp
import numpy as np
from gpu_drift import measure
from gpu_exchange import exchange
from random_model import write_model
from speed import bare_lock_step, bare_prefill, seconds
from texts import texts

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load, resolve
from llmzip.codec.pipeline import BlockPipeline
from llmzip.errors import LlmzipError
from llmzip.model import embedded
from llmzip.model.llama import LlamaModel
from llmzip.model.threads import usable_cores

WINDOW = embedded.WINDOW
PARTS = ("drift", "exchange", "speed", "shapes")
SHAPES = {"1B": (128_256, 2048, 16), "7B": (32_000, 4096, 32)}  # vocabulary, width, layers
_STEPS, _STREAMS, _ROWS = 32, 32, 512  # of the large shapes


def repeated(paths: list[Path], size: int) -> bytes:
    """The texts one after the other, at most so many bytes in all, from the beginning again where they are shorter."""
    text = b"".join(path.read_bytes() for path in paths)
    return (text * (size // max(1, len(text)) + 1))[:size]


def speed(paths: list[Path], layers: int, streams: list[int], steps: int, most: int, until: float) -> None:
    """Rows a second of the bare model and of the codec, both ways, on so many steps, of at most `most` tokens."""
    held = Session(load(resolve(None), usable_cores(), exact=False, gpu_layers=layers))
    pipeline = BlockPipeline(held, Coding(WINDOW, PORTABLE_TOLERANCE, True))
    text = repeated(paths, 4 * most)
    titles = f"{'streams':>8}{'tokens':>9}{'prefill':>10}{'compress':>10}{'lock step':>11}{'decompress':>12}"
    print(f"rows a second: the bare model and the codec\n{titles}")
    tokens = pipeline.tokens_of(text)[0].tokens[:most]
    for count in streams:
        if time.time() > until:
            print("time is up")
            break
        size = sum(len(pipeline.vocabulary.pieces[token]) for token in tokens[: count * steps].tolist())
        some = text[:size]
        data, crlf = pipeline.tokens_of(some)
        layout = Layout(len(data.tokens), count)
        try:
            bare_prefill(held, data.tokens, layout)  # caches of this shape are made
            times = [seconds(partial(bare_prefill, held, data.tokens, layout))]
            began = time.perf_counter()
            payload = pipeline.encode(data, crlf, count)
            times += [
                time.perf_counter() - began,
                seconds(partial(bare_lock_step, held, data.tokens, count)),
                seconds(partial(decode_block, pipeline, payload, len(some), some.__eq__)),
            ]
        except (LlmzipError, MemoryError) as error:
            print(f"{count:>8}  {error}")
            break
        rates = [len(data.tokens) / taken for taken in times]
        print(
            f"{count:>8}{len(data.tokens):>9,}{rates[0]:>10,.0f}{rates[1]:>10,.0f}{rates[2]:>11,.0f}{rates[3]:>12,.0f}",
            flush=True,
        )
    held.close()


def _random_model(name: str, layers: int, full: bool, folder: Path | None) -> tuple[LlamaModel, str]:
    """A model of random weights and what is told of it."""
    vocabulary, width, depth = SHAPES[name]
    began = time.perf_counter()
    file = -1 if folder else os.memfd_create(name)
    path = folder / f"{name}-{'f32' if full else 'q8'}.gguf" if folder else Path(f"/proc/{os.getpid()}/fd/{file}")
    try:
        if not folder:
            write_model(path, vocabulary, width, depth, full=full)
        written = time.perf_counter()
        model = LlamaModel(path, bytes(8), name, None, usable_cores(), exact=not full, gpu_layers=layers)
    finally:
        if file >= 0:
            os.close(file)
    taken = f"written in {written - began:.1f} s, loaded in {time.perf_counter() - written:.1f} s"
    return model, f"{model.weight_bytes / 1e9:.2f} GB of weights, {taken}"


def shape(name: str, layers: int, full: bool, folder: Path | None) -> None:
    """Rows a second of a model with random weights, in F32 (full) or as it is; folder: where it lies, else it is made in memory."""
    model, told = _random_model(name, layers, full, folder)
    print(f"{name}, {'portable, F32' if full else 'exact, Q8_0'}: {told}", end="", flush=True)
    vocabulary = len(model.pieces)
    held = Session(model)
    tokens = np.random.default_rng(0).integers(0, vocabulary - 1, _STREAMS * _STEPS + _ROWS * 4).astype(np.int32)
    some = tokens[: _STREAMS * _STEPS]

    def rate(work: Callable[[], object], rows: int) -> float:
        work()
        return rows / seconds(work)

    prefill = rate(partial(bare_prefill, held, tokens, Layout(len(tokens), 1)), len(tokens))
    print(f"; rows/s: prefill {prefill:,.0f}", end="", flush=True)
    lock_step = rate(partial(bare_lock_step, held, some, _STREAMS), len(some))
    print(f", lock step of {_STREAMS} streams {lock_step:,.0f}", flush=True)
    held.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="*", metavar="TEXT")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--layers", type=int, default=999, help="layers on the GPU (all)")
    parser.add_argument("--processes", type=int, default=usable_cores(), help="that share the GPU (cores)")
    parser.add_argument("--seconds", type=float, default=600, help="of each part at most, about (600)")
    parser.add_argument("--turns", type=int, default=1_500_000, help="of each shape, for the drift (1500000)")
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 8, 32, 64, 128, 256], help="for the speed")
    parser.add_argument("--drift-streams", type=int, nargs="*", default=[1, 32, 64])
    parser.add_argument(
        "--tolerances", type=int, nargs="*", default=[], help="that the drift is held against, too (1e-6)"
    )
    parser.add_argument("--steps", type=int, default=1000, help="of each stream, for the speed (1000)")
    parser.add_argument("--most-tokens", type=int, default=120_000, help="for the speed (120000)")
    parser.add_argument("--cpu-bytes", type=int, default=1 << 62, help="longest text that the CPU compresses")
    parser.add_argument("--random", type=Path, help="a folder with SHAPE-f32.gguf and SHAPE-q8.gguf (made in memory)")
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--keep", type=Path, help="a folder for the archives by the GPU, to be opened elsewhere")
    options = parser.parse_args()
    if options.layers and not llama_cpp.llama_supports_gpu_offload():
        print("this llama.cpp has no GPU back end: `make gpu` builds one that has", file=sys.stderr)
        return 2
    print(llama_cpp.llama_print_system_info().decode(), flush=True)
    paths = options.texts or texts()
    until = time.time() + options.seconds
    good = True
    if "drift" in options.parts:
        text = repeated(paths, options.turns // 2)
        tolerances = (PORTABLE_TOLERANCE, *options.tolerances)
        common = options.processes, options.seconds, options.drift_streams, tolerances
        measure(text, options.layers, options.turns, *common)
    if "exchange" in options.parts:
        with tempfile.TemporaryDirectory(prefix="llmzip-bench-") as folder:
            keep, opened = options.keep or Path(folder, "gpu"), options.keep is None
            common = options.processes, options.seconds, options.cpu_bytes, keep
            good = exchange(paths, options.layers, *common, opened=opened)
    if "speed" in options.parts:
        speed(paths, options.layers, options.streams, options.steps, options.most_tokens, until)
    if "shapes" in options.parts:
        for name, full in itertools.product(options.shapes, (False, True)):
            if time.time() > until:
                print("time is up")
                break
            try:
                shape(name, options.layers, full, options.random)
            except (LlmzipError, MemoryError, OSError) as error:
                print(f"{name}, {'portable' if full else 'exact'}: {error}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
