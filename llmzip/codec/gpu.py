"""The built-in model on a GPU: for blocks that are worth its start, where it computes as this CPU does.

Files by a GPU shall open on every CPU. Whether its arithmetic allows that is measured when it is first used, on a short text in the shapes of
encoder and decoder: builds with fast mathematics, or kernels that round to fewer bits, show there, and the CPU does the work.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.arithmetic import drifts
from llmzip.codec.evaluation import ROWS, Session, prefill
from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.errors import LlmzipError
from llmzip.model import embedded
from llmzip.model.base import BranchingEvaluator, LanguageModel

TEXT = Path(__file__).parent.parent / "data" / "probe.txt"
"""On which drift is measured: prose, a manual, code and logs, some 1,000 tokens."""

WORTHWHILE = 1 << 16
"""Bytes of a block from which on a GPU is started: before it has, a core has done less."""

_AGREEING, _SHARE = 0.99, 0.2  # of the turns must drift less than this share of the tolerance (docs/portability.md)
_WIDTHS, _STEPS = (32, 4, 1), 48  # streams of the steps that are tried, the most first, and steps of each
_ROOM = 2 << 30  # bytes of a GPU's memory: its driver's own, weights, caches and logits
_TIMES = 4  # as fast as a core, about: for longer than so many blocks no other one waits


class Gpu:
    """A GPU, for one block at a time."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._tried = False
        self._turn, self._counting, self._waiting = threading.Lock(), threading.Lock(), 0

    def serves(self, pipeline: BlockPipeline, size: int) -> bool:
        """Whether it is there for a block of so many bytes, by a pipeline of the model on the CPU. Not for several threads."""
        if size < WORTHWHILE:
            return False
        if not self._tried:
            self._tried, self._session = True, _session(pipeline)
        return self._session is not None

    @contextlib.contextmanager
    def lent(self) -> Iterator[Session | None]:
        """The model on it, when it is free; None where so many blocks wait for that, that a core is done sooner."""
        with self._counting:
            waits = self._waiting < _TIMES
            self._waiting += waits
        if not waits:
            yield None
            return
        try:
            with self._turn:
                yield self._session
        finally:
            with self._counting:
                self._waiting -= 1

    def close(self) -> None:
        """Free its memory."""
        if self._session:
            self._session.close()
        self._session = None


class _WithRefuge(Session):
    """A session whose evaluators are the CPU's where the GPU has no memory for them."""

    def __init__(self, model: LanguageModel, refuge: LanguageModel) -> None:
        super().__init__(model)
        self._refuge = Session(refuge)

    def evaluator(self, streams: int, context: int, rows: int) -> BranchingEvaluator:
        try:
            return super().evaluator(streams, context, rows)
        except LlmzipError:
            return self._refuge.evaluator(streams, context, rows)

    def release(self) -> None:
        super().release()
        self._refuge.release()


def _session(pipeline: BlockPipeline) -> Session | None:
    """The model of a pipeline on a GPU; None where there is none, or it computes otherwise."""
    from llmzip.model.llama import ALL_LAYERS, usable_gpu_layers

    if not usable_gpu_layers(None):
        return None
    from llmzip.model.gpu import free_memory

    if free_memory() < _ROOM:
        return None
    try:
        session = _WithRefuge(embedded.load_embedded(1, gpu_layers=ALL_LAYERS), pipeline.session.model)
    except LlmzipError:
        return None
    with contextlib.suppress(LlmzipError):
        if drift(pipeline, session) < _SHARE * pipeline.coding.tolerance * 1e-6:
            return session
    session.close()
    return None


def drift(pipeline: BlockPipeline, other: Session) -> float:
    """What 99 of 100 turns of the text drift less than, in log odds, between the session of a pipeline and another one of its model."""
    tokens = pipeline.vocabulary.encode(TEXT.read_bytes()).tokens[: embedded.WINDOW.context]
    found = []
    for evaluations in (
        prefill(pipeline.session, tokens, Layout(len(tokens), 1), embedded.WINDOW),
        _in_all_shapes(other, tokens),
    ):
        odds = np.empty((len(tokens), pipeline.tree.depth))
        pipeline.odds(tokens, evaluations, odds.__setitem__)
        found.append(odds)
    pipeline.session.release()
    return float(np.quantile(drifts(found[0], found[1]), _AGREEING))


def _in_all_shapes(
    session: Session, tokens: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Like `prefill` of one stream: in batches, and the last tokens in steps of several numbers of streams, which are all alike."""
    inputs = np.concatenate([[session.model.start], tokens[:-1]]).astype(np.int32)
    places = np.arange(len(tokens), dtype=np.int32)
    count = len(tokens) - len(_WIDTHS) * _STEPS
    evaluator = session.evaluator(max(_WIDTHS), len(tokens), ROWS)
    for first in range(0, count, ROWS):
        rows = places[first : min(first + ROWS, count)]
        yield rows.astype(np.intp), evaluator.evaluate(inputs[rows], rows, np.zeros_like(rows))
    evaluator.copy(0, 1, max(_WIDTHS))
    for step in range(len(_WIDTHS) * _STEPS):
        width, place = _WIDTHS[step // _STEPS], count + step
        inputs_alike, places_alike = (np.repeat(each[place : place + 1], width) for each in (inputs, places))
        logits = evaluator.evaluate(inputs_alike, places_alike, places[:width])
        yield np.array([place], np.intp), logits[[step % width]]
