"""Many short texts at once: each becomes a message of its own, and the network evaluates them side by side.

A mixer is new in every message, so that each can be opened by itself; what is shared is the time that the network takes for a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmzip.codec import short
from llmzip.codec._cells import Cells as StepCells
from llmzip.codec.choice import ModelChoice
from llmzip.codec.evaluation import ROWS, Session, Steps
from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantising import Cells
from llmzip.codec.settings import Settings
from llmzip.coding.turndecoder import TurnDecoder
from llmzip.container.format import MAX_SHORT
from llmzip.errors import CorruptError
from llmzip.model._masses import Masses
from llmzip.model.schedule import spans
from llmzip.text import newlines
from llmzip.text.tokens import TokenText

AT_ONCE = 64
"""Texts evaluated side by side."""
_LONGEST = 256  # tokens: longer ones fill batches by themselves


@dataclass
class _Text:
    """One text on its way: its place among all, and what it is made of."""

    number: int
    data: bytes
    tokens: NDArray[np.int32]
    crlf: bool


def compress(texts: Sequence[bytes], settings: Settings, choice: ModelChoice) -> list[bytes]:
    """A message for each text. Raises UsageError for one that is too long, ModelError."""
    with choice.lock:
        coder = short.ShortCoder(settings, choice)
        coding = coder.agreement.coding
        if not coding.window or not coder.agreed or coding.context:
            return [coder.code(bytes(text)) for text in texts]
        pipeline = choice.pipeline(coding)
        packed: list[bytes] = [b""] * len(texts)
        side_by_side: list[_Text] = []
        for number, data in enumerate(map(bytes, texts)):
            short.check_length(len(data))
            text, crlf = pipeline.tokens_of(data) if data else (TokenText(np.empty(0, np.int32)), False)
            if text.literals or not 0 < len(text.tokens) <= min(_LONGEST, pipeline.window.context):
                packed[number] = coder.code(data)
            else:
                side_by_side.append(_Text(number, data, text.tokens, crlf))
        for one, cells in _quantised(pipeline, side_by_side):
            layout = Layout(len(one.tokens), 1)
            words = pipeline.words(pipeline.turns(one.tokens, layout, cells))
            found = short.message(pipeline, one.data, one.crlf, layout.count, words)
            packed[one.number] = min(found, short.raw(one.data), key=len)
        return packed


def _quantised(pipeline: BlockPipeline, texts: list[_Text]) -> Iterator[tuple[_Text, Cells]]:
    """Each text with the cells of its turns; texts of like length are evaluated together."""
    if not texts:
        return
    model, tree = pipeline.session.model, pipeline.tree
    ordered = sorted(texts, key=lambda text: len(text.tokens))
    evaluator = pipeline.session.evaluator(AT_ONCE, len(ordered[-1].tokens), ROWS)
    masses = Masses(tree.order, 1)
    for group in _groups(ordered):
        lengths = [len(text.tokens) for text in group]
        tokens = np.concatenate([text.tokens for text in group])
        inputs = np.concatenate([[model.start], tokens[:-1]]).astype(np.int32)
        ends = np.cumsum(lengths)
        inputs[ends[:-1]] = model.start
        positions = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
        streams = np.repeat(np.arange(len(group)), lengths).astype(np.int32)
        odds = np.empty((len(tokens), tree.depth))
        masses.path_odds(evaluator.evaluate(inputs, positions, streams), tree.ranks[tokens], odds)
        evaluator.discard(len(group), 0)
        states, cells = pipeline.cells(tokens, odds)
        for text, end in zip(group, ends.tolist(), strict=True):
            rows = slice(end - len(text.tokens), end)
            yield text, Cells(states[rows], cells[rows])


def _groups(ordered: list[_Text]) -> Iterator[list[_Text]]:
    """Texts of one evaluation: as many as fit its rows."""
    group: list[_Text] = []
    rows = 0
    for text in ordered:
        if group and (len(group) == AT_ONCE or rows + len(text.tokens) > ROWS):
            yield group
            group, rows = [], 0
        group.append(text)
        rows += len(text.tokens)
    yield group


def decompress(messages: Sequence[bytes], choice: ModelChoice) -> list[bytes]:
    """The text of each message. Raises as `short.decode`, naming the first message that fails."""
    found: list[bytes] = [b""] * len(messages)
    side_by_side: list[tuple[int, short.Parsed]] = []
    for number, message in enumerate(map(bytes, messages)):
        with _naming(number):
            parsed = short.parse(message)
            together = parsed.kind in (short.Kind.NETWORK, short.Kind.NETWORK_CRLF) and parsed.head
            if together and 0 < together.tokens <= _LONGEST:
                side_by_side.append((number, parsed))
            else:
                found[number] = short.decode(message, choice)
    side_by_side.sort(key=lambda one: -one[1].head.tokens if one[1].head else 0)
    with choice.lock:
        for first in range(0, len(side_by_side), AT_ONCE):
            group = side_by_side[first : first + AT_ONCE]
            with _naming(group[0][0]):
                pipeline = choice.pipeline(short.coding_for(group[0][1], choice))
            for (number, parsed), original in zip(group, _together(pipeline, [one for _, one in group]), strict=True):
                with _naming(number):
                    found[number] = short.verified(parsed, original)
    return found


class _naming:
    """Says which message an error is about."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CorruptError):
            raise CorruptError(f"message {self._number + 1}: {error}") from None


def _together(pipeline: BlockPipeline, messages: list[short.Parsed]) -> Iterator[bytes | None]:
    """The originals of messages that the network coded, the longest first, in lock step; None for damage."""
    session: Session = pipeline.session
    heads = [parsed.head for parsed in messages if parsed.head]
    counts = np.array([head.tokens for head in heads])
    mixers = [pipeline.mixer(Layout(head.tokens, 1)) for head in heads]
    coders = [TurnDecoder(parsed.payload) for parsed in messages]
    masses = [Masses(pipeline.tree.order, 1) for _ in heads]
    cells = [StepCells(each, pipeline.quantiser.grids).capsule for each in masses]
    steps = int(counts[0])
    evaluation = Steps(session, len(heads), steps, pipeline.window, 1)
    tokens = np.full((len(heads), steps), session.model.start, np.int32)
    damaged = [False] * len(heads)
    inputs = np.full(len(heads), session.model.start, np.int32)
    for span in spans(steps, pipeline.window, 1):
        active = int((counts > span.start).sum())
        logits = evaluation.evaluate(span, inputs[:active])
        for at in range(active):
            if damaged[at]:
                continue
            masses[at].load(logits[at : at + 1])
            try:
                rank = mixers[at].decode(coders[at], 1, cells[at])
            except CorruptError:
                damaged[at] = True
                continue
            inputs[at] = tokens[at, span.start] = pipeline.tree.order[rank[0]]
    for head, mine, lost in zip(heads, tokens, damaged, strict=True):
        text = TokenText(mine[: head.tokens])
        if lost or pipeline.vocabulary.length(text) > MAX_SHORT:
            yield None
            continue
        data = pipeline.vocabulary.decode(text)
        yield newlines.to_crlf(data) if head.crlf else data
