"""Every token of a block evaluated once: by prefill for all that reads ahead, in steps for what cannot.

Exact files are a matter of bits, and kernels for one row round otherwise than those for many. So their steps are padded
with rows that are taken back at once, where that makes them agree with prefill; else both sides go in bare steps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.ahead import always
from llmzip.codec.layout import Layout
from llmzip.model.base import BranchingEvaluator, Evaluator, LanguageModel, Window
from llmzip.model.schedule import Span, spans
from llmzip.model.team import Share, Team
from llmzip.model.threads import may_begin

ROWS = 512  # rows of one evaluation: large enough for the speed of matrix products, small enough for the cache
_LOGITS = 1 << 25  # logits of one evaluation at most: bounds the memory for large vocabularies
_FEWEST_ROWS = 64
_FEWEST_STREAMS = 8  # of an evaluator beside others: each reads all weights in every step
# Steps for which cores have to be free before streams are parted over them: until the next block begins they are, too. And steps that are left.
_PATIENCE, _WORTHWHILE = 32, 64


class Disagreement(Exception):
    """Prefill turned out to differ from the padded steps of the decoder."""


class Session:
    """A loaded model with its evaluator kept from block to block (making one allocates and clears its caches).

    alone: whether its block may use all cores that the model has use for, each with an evaluator of its own, or one; asked now and then.
    """

    def __init__(self, model: LanguageModel, alone: Callable[[], bool] = always) -> None:
        self.model = model
        self._lanes: int = getattr(model, "lanes", 1)
        self._alone = alone
        self.beside = 0  # cores that something else of its block has now
        self._held: Evaluator | None = None
        self._shape: tuple[object, ...] = ()
        self._branches: list[Session] = []
        self._unused = self._branches  # those that nobody uses, beside this one or of it

    @property
    def most_lanes(self) -> int:
        """Evaluators that may be at work at once."""
        return self._lanes if may_begin() else 1

    @property
    def shared(self) -> bool:
        """Whether several threads may work with the model, each with a branch of its own."""
        return self.most_lanes > 1

    @property
    def lanes(self) -> int:
        """Cores that its block may use now."""
        return max(1, self.most_lanes - self.beside) if self._alone() else 1

    def evaluator(self, streams: int, context: int, rows: int) -> BranchingEvaluator:
        """An evaluator of this shape with empty caches; what was given out before is no longer valid."""
        # One core is all that a lane has; by itself a model knows how many help.
        threads = (1,) if self.lanes < self.most_lanes else ()
        shape = (streams, context, rows, *threads)
        return cast(BranchingEvaluator, self._kept(shape, lambda: self.model.evaluator(*shape)))

    def team(self, streams: int, context: int, rows: int) -> Evaluator:
        """The same for streams that advance together, which are parted where there are cores for the parts."""
        count = self.parts(streams)
        if count < 2:
            return self.evaluator(streams, context, rows)
        shape = streams, context, rows
        return self._kept((*shape, "team", count), lambda: self._team(count, *shape))

    def parts(self, streams: int) -> int:
        """Into how many parts so many streams can go now, a core for each."""
        return min(self.lanes, streams // _FEWEST_STREAMS)

    def _team(self, count: int, streams: int, context: int, rows: int) -> Team:
        each = -(-streams // count)
        members: list[BranchingEvaluator] = []
        try:
            for first in range(0, streams, each):
                part = min(each, streams - first)
                members.append(self.model.evaluator(part, context, -(-rows * part // streams), 1))
            return Team(members, each, rows, len(self.model.pieces))
        except BaseException:
            for member in members:
                member.close()
            raise

    def widened(self, streams: int, context: int, rows: int) -> Evaluator:
        """What `team` gave for this shape when there was one core, parted now, with all that its streams hold; not between a
        `slide` and the next evaluation. Where that cannot be had, what was given out before, as it is.

        While it is parted, its caches are there twice. Those of blocks that are done are freed first, so there are no more than two blocks in work have.
        """
        held, count = cast(BranchingEvaluator, self._held), self.parts(streams)
        if count < 2 or isinstance(held, Team):
            return held
        with contextlib.suppress(IndexError):
            while True:
                self._unused.pop().release()
        try:
            held.save_stream(0)  # fails at once where that cannot be done
            team = self._team(count, streams, context, rows)
            try:
                team.take_over(held, streams)
            except BaseException:
                team.close()
                raise
        except Exception:  # nothing has happened to `held`, which does the same in more time
            return held
        self._held, self._shape = team, (streams, context, rows, "team", count)
        held.close()
        return team

    def _kept(self, shape: tuple[object, ...], make: Callable[[], Evaluator]) -> Evaluator:
        held = self._held
        if held is None or self._shape != shape:
            self._let_go()
            held = make()
            self._held, self._shape = held, shape
        held.clear()
        return held

    @contextlib.contextmanager
    def branch(self, alone: Callable[[], bool]) -> Iterator[Session]:
        """A session of the same model for another thread, with evaluators of its own; kept for the next one. alone: as of the class."""
        try:
            one = self._branches.pop()
        except IndexError:
            one = Session(self.model)
        one._alone, one.beside, one._unused = alone, 0, self._branches
        try:
            yield one
        finally:
            self._branches.append(one)

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
        self._held, self._shape = None, ()

    def release(self) -> None:
        """Free the caches, those of branches that nobody uses, too."""
        self._let_go()
        for branch in self._branches:
            branch.release()

    def close(self) -> None:
        """Free caches and model."""
        self.release()
        self.model.close()


class Steps:
    """The decoder's evaluation: one token of every stream at a time.

    rows: evaluate at least so many rows at once and two of each stream (1: just the tokens). The others are start
    tokens behind those that count, taken back after every step. lead: as for `prefill`; `first_input` is its last token, which every
    stream's first step takes, behind `known` positions. widens: part the streams over cores that become free meanwhile; what `save` gave
    before cannot be restored after that.

    format: in exact files the shape of a step decides the bits.
    """

    def __init__(
        self,
        session: Session,
        streams: int,
        steps: int,
        window: Window,
        rows: int,
        lead: NDArray[np.int32] | None = None,
        *,
        widens: bool = False,
    ) -> None:
        before, self.first_input = _led(session.model.start, lead)
        self.known = len(before)
        self._start, self._window, self._rows, self._streams = session.model.start, window, rows, streams
        most = max(active * self._rows_each(active) for active in (1, streams))
        self._slots, self._positions = np.arange(streams, dtype=np.int32), np.empty(streams, np.int32)
        context = min(window.context, len(before) + steps) + rows - 1
        self._before, self._at_once = before, min(len(before), max(1, _rows_at_once(session) // streams))
        shape = streams, context, max(most, rows + streams if rows > 1 else 0, streams * self._at_once)
        # The bits of exact files depend on the rows of a step.
        bound = rows > 1 or session.model.exact
        self._session, self._shape, self._steps = session, shape, steps
        self._widens, self._free = widens and not bound, 0
        self._evaluator: Evaluator = session.evaluator(*shape) if bound else session.team(*shape)
        _read(self._evaluator, before, streams, self._at_once)

    def _rows_each(self, active: int) -> int:
        """Rows of each stream of a step of so many streams."""
        return 1 if self._rows == 1 else max(2, -(-self._rows // active))

    def evaluate(self, span: Span, inputs: NDArray[np.int32]) -> NDArray[np.float32]:
        """Logits, shape (active, V), that follow the inputs, shape (active,), of the first `active` streams."""
        if span.slide:
            self._evaluator.slide(self._streams, self._window.drop)
        active = len(inputs)
        each = self._rows_each(active)
        if each == 1:
            self._positions[:active] = span.position
            return self._evaluator.evaluate(inputs, self._positions[:active], self._slots[:active])
        tokens = np.full((active, each), self._start, np.int32)
        tokens[:, 0] = inputs
        positions = np.tile(np.arange(span.position, span.position + each, dtype=np.int32), active)
        streams = np.repeat(np.arange(active, dtype=np.int32), each)
        logits = self._evaluator.evaluate(tokens.ravel(), positions, streams)
        self._evaluator.discard(active, span.position + 1)
        return np.ascontiguousarray(logits[::each])

    def give(self, span: Span, inputs: NDArray[np.int32], use: Callable[[NDArray[np.float32], int], None]) -> None:
        """The same, but the logits go to `use`, with the number of their first stream: in parts, perhaps by several threads at once."""
        if self._widens and not isinstance(self._evaluator, Team):
            self._widen(span)
        shares = [share for share in self.shares if share.first < len(inputs)]
        if not shares:
            use(self.evaluate(span, inputs), 0)
            return

        def one(share: Share) -> None:
            use(self.evaluate_share(share, span, inputs[share.first : share.stop]), share.first)

        self.together([partial(one, share) for share in shares])

    @property
    def shares(self) -> list[Share]:
        """Shares of the streams that may advance each by itself; none where one evaluator has all. `together` works on them."""
        return self._evaluator.shares(self._streams) if isinstance(self._evaluator, Team) else []

    def evaluate_share(self, share: Share, span: Span, inputs: NDArray[np.int32]) -> NDArray[np.float32]:
        """As `evaluate`, of the first so many streams of a share."""
        if span.slide:
            share.evaluator.slide(share.stop - share.first, self._window.drop)
        count = len(inputs)
        positions, slots = np.full(count, span.position, np.int32), np.arange(count, dtype=np.int32)
        return share.evaluator.evaluate(inputs, positions, slots)

    def together(self, jobs: Sequence[Callable[[], None]], failed: Callable[[], None] = lambda: None) -> None:
        """Do one job for each share, each in a thread of its own, the first one in this; see `Team.together`."""
        cast(Team, self._evaluator).together(jobs, failed)

    def _widen(self, span: Span) -> None:
        """Part the streams, once cores have been free for a while; before the span slides."""
        self._free = self._free + 1 if self._session.parts(self._streams) > 1 else 0
        if self._free >= _PATIENCE:
            self._widens = False
            if self._steps - span.start >= _WORTHWHILE:
                self._evaluator = self._session.widened(*self._shape)

    def rewind(self, span: Span) -> None:
        """Take back this step and all behind it, in none of which the window slid."""
        self._evaluator.discard(self._streams, span.position)

    def save(self) -> NDArray[np.uint8]:
        """A copy of all caches, (bytes,), between two steps."""
        return self._evaluator.save()

    def restore(self, caches: NDArray[np.uint8]) -> None:
        """Go on from such a copy."""
        self._evaluator.restore(caches)

    def clear(self) -> None:
        """Go on from the beginning."""
        self._evaluator.clear()
        _read(self._evaluator, self._before, self._streams, self._at_once)


def in_steps(
    session: Session, tokens: NDArray[np.int32], layout: Layout, window: Window, rows: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Like `prefill`, in the very steps of the decoder."""
    if not layout.count:
        return
    inputs = layout.inputs(tokens, session.model.start)
    steps = Steps(session, layout.streams, layout.steps, window, rows)
    for span in spans(layout.steps, window, 1):
        indices = layout.at(span.start)
        yield indices, steps.evaluate(span, inputs[indices])


def prefill(
    session: Session,
    tokens: NDArray[np.int32],
    layout: Layout,
    window: Window,
    rows: int = 1,
    lead: NDArray[np.int32] | None = None,
    groups: Iterable[slice] | None = None,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Logits of every token of a block, as pairs (indices, logits).

    logits, shape (rows, V), are what the model predicts for tokens[indices]; they are valid until the next pair.
    Streams are evaluated in groups, so that spans of a few positions still make full batches.
    rows > 1: for exact files, whose steps have so many rows. No batch has fewer, streams go one by one (llama.cpp would
    cut a batch of unequal ones into pieces of any size), and the last row of each span is evaluated once more in a
    step, and must come out the same to the bit. Raises Disagreement if not.
    lead: what every stream is fed first, the start token and more; None: the start token. Not in exact files.
    groups: streams to evaluate, of those that `groups_of` gives; None: all.
    """
    if not layout.count:
        return
    before, first_input = _led(session.model.start, lead)
    inputs, starts, lengths = layout.inputs(tokens, first_input), layout.starts, layout.lengths
    most = _rows_at_once(session)
    all_groups = groups_of(session, layout, window, rows)
    group = all_groups[0].stop
    most = min(most // group, window.context)
    context = min(window.context, len(before) + layout.steps)
    evaluator = session.evaluator(group, context + rows - 1, max(group * most, rows))
    for members in all_groups if groups is None else groups:
        first = members.start
        evaluator.clear()
        _read(evaluator, before, members.stop - first, most)
        for span in spans(int(lengths[first]), window, most, len(before)):
            if span.slide:
                evaluator.slide(members.stop - first, window.drop)
            indices, positions, slots = _rows(span, starts[members], lengths[members])
            if rows == 1:
                yield indices, evaluator.evaluate(inputs[indices], positions, slots)
                continue
            logits = _evaluate_padded(evaluator, inputs[indices], span.position, rows, session.model.start)
            last = logits[-1].copy()
            yield indices, logits
            at = span.position + len(indices) - 1
            evaluator.discard(1, at)
            again = _evaluate_padded(evaluator, inputs[indices[-1:]], at, rows, session.model.start)
            if not np.array_equal(again[0].view(np.uint32), last.view(np.uint32)):
                raise Disagreement


def groups_of(session: Session, layout: Layout, window: Window, rows: int = 1, lanes: int = 1) -> list[slice]:
    """The streams that `prefill` evaluates together; lanes: at least so many groups, where there are streams for them."""
    most = _rows_at_once(session) // window.drop if rows == 1 else 1
    group = max(1, min(most, -(-layout.streams // lanes)))
    return [slice(first, min(first + group, layout.streams)) for first in range(0, layout.streams, group)]


def _led(start: int, lead: NDArray[np.int32] | None) -> tuple[NDArray[np.int32], int]:
    """Of what a stream is fed first, all but the last token, (n,), and the last one, after which its own first token comes."""
    return (np.empty(0, np.int32), start) if lead is None else (lead[:-1], int(lead[-1]))


def _rows_at_once(session: Session) -> int:
    """Rows of one evaluation where nothing else bounds them."""
    return min(ROWS, max(_FEWEST_ROWS, _LOGITS // len(session.model.pieces)))


def _read(evaluator: Evaluator, tokens: NDArray[np.int32], streams: int, most: int) -> None:
    """Feed the same tokens to each of the streams, whose caches are empty, at most `most` at once."""
    for first in range(0, len(tokens), max(1, most)):
        some = tokens[first : first + most]
        positions = first + np.arange(len(some), dtype=np.int32)
        slots = np.repeat(np.arange(streams, dtype=np.int32), len(some))
        evaluator.evaluate(np.tile(some, streams), np.tile(positions, streams), slots)


def _evaluate_padded(
    evaluator: Evaluator, tokens: NDArray[np.int32], position: int, rows: int, filler: int
) -> NDArray[np.float32]:
    """Logits of a span of the only stream, in a batch of at least so many rows; the logits stay valid as usual."""
    count = len(tokens)
    padded = np.concatenate([tokens, np.full(max(0, rows - count), filler, np.int32)])
    positions = position + np.arange(len(padded), dtype=np.int32)
    logits = evaluator.evaluate(padded, positions, np.zeros(len(padded), np.int32))
    if len(padded) > count:
        evaluator.discard(1, position + count)
    return logits[:count]


def _rows(
    span: Span, starts: NDArray[np.intp], lengths: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
    """Token indices, cache positions and stream slots of a span's rows, stream by stream."""
    counts = np.minimum(span.stop, lengths) - span.start
    slots = np.repeat(np.arange(len(starts)), counts)
    offsets = np.concatenate([np.arange(count) for count in counts.tolist()])
    return starts[slots] + span.start + offsets, (span.position + offsets).astype(np.int32), slots.astype(np.int32)
