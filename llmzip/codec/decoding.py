"""A model block back to its bytes, if need be by another reading than the first."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from llmzip.codec.head import BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline, ShareDone, silent
from llmzip.codec.settings import DEFAULT_PATIENCE, MOST_PATIENCE
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.errors import ArithmeticMismatchError, CorruptError
from llmzip.text import newlines
from llmzip.text.tokens import TokenText

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmzip.text.tokens import Ids

_SHORT = 1_000  # and so many rows more, which take about a second, for short blocks
_LIKELY_A_BYTE = 8  # tokens that repair reckons with; what claims more may have been made for the time it takes


def decode_block(
    pipeline: BlockPipeline,
    payload: bytes,
    original_length: int,
    fits: Callable[[bytes], bool],
    progress: ShareDone = silent,
    *,
    patience: float = DEFAULT_PATIENCE,
    shaken: float = 0,
) -> tuple[bytes, bool]:
    """The bytes of a block, and whether drift beyond the tolerance had to be put right (for `patience` times the work).

    fits: whether bytes are those that the block's check was made from; nothing else is returned. shaken: move the network's log odds
    by up to so many tolerances at random, as another machine might.
    Raises CorruptError for damage, ArithmeticMismatchError where drift must have exceeded the tolerance by far.
    """
    head, words = BlockHead.unpack(payload, original_length)
    return decode_words(pipeline, head, words, original_length, fits, progress, patience=patience, shaken=shaken)


def decode_words(
    pipeline: BlockPipeline,
    head: BlockHead,
    words: bytes,
    original_length: int,
    fits: Callable[[bytes], bool],
    progress: ShareDone = silent,
    *,
    patience: float = DEFAULT_PATIENCE,
    shaken: float = 0,
) -> tuple[bytes, bool]:
    """The same for a block taken apart; original_length: the most bytes that it may have."""
    if head.network != pipeline.network:
        raise RuntimeError("the block is for another pipeline")
    pipeline = pipeline.of(head)
    head.plausible(head.tokens, len(words), pipeline.fewest_turns)
    if head.network and not head.affords(pipeline.window, len(words)):
        raise CorruptError(
            f"a model block claims {head.streams} streams and windows of {pipeline.window.context} tokens, more than its "
            f"{len(words)} bytes justify: damaged"
        )

    def text_of(tokens: Ids) -> bytes | None:
        """What the tokens stand for; None for more bytes than the block has."""
        text = TokenText(tokens, head.literals, head.spaced)
        if pipeline.vocabulary.length(text) > original_length:
            return None
        data = pipeline.vocabulary.decode(text)
        return newlines.to_crlf(data) if head.crlf else data

    layout, known = Layout(head.tokens, head.streams), pipeline.known(head.part, original_length)
    failure = CorruptError("the check does not match: the file is damaged; get it again")
    if not (pipeline.network and layout.count):
        data = text_of(_by_table(pipeline, words, layout, known, progress) if layout.count else array("i"))
        if data is not None and fits(data):
            return data, False
        raise failure
    from llmzip.codec.lockstep import LockStep, rows_of
    from llmzip.codec.repair import Astray, readings
    from llmzip.codec.rereading import Rereader

    reading: LockStep | None = None
    try:
        drift = shaken * pipeline.coding.tolerance * 1e-6
        reading = LockStep(pipeline, words, layout, head.part, known, shaken=drift)
        reading.read(lambda step: progress(step / layout.steps))
        data = text_of(reading.tokens)
        if data is not None and fits(data):
            return data, False
    except CorruptError as error:
        failure = error.with_traceback(None)  # which would keep the first reading's memory beside that of the others
    reached = min(reading.step + 1, layout.steps) if reading else layout.steps
    reading = None
    if not (patience and pipeline.coding.tolerance):
        raise failure
    # Whoever made the block may have made it for the time that repair would take.
    rows = min(reached * layout.streams, layout.count, _LIKELY_A_BYTE * len(words))
    make = partial(LockStep, pipeline, words, layout, head.part, known, keeping=True)
    reader = Rereader(make, layout, patience * rows + _SHORT + rows_of(known))
    try:
        for tokens in readings(reader, pipeline.quantiser, layout.streams):
            data = text_of(tokens)
            if data is not None and fits(data):
                return data, True
    except Astray:
        raise ArithmeticMismatchError(
            "its bytes are intact, but the model's arithmetic on this machine drifts by far more than the file tolerates: try longer "
            f"(--patience {_longer(patience)}), or a machine or a build of llama-cpp-python like that which made it"
        ) from None
    raise failure


def _longer(patience: float) -> str:
    """What to try after so much."""
    return f"{max(100.0, min(10 * patience, MOST_PATIENCE)):.0f}"


def _by_table(
    pipeline: BlockPipeline, words: bytes, layout: Layout, known: NDArray[np.int32] | None, progress: ShareDone
) -> Ids:
    """Tokens (count,) of a block without a network, in the order of the text. Raises CorruptError."""
    mixer, coder, tokens = pipeline.mixer(layout, known=known), TurnDecoder(words), array("i")
    for run in layout.runs():
        tokens += pipeline.tree.tokens_of(mixer.decode(coder, run.stop - run.start))
        progress(run.stop / layout.count)
    return layout.in_text(tokens)
