"""A model block back to its bytes: all streams in lock step, one token of each at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from llmzip.codec._cells import Cells
from llmzip.codec.context import Part
from llmzip.codec.evaluation import Steps
from llmzip.codec.head import BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline, ShareDone, silent
from llmzip.codec.repair import Astray, Doubts, readings
from llmzip.coding.rangecoder import TurnDecoder
from llmzip.errors import ArithmeticMismatchError, CorruptError
from llmzip.model._masses import Masses
from llmzip.model.schedule import spans
from llmzip.text import newlines
from llmzip.text.tokens import TokenText

_REPAIRS = 3  # times the steps of a block that repair may take
_KNOWN_A_STEP = 10  # tokens of a context that the mixer goes over in about the time of a step
_SHORT = 10_000  # and so many steps more, which take seconds, for short blocks


def decode_block(
    pipeline: BlockPipeline,
    payload: bytes,
    original_length: int,
    fits: Callable[[bytes], bool],
    progress: ShareDone = silent,
    *,
    repairing: bool = True,
) -> tuple[bytes, bool]:
    """The bytes of a block, and whether drift beyond the tolerance had to be put right (if `repairing`).

    fits: whether bytes are those that the block's check was made from; nothing else is returned.
    Raises CorruptError for damage, ArithmeticMismatchError where drift must have exceeded the tolerance by far.
    """
    head, words = BlockHead.unpack(payload, original_length)
    if head.network != pipeline.network:
        raise RuntimeError("the block is for another pipeline")
    if head.network and not head.affords(pipeline.window, len(words)):
        raise CorruptError(
            f"a model block claims {head.streams} streams and windows of {pipeline.window.context} tokens, more than its "
            f"{len(words)} bytes justify: damaged"
        )

    def read(doubts: Doubts | None, progress: ShareDone = silent) -> bytes | None:
        return _reading(pipeline, head, words, original_length, progress, doubts)

    failure = CorruptError("the check does not match: the file is damaged; get it again")
    try:
        data = read(None, progress)
        if data is not None and fits(data):
            return data, False
    except CorruptError as error:
        failure = error
    if not (repairing and pipeline.coding.tolerance):
        raise failure
    try:
        # Whoever made the block may have made it for the time that repair would take.
        most = _REPAIRS * Layout(head.tokens, head.streams).steps + _SHORT
        known = pipeline.known(head.part, original_length)
        before = 0 if known is None else len(known) // _KNOWN_A_STEP
        for data in readings(read, pipeline.quantiser, most + before, before):
            if data is not None and fits(data):
                return data, True
    except Astray:
        raise ArithmeticMismatchError(
            "its bytes are intact, but the model's arithmetic on this machine drifts by far more than the file "
            "tolerates: decompress it on a machine, or with a build of llama-cpp-python, like that which made it"
        ) from None
    raise failure


def _reading(
    pipeline: BlockPipeline,
    head: BlockHead,
    words: bytes,
    most: int,
    progress: ShareDone,
    doubts: Doubts | None,
) -> bytes | None:
    """What the words say if doubtful turns are taken as `doubts` has it; None for more bytes than `most`. May raise Astray
    and CorruptError."""
    known = pipeline.known(head.part, most)
    tokens = _tokens(pipeline, words, Layout(head.tokens, head.streams), progress, doubts, head.part, known)
    text = TokenText(tokens, head.literals, head.spaced)
    if pipeline.vocabulary.length(text) > most:
        return None
    data = pipeline.vocabulary.decode(text)
    return newlines.to_crlf(data) if head.crlf else data


def _tokens(
    pipeline: BlockPipeline,
    words: bytes,
    layout: Layout,
    progress: ShareDone,
    doubts: Doubts | None,
    part: Part | None,
    known: NDArray[np.int32] | None,
) -> NDArray[np.int32]:
    """Tokens of a block in the order of the text, (count,)."""
    if not layout.count:
        return np.empty(0, np.int32)
    mixer, coder, tree = pipeline.mixer(layout, known=known), TurnDecoder(words), pipeline.tree
    if not pipeline.network:
        coded_ranks = np.empty(layout.count, np.uint32)
        for run in layout.runs():
            coded_ranks[run.start : run.stop] = mixer.decode_steps(coder, run.stop - run.start)
            progress(run.stop / layout.count)
        return tree.order[coded_ranks][layout.rows]
    window = pipeline.window
    masses = Masses(tree.order, layout.streams)
    step = 0

    def review(level: int, odds: memoryview, states: memoryview, cells: memoryview) -> None:
        if doubts:
            of_turns = np.frombuffer(odds), np.frombuffer(states, np.uint8), np.frombuffer(cells, np.uint8)
            doubts.review(step, level, *of_turns)

    cells = Cells(masses, pipeline.quantiser.grids, review if doubts else None).capsule
    lead = pipeline.lead(part, known)
    evaluation = Steps(pipeline.session, layout.streams, layout.steps, window, pipeline.coding.rows, lead)
    coded = np.empty(layout.count, np.int32)
    inputs = np.full(layout.streams, evaluation.first_input, np.int32)
    done = 0
    for span in spans(layout.steps, window, 1, evaluation.known):
        step, active = span.start, layout.active(span.start)
        masses.load(evaluation.evaluate(span, inputs[:active]))
        inputs[:active] = coded[done : done + active] = tree.order[mixer.decode_steps(coder, active, cells)]
        done += active
        progress(done / layout.count)
    return coded[layout.rows]
