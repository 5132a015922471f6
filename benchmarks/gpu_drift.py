"""Drift of the log odds of a turn between a GPU and the CPU, over millions of turns, in the shapes of encoder and decoder.

Parts of the text go to several processes, each with a model on the CPU (one thread) and one on the GPU.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from drift import REACH, by_prefill
from numpy.typing import NDArray

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.evaluation import Session, in_steps
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load, resolve
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantiser import Quantiser
from llmzip.model import embedded

WINDOW = embedded.WINDOW
_PARTS, _TOKENS = 8, 24_000  # of the text at most, for as many processes; tokens of one in several streams


_BINS = np.logspace(-9, -1, 801)  # of the histogram: steps of 2.3 %
_QUANTILES = (0.99, 0.9999, 0.999999)


@dataclass
class Drift:
    """What was found in some turns.

    histogram: turns by drift, between the `_BINS`. wrong, by tolerance: tokens of which a turn falls into another cell; unsafe: that carry a
    flag against it.
    """

    tokens: int
    turns: int
    largest: float
    squares: float
    histogram: NDArray[np.intp]
    wrong: NDArray[np.intp]
    unsafe: NDArray[np.intp]

    def __add__(self, other: Drift) -> Drift:
        return Drift(
            self.tokens + other.tokens,
            self.turns + other.turns,
            max(self.largest, other.largest),
            self.squares + other.squares,
            self.histogram + other.histogram,
            self.wrong + other.wrong,
            self.unsafe + other.unsafe,
        )

    def __str__(self) -> str:
        rms = (self.squares / max(1, self.turns)) ** 0.5
        places = np.searchsorted(np.cumsum(self.histogram), np.ceil(np.array(_QUANTILES) * self.turns))
        quantiles = "".join(f"{min(_BINS[place + 1], self.largest):10.1e}" for place in places.tolist())
        wrong = "".join(
            f"{one:5} {share:6.2%}" for one, share in zip(self.wrong, self.unsafe / self.tokens, strict=True)
        )
        return f"{self.tokens:10,}{self.turns:12,}{rms:10.1e}{quantiles}{self.largest:10.1e}  {wrong}"


def header(tolerances: tuple[int, ...]) -> str:
    """Titles of the columns."""
    quantiles = "".join(f"{100 * each:.6g}%".rjust(10) for each in _QUANTILES)
    wrong = "".join(f"{each}e-6".rjust(12) for each in tolerances)
    return f"{'':40}{'tokens':>10}{'turns':>12}{'rms':>10}{quantiles}{'largest':>10}  {wrong}"


def compared(one: NDArray[np.float64], other: NDArray[np.float64], tolerances: tuple[int, ...]) -> Drift:
    """Odds (n, K) by the encoder and by the decoder; turns that are not taken are 0 in both."""
    coded = one > 0
    reach = coded & (np.abs(np.log(one, where=coded, out=np.zeros_like(one))) < REACH)
    drift = np.abs(np.log(one[reach]) - np.log(other[reach]))
    wrong, unsafe = [], []
    for tolerance in tolerances:
        quantiser = Quantiser(tolerance)
        states, cells = quantiser.encode(one)
        again = np.empty_like(cells)
        for level in range(cells.shape[1]):
            quantiser.decode(other[:, level], states, again[:, level])
        wrong.append(int(((again != cells) & coded).any(axis=1).sum()))
        unsafe.append(int((states > 0).sum()))
    histogram = np.histogram(np.clip(drift, _BINS[0], _BINS[-1]), _BINS)[0]
    largest, squares = float(drift.max(initial=0.0)), float((drift**2).sum())
    return Drift(len(one), len(drift), largest, squares, histogram, np.array(wrong), np.array(unsafe))


@dataclass(frozen=True)
class Part:
    """Tokens, (n,), in so many streams; steps of the GPU end at a time of the clock."""

    tokens: NDArray[np.int32]
    streams: int
    until: float
    tolerances: tuple[int, ...]


_pipelines: list[BlockPipeline] = []


def _begin(layers: int) -> None:
    """In each process: both models."""
    for each in (0, layers):
        session = Session(load(resolve(None), 1, exact=False, gpu_layers=each))
        _pipelines.append(BlockPipeline(session, Coding(WINDOW, PORTABLE_TOLERANCE, True)))


def _measure(part: Part) -> tuple[int, dict[str, Drift]]:
    """Its streams, and the drift of a part by comparison."""
    cpu, gpu = _pipelines
    tokens, streams = part.tokens, part.streams
    name = "1 stream" if streams == 1 else f"{streams} streams"
    expected = by_prefill(cpu, tokens, streams)
    found = {
        f"CPU prefill / GPU prefill, {name}": compared(expected, by_prefill(gpu, tokens, streams), part.tolerances)
    }
    odds, done = np.empty_like(expected), []

    def steps() -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        for indices, logits in in_steps(gpu.session, tokens, Layout(len(tokens), streams), WINDOW, 1):
            yield indices, logits
            done.append(indices)
            if time.time() > part.until:
                return

    gpu.odds(tokens, steps(), odds.__setitem__)
    rows = np.concatenate(done)
    return streams, found | {f"CPU prefill / GPU steps, {name}": compared(expected[rows], odds[rows], part.tolerances)}


def measure(
    text: bytes,
    layers: int,
    turns: int,
    processes: int,
    seconds: float,
    shapes: list[int],
    tolerances: tuple[int, ...],
) -> None:
    """Print the drift over about so many turns of each shape (streams); steps end after so many seconds.

    tolerances: for which wrong tokens are counted, in units of 1e-6.
    """
    until = time.time() + seconds
    pipeline = BlockPipeline(
        Session(load(resolve(None), 1, exact=False, gpu_layers=0)), Coding(WINDOW, PORTABLE_TOLERANCE, True)
    )
    tokens = pipeline.tokens_of(text)[0].tokens[: turns // 12]  # a token takes some 13 turns
    pipeline.session.close()
    parts = []
    for streams in shapes:
        count = min(_PARTS, -(-len(tokens) // _TOKENS) if streams > 1 else _PARTS)
        parts += [Part(piece, streams, until, tolerances) for piece in np.array_split(tokens, count)]
    print(f"drift of the log odds of a turn, {len(tokens):,} tokens; last columns: wrong tokens and flags by tolerance")
    print(header(tolerances), flush=True)
    totals: dict[str, Drift] = {}
    with multiprocessing.get_context("spawn").Pool(min(processes, len(parts)), _begin, (layers,)) as pool:
        left = {streams: sum(part.streams == streams for part in parts) for streams in shapes}
        for streams, found in pool.imap_unordered(_measure, parts):
            left[streams] -= 1
            for name, drift in found.items():
                totals[name] = totals[name] + drift if name in totals else drift
                if not left[streams]:
                    print(f"{name:40}{totals[name]}", flush=True)
