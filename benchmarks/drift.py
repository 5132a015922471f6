"""How far the log odds of turns drift between batch shapes, thread counts and builds of llama.cpp, on one text.

usage: drift.py [--bytes N] [--save FILE] [TEXT...]     measure the shapes on this build, keep the odds of each
       drift.py --against FILE [TEXT...]                also compare this build with the one that saved FILE

Two builds: run it with `--save` in one virtual environment and with `--against` in another.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import llama_cpp
import numpy as np
from measure import bench_text
from numpy.typing import NDArray

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.evaluation import Session, in_steps, prefill
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load_model
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantiser import Quantiser
from llmzip.model import embedded

WINDOW = embedded.WINDOW
TAIL = (5e-6, 1e-5, PORTABLE_TOLERANCE * 1e-6)  # turns that drift further are counted
REACH = 11.0  # log odds beyond the outermost edge of a cell: drift out there changes nothing


def odds_of(
    pipeline: BlockPipeline,
    tokens: NDArray[np.int32],
    evaluations: Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]],
) -> NDArray[np.float64]:
    """Odds (n, K) of the turns to every token."""
    odds = np.empty((len(tokens), pipeline.tree.depth))
    pipeline.odds(tokens, evaluations, odds.__setitem__)
    return odds


def by_prefill(pipeline: BlockPipeline, tokens: NDArray[np.int32], streams: int) -> NDArray[np.float64]:
    """Odds as the encoder finds them."""
    return odds_of(pipeline, tokens, prefill(pipeline.session, tokens, Layout(len(tokens), streams), WINDOW))


def by_steps(pipeline: BlockPipeline, tokens: NDArray[np.int32], streams: int) -> NDArray[np.float64]:
    """Odds as the decoder finds them."""
    return odds_of(pipeline, tokens, in_steps(pipeline.session, tokens, Layout(len(tokens), streams), WINDOW, 1))


def report(name: str, one: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    """Print the drift between two evaluations, and what it would have done to a file."""
    coded = one > 0
    reach = coded & (np.abs(np.log(one, where=coded, out=np.zeros_like(one))) < REACH)
    drift = np.abs(np.log(one[reach]) - np.log(other[reach]))
    quantiser = Quantiser(PORTABLE_TOLERANCE)
    states, cells = quantiser.encode(one)
    again = np.empty_like(cells)
    for level in range(cells.shape[1]):
        quantiser.decode(other[:, level], states, again[:, level])
    wrong = int(((again != cells) & coded).any(axis=1).sum())
    margin = f"{PORTABLE_TOLERANCE * 1e-6 / drift.max():.1f}" if drift.any() else "-"
    rms = np.sqrt((drift**2).mean())
    tail = "".join(f"{int((drift > limit).sum()):9}" for limit in TAIL)
    print(f"{name:56}{drift.max():10.1e}{rms:10.1e}{tail}{margin:>9}{(states > 0).mean():9.2%}{wrong:7}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="files (default: English prose of corpora/)")
    parser.add_argument("--bytes", type=int, default=20_000, help="of all texts together (20000)")
    parser.add_argument("--model", help="another GGUF, evaluated in F32")
    parser.add_argument("--save", help="write the odds of this build's prefill and steps to FILE")
    parser.add_argument("--against", help="compare with the odds that another build saved")
    options = parser.parse_args()
    print(llama_cpp.llama_print_system_info().decode())
    text = b"".join(Path(name).read_bytes() for name in options.texts) or bench_text()
    odds: dict[str, NDArray[np.float64]] = {}
    for threads in (1, 2):
        session = Session(load_model(options.model, threads))
        pipeline = BlockPipeline(session, Coding(WINDOW, PORTABLE_TOLERANCE, True))
        tokens = pipeline.tokens_of(text[: options.bytes])[0].tokens
        odds[f"prefill, threads: {threads}"] = by_prefill(pipeline, tokens, 1)
        if threads == 1:
            odds["prefill, 4 streams at once"] = by_prefill(pipeline, tokens, 4)
            odds["steps of 1 row"] = by_steps(pipeline, tokens, 1)
            odds["steps of 4 rows (4 streams)"] = by_steps(pipeline, tokens, 4)
        session.close()
    turns = int((odds["steps of 1 row"] > 0).sum())
    print(f"{len(tokens)} tokens, {turns} turns; drift of the log odds of a turn\n")
    tail = "".join(f"{f'>{limit:.1e}':>9}" for limit in TAIL)
    print(f"{'':56}{'largest':>10}{'rms':>10}{tail}{'margin':>9}{'unsafe':>9}{'wrong':>7}")
    for one, other in (
        ("prefill, threads: 1", "prefill, threads: 2"),
        ("prefill, threads: 1", "steps of 1 row"),
        ("prefill, 4 streams at once", "steps of 4 rows (4 streams)"),
    ):
        report(f"{one} / {other}", odds[one], odds[other])
    if options.save:
        np.savez_compressed(options.save, **odds)
    if options.against:
        saved = np.load(options.against)
        print("\nagainst the other build")
        for name in odds:
            report(name, saved[name], odds[name])
        report(
            "other's prefill / this build's steps",
            saved["prefill, 4 streams at once"],
            odds["steps of 4 rows (4 streams)"],
        )


if __name__ == "__main__":
    main()
