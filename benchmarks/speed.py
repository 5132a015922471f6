"""`make bench`, first half: speed against the bare model, size against its cross-entropy, memory. One text, one run.

The parts are run in turn, several times, so that a machine whose speed drifts slows all of them alike; medians are shown.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import level_speed
import numpy as np
from measure import bench_text, peak_memory, stages
from texts import texts

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import ROWS, Session, prefill
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load_model
from llmzip.codec.pipeline import BlockPipeline
from llmzip.model import embedded
from llmzip.model.schedule import spans

WINDOW = embedded.WINDOW


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bare_prefill(session: Session, tokens: np.ndarray, layout: Layout) -> None:
    """The encoder's evaluations, in its shapes, nothing done with the logits."""
    for _ in prefill(session, tokens, layout, WINDOW):
        pass


def bare_lock_step(session: Session, tokens: np.ndarray, streams: int) -> None:
    """The decoder's evaluations, in its shapes, nothing done with the logits."""
    steps = len(tokens) // streams
    evaluator = session.evaluator(streams, min(WINDOW.context, steps), streams)
    rows = tokens[: steps * streams].reshape(streams, steps).T.copy()
    slots, positions = np.arange(streams, dtype=np.int32), np.empty(streams, np.int32)
    for span in spans(steps, WINDOW, 1):
        if span.slide:
            evaluator.slide(streams, WINDOW.drop)
        positions[:] = span.position
        evaluator.evaluate(rows[span.start], positions, slots)


def measure(session: Session, data: bytes, streams: int, repeats: int) -> Iterator[tuple[str, float]]:
    """Rows a second of every part, as medians over rounds that run each part once."""
    pipeline = BlockPipeline(session, Coding(WINDOW, PORTABLE_TOLERANCE, True))
    text, crlf = pipeline.tokens_of(data)
    layout = Layout(len(text.tokens), streams)
    payload = pipeline.encode(text, crlf, streams)
    cells = pipeline.quantise(text.tokens, layout)
    parts: dict[str, Callable[[], object]] = {
        "model, prefill": lambda: bare_prefill(session, text.tokens, layout),
        "compress": lambda: pipeline.encode(text, crlf, streams),
        "mixer and range coder": lambda: pipeline.words(pipeline.turns(text.tokens, layout, cells)),
        "model, lock step": lambda: bare_lock_step(session, text.tokens, streams),
        "decompress": lambda: decode_block(pipeline, payload, len(data), data.__eq__),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            times[name].append(seconds(part))
    for name in parts:
        yield name, statistics.median(times[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=None, help="take only so much of the text")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--streams", type=int, nargs="*", default=[32, 1])
    parser.add_argument("--level", type=int, help="a level beside other compressors instead (level_speed.py)")
    parser.add_argument("files", type=Path, nargs="*", help="for --level; default: the texts of corpora/")
    options = parser.parse_args()
    if options.level:
        level_speed.show(options.level, options.files or texts(), options.repeats)
        return
    data = bench_text()[: options.bytes]
    session = Session(load_model(None, 0))
    sizes = stages(session, data)
    print(f"{len(data):,} bytes of English prose, {sizes.tokens:,} tokens\n")
    for streams in options.streams:
        times = dict(measure(session, data, streams, options.repeats))
        print(f"streams: {streams}{'':18}seconds   rows/s    kB/s")
        for name, taken in times.items():
            print(f"  {name:24}{taken:9.2f}{sizes.tokens / taken:9.0f}{len(data) / taken / 1000:8.1f}")
        coder = times["mixer and range coder"]
        print(f"  compress at {times['model, prefill'] / times['compress']:.0%} of bare prefill", end="")
        print(f", decompress at {times['model, lock step'] / times['decompress']:.0%} of bare lock step")
        print(
            f"  mixer and range coder: {coder / times['compress']:.1%} of compress, {coder / times['decompress']:.1%} of decompress\n"
        )
    session.close()
    print(f"size, {sizes.streams} streams (chosen by length)")
    print(f"  cross-entropy of the model{sizes.entropy:12,.0f} bytes")
    print(
        f"  file without mixing{sizes.plain_file:19,} bytes, {sizes.plain_file / sizes.entropy:.4f} of the cross-entropy"
    )
    print(
        f"  file{sizes.file:34,} bytes, {sizes.file / sizes.entropy:.4f} of the cross-entropy, {8 * sizes.file / len(data):.4f} bits per byte"
    )
    print(
        f"  cost of portability: {sizes.portable / sizes.exact - 1:+.2%} (tolerance {PORTABLE_TOLERANCE}e-6 against 0, same logits)\n"
    )
    memory(data)


def memory(data: bytes) -> None:
    """Peak memory of both directions, on this text."""
    with tempfile.TemporaryDirectory() as folder:
        source, packed, back = (Path(folder, name) for name in ("text", "packed", "back"))
        source.write_bytes(data)
        forth = peak_memory([], source, packed)
        restore = peak_memory(["-d"], packed, back)
        assert back.read_bytes() == data
    print(f"peak memory: compress {forth:.0f} MiB, decompress {restore:.0f} MiB (batches of {ROWS} rows)")


if __name__ == "__main__":
    main()
