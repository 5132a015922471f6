"""`make gpu`: the embedded model on a GPU against the same on the CPU: drift, files both ways, speed against streams; larger shapes.

usage: gpu.py [--layers N] [--bytes N] [--streams N...] [--shapes NAME...] [TEXT...]

Texts: whatever is named, else those of corpora/; they are repeated up to --bytes. `--layers 0` does the same on the CPU alone, to see
that everything runs. Exit status 1 if a file does not come back.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import llama_cpp
import numpy as np
from drift import by_prefill, by_steps, report
from large_vocabulary import write_model
from speed import bare_lock_step, bare_prefill, seconds
from texts import texts

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.codec import Codec
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load, resolve
from llmzip.codec.pipeline import BlockPipeline
from llmzip.errors import LlmzipError
from llmzip.model import embedded
from llmzip.model.threads import usable_cores

WINDOW = embedded.WINDOW
SHAPES = {"1B": (128_256, 2048, 16), "7B": (32_000, 4096, 32)}  # vocabulary, width, layers
TURNS = 1_000_000


def session(layers: int) -> Session:
    """The embedded model in F32 with so many layers on the GPU."""
    return Session(load(resolve(None), usable_cores(), exact=False, gpu_layers=layers))


def drift(text: bytes, layers: int) -> None:
    """Log odds of the same turns by both processors, in the shapes of encoder and decoder."""
    cpu, gpu = session(0), session(layers)
    pipelines = [BlockPipeline(each, Coding(WINDOW, PORTABLE_TOLERANCE, True)) for each in (cpu, gpu)]
    tokens = pipelines[0].tokens_of(text)[0].tokens[: TURNS // 12]
    print(f"drift of the log odds of a turn, {len(tokens)} tokens")
    prefills = [by_prefill(pipeline, tokens, 1) for pipeline in pipelines]
    report("CPU, prefill / GPU, prefill", prefills[0], prefills[1])
    for streams in (1, 32):
        part = tokens[: len(tokens) // (8 if streams == 1 else 1)]
        one, other = by_prefill(pipelines[0], part, streams), by_steps(pipelines[1], part, streams)
        report(f"CPU, prefill / GPU, steps of {streams}", one, other)
    cpu.close()
    gpu.close()


def exchange(files: list[tuple[str, bytes]], layers: int) -> bool:
    """Whether each processor restores what the other one made, byte for byte, and the bytes that are the same in both archives."""
    good = True
    with Codec(level=6, gpu_layers=0) as cpu, Codec(level=6, gpu_layers=layers) as gpu:
        for name, data in files:
            packed = {codec: codec.compress(data) for codec in (cpu, gpu)}
            for maker, reader, way in ((cpu, gpu, "CPU to GPU"), (gpu, cpu, "GPU to CPU")):
                try:
                    came_back = reader.decompress(packed[maker]) == data
                except LlmzipError as error:
                    came_back = False
                    print(f"  {error}")
                good &= came_back
                print(
                    f"{'ok    ' if came_back else 'FAILED'}  {name:<28} {way}  {len(packed[maker]):>9,} bytes",
                    flush=True,
                )
    return good


def speed(text: bytes, layers: int, streams: list[int]) -> None:
    """Rows a second of the bare model and of the codec, both ways."""
    held = session(layers)
    pipeline = BlockPipeline(held, Coding(WINDOW, PORTABLE_TOLERANCE, True))
    data, crlf = pipeline.tokens_of(text)
    print(
        f"\nrows a second, {len(data.tokens)} tokens\n{'streams':>8}{'prefill':>10}{'compress':>10}{'lock step':>11}{'decompress':>12}"
    )
    for count in streams:
        layout = Layout(len(data.tokens), count)
        try:
            payload = pipeline.encode(data, crlf, count)
            times = [
                seconds(partial(bare_prefill, held, data.tokens, layout)),
                seconds(partial(pipeline.encode, data, crlf, count)),
                seconds(partial(bare_lock_step, held, data.tokens, count)),
                seconds(partial(decode_block, pipeline, payload, len(text), text.__eq__)),
            ]
        except (LlmzipError, MemoryError) as error:
            print(f"{count:>8}  {error}")
            break
        rates = [len(data.tokens) / taken for taken in times]
        print(f"{count:>8}{rates[0]:>10,.0f}{rates[1]:>10,.0f}{rates[2]:>11,.0f}{rates[3]:>12,.0f}", flush=True)
    held.close()


def shape(name: str, layers: int, steps: int = 32) -> None:
    """Rows a second of a model with random weights, expanded to F32 and as it is."""
    vocabulary, width, depth = SHAPES[name]
    with tempfile.TemporaryDirectory(prefix="llmzip-bench-") as folder:
        path = Path(folder) / f"{name}.gguf"
        count = write_model(path, vocabulary, width, depth)
        for exact in (True, False):
            began = time.perf_counter()
            try:
                held = Session(load(resolve(path), usable_cores(), exact=exact, gpu_layers=layers))
            except (LlmzipError, MemoryError, OSError) as error:
                print(f"{name} {'exact' if exact else 'portable'}: {error}")
                continue
            loaded = time.perf_counter() - began
            tokens = np.random.default_rng(0).integers(0, vocabulary - 1, 512 * steps).astype(np.int32)
            prefill = len(tokens) / seconds(partial(bare_prefill, held, tokens, Layout(len(tokens), 1)))
            lock_step = len(tokens) / seconds(partial(bare_lock_step, held, tokens, 32))
            held.close()
            print(
                f"{name} ({count / 1e9:.2f} B weights) {'exact, Q8_0' if exact else 'portable, F32'}: loaded in {loaded:.0f} s, "
                f"prefill {prefill:,.0f}, 32 streams in lock step {lock_step:,.0f} rows/s",
                flush=True,
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="*", metavar="TEXT")
    parser.add_argument("--layers", type=int, default=999, help="layers on the GPU (all)")
    parser.add_argument("--bytes", type=int, default=10_000_000, help="of all texts together, for the files (10000000)")
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 8, 32, 64, 128, 256])
    parser.add_argument("--shapes", nargs="*", choices=[*SHAPES, "none"], default=list(SHAPES))
    options = parser.parse_args()
    if options.layers and not llama_cpp.llama_supports_gpu_offload():
        print("this llama.cpp has no GPU back end: `make gpu` builds one that has", file=sys.stderr)
        return 2
    print(llama_cpp.llama_print_system_info().decode())
    paths = options.texts or texts()
    share = options.bytes // len(paths)
    files = [(path.name, (path.read_bytes() * (share // max(1, path.stat().st_size) + 1))[:share]) for path in paths]
    prose = b"".join(path.read_bytes() for path in paths)
    drift(prose, options.layers)
    good = exchange(files, options.layers)
    speed(prose[:400_000], options.layers, options.streams)
    for name in options.shapes:
        if name != "none":
            shape(name, options.layers)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
