"""The path from logits to cells beside the evaluation that it follows, for a large vocabulary and a model of about 1 B
weights.

Writes a model of random Q8_0 weights (1.4 GB in the temporary folder, removed at the end), evaluates steps of 32 rows
and prints the time of a row by part. Options make it smaller.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from random_model import write_model

from llmzip.codec.quantiser import Quantiser
from llmzip.coding.tree import VocabularyTree
from llmzip.model._masses import Masses
from llmzip.model.llama import LlamaModel
from llmzip.model.threads import usable_cores


def milliseconds(work: Callable[[], object], rows: int, repeats: int) -> float:
    """The fastest of several runs, for one row."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return 1e3 * best / rows


def measure(model: LlamaModel, rows: int, repeats: int) -> None:
    """Print the table."""
    began = time.perf_counter()
    tree = VocabularyTree(model.pieces)
    print(f"vocabulary of {tree.leaves} tokens, tree of depth {tree.depth} made in {time.perf_counter() - began:.2f} s")
    evaluator = model.evaluator(rows, 64, rows)
    random = np.random.default_rng(1)
    streams = np.arange(rows, dtype=np.int32)
    position = itertools.count()
    logits = np.empty(0, np.float32)

    def evaluate() -> None:
        nonlocal logits
        tokens = random.integers(0, tree.leaves, rows).astype(np.int32)
        logits = evaluator.evaluate(tokens, np.full(rows, next(position), np.int32), streams)

    row = milliseconds(evaluate, rows, repeats)
    one, all_rows, quantiser = Masses(tree.order, 1), Masses(tree.order, rows), Quantiser(30)
    ranks, odds = tree.ranks[random.integers(0, tree.leaves, rows)], np.empty((rows, tree.depth))

    def encoding() -> None:
        one.path_odds(logits, ranks, odds)
        quantiser.encode(odds)

    def decoding() -> None:
        all_rows.load(logits)
        states, at_level, cells = np.zeros(rows, np.uint8), np.empty(rows), np.empty(rows, np.uint8)
        for level in range(tree.depth):
            all_rows.odds(level, (ranks >> np.uint32(tree.depth - level)).astype(np.uint32), at_level)
            quantiser.decode(at_level, states, cells)

    print(f"{'part':<34} ms a row  share of evaluation")
    print(f"{'evaluation, steps of ' + str(rows) + ' rows':<34} {row:8.3f}")
    for name, work in (("logits to cells, encoder", encoding), ("logits to cells, decoder", decoding)):
        spent = milliseconds(work, rows, 10 * repeats)
        print(f"{name:<34} {spent:8.3f}  {100 * spent / row:.2f} %")


def main() -> int:
    """Write the model, measure, remove it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--width", type=int, default=2048, help="a multiple of 512")
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llmzip-bench-") as folder:
        path = Path(folder) / "random.gguf"
        count = write_model(path, options.vocabulary, options.width, options.layers)
        print(f"{count / 1e9:.2f} B weights in Q8_0, {options.threads} threads")
        began = time.perf_counter()
        model = LlamaModel(path, bytes(8), "random", None, options.threads, exact=True)
        print(f"loaded in {time.perf_counter() - began:.1f} s")
        measure(model, options.rows, options.repeats)
        model.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
