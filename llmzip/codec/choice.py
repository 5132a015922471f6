"""Which model codes: for a new file the one that the user named, for a file at hand the one that it needs.

One model is held at a time, with what was found out about it: its pipeline and the proofs of its arithmetic. Codecs may
share the place where it is held.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Agreement, Coding, coding_of, tell_exact
from llmzip.codec.context import MOST_KEPT, Context, Named
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.settings import Settings
from llmzip.coding.table_file import IDENTITY as TABLE
from llmzip.container.format import NO_MODEL, TAG_NAME, Header
from llmzip.errors import ArithmeticMismatchError, ContextError, CorruptError, LlmzipWarning, ModelError
from llmzip.model import embedded
from llmzip.model.base import LanguageModel, Window
from llmzip.model.drift import GPU as GPU_DRIFT
from llmzip.model.threads import bounded, may_begin, usable_cores
from llmzip.text.embedded_vocabulary import pieces

if TYPE_CHECKING:
    from llmzip.codec import locate
    from llmzip.codec.arithmetic import Probe
    from llmzip.codec.evaluation import Session
    from llmzip.codec.gpu import Gpu


@dataclass
class _Held:
    """A loaded model. proven: probes that this machine was seen to reproduce with it; made: the one for new files."""

    session: Session
    chosen: bool  # it is what the user named, not merely what a file needed
    found: locate.Found | None = None  # where it came from; None for a model that was given loaded
    pipeline: BlockPipeline | None = None
    gpu: Gpu | None = None
    made: Probe | None = None
    proven: list[Probe] = field(default_factory=list)

    def serves(self, identity: bytes, exact: bool) -> bool:
        """Whether it is this model, evaluated in this way."""
        return (self.session.model.identity, self.session.model.exact) == (identity, exact)


class Place:
    """Where one loaded model is held; a codec's own, or shared by several that name the same model."""

    def __init__(self) -> None:
        self.held: _Held | None = None
        self.make_lock()
        _places.add(self)

    def make_lock(self) -> None:
        """A lock that nobody holds."""
        self.lock = threading.RLock()
        self.borrowers = self._leaving = 0  # threads that work with the model without the lock; that wait to let it go
        self._change = threading.Condition(self.lock)

    def borrow(self, most: int) -> None:
        """Wait until fewer than `most` work with the model, and nobody wants another one. The lock is held, but not meanwhile."""
        while self._leaving or self.borrowers >= most:
            self._change.wait()

    def give_back(self) -> None:
        """Somebody who was counted in `borrowers` is done."""
        with self.lock:
            self.borrowers -= 1
            self._change.notify_all()

    def await_borrowers(self) -> None:
        """Wait until nobody works with the model. The lock is held, but not meanwhile."""
        self._leaving += 1
        try:
            while self.borrowers:
                self._change.wait()
        finally:
            self._leaving -= 1
            self._change.notify_all()


_places: weakref.WeakSet[Place] = weakref.WeakSet()
_left: list[_Held | None] = []


def _forked() -> None:
    """A forked process loads its own: threads that held a lock or were at work with a model are not there any more."""
    for place in _places:
        _left.append(place.held)  # not to be freed either
        place.held = None
        place.make_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class ModelChoice:
    """Answers `for_writing` and `for_reading`, and loads models when an answer or a pipeline needs one.

    Whoever works with the model or asks for one holds `lock`, from the question on until the block is done, or has the model
    lent: another thread, or another file of the same thread, may need another model next. Pipelines without a network need no lock.
    """

    def __init__(self, settings: Settings, place: Place | None = None) -> None:
        self._settings = settings
        self.place = place or Place()
        self._alone: BlockPipeline | None = None
        self._context: Context | None = None

    @property
    def lock(self) -> threading.RLock:
        """Held while the model is loaded, used or let go."""
        return self.place.lock

    @property
    def _held(self) -> _Held | None:
        return self.place.held

    @_held.setter
    def _held(self, held: _Held | None) -> None:
        self.place.held = held

    @property
    def session(self) -> Session:
        """The model held; at first the one that the user named. Raises ModelError, UsageError."""
        return self._hold().session

    @property
    def idle(self) -> bool:
        """Whether no model is loaded."""
        return self._held is None

    def for_writing(self) -> Agreement:
        """How a new file is coded. The embedded model in portable mode is not loaded for that. Raises ModelError."""
        if self._held and not self._held.chosen and not self._is_default(self._held):
            self.close()
        settings = self._settings
        if not settings.network:
            return Agreement(NO_MODEL, Coding(None, 0, True, table=TABLE, context=self._named()))
        table = TABLE if settings.mix else b""
        if settings.model is None and not settings.exact:
            return Agreement(
                embedded.IDENTITY, replace(self._portable(embedded.WINDOW, embedded.WINDOW.context), table=table)
            )
        from llmzip.codec import arithmetic

        held = self._hold()
        model = held.session.model
        extras = {} if model.identity == embedded.IDENTITY else {TAG_NAME: model.name.encode()}
        if table and tuple(model.pieces) != pieces():
            table = b""
        coding = replace(self._portable(model.window, model.trained), table=table)
        if model.exact:
            held.made = held.made or arithmetic.probe(held.session)
            tell_exact(model.name, asked=bool(settings.exact or settings.loaded))
            return Agreement(model.identity, replace(coding, tolerance=0, probe=held.made), extras)
        if model.identity == embedded.IDENTITY:
            return Agreement(model.identity, coding, extras)
        tolerance = self.pipeline(coding).measured_tolerance()
        if tolerance <= arithmetic.MOST_TOLERANCE:
            return Agreement(model.identity, replace(coding, tolerance=tolerance), extras)
        if settings.exact is False or settings.loaded:
            raise ModelError(
                f"the arithmetic of {model.name} varies too much for portable files, even in F32; use --exact"
            )
        self.close()
        self._hold(exact=True)
        return self.for_writing()

    def resume(self, agreement: Agreement) -> BlockPipeline:
        """The pipeline of a file that was begun under this agreement, with its network; other files may have come between.

        Raises ModelError.
        """
        if self._held and not self._held.serves(agreement.identity, agreement.coding.exact):
            self.close()
        if agreement.coding.window and not self._hold(agreement.coding.exact).serves(
            agreement.identity, agreement.coding.exact
        ):
            raise ModelError("the model has been replaced since the file was begun; compress it again")
        return self.pipeline(agreement.coding)

    def for_reading(self, header: Header, network: bool = True) -> Coding:
        """How blocks of a file are coded, with its network or without it.

        With it, its model is held afterwards and, for exact files, its arithmetic proven. Raises CorruptError, ModelError,
        ArithmeticMismatchError.
        """
        coding = coding_of(header)
        if coding.context:
            self._context_for(coding.context)
        if not network:
            return coding.alone
        if coding.window is None:
            raise CorruptError("a block needs a network and the header names none: the file is damaged")
        held = self._held
        if held is None or not held.serves(header.model, header.exact) or self._drifts_too_far(held, header):
            self.close()
            held = self._held = self._needed(header)
        if coding.probe and coding.probe not in held.proven:
            from llmzip.codec import arithmetic

            with self.unless_replaced():
                arithmetic.require(held.session, coding.probe)
            held.proven.append(coding.probe)
        return coding

    @contextlib.contextmanager
    def unless_replaced(self) -> Iterator[None]:
        """Before drift or damage is blamed within the `with`, the model's file is read anew: it may have been replaced.

        Raises ModelError in place of ArithmeticMismatchError and CorruptError.
        """
        try:
            yield
        except (ArithmeticMismatchError, CorruptError):
            held = self._held
            if held and held.found:
                from llmzip.codec import locate

                locate.unchanged(held.found, held.session.model.identity)
            raise

    def pipeline(self, coding: Coding) -> BlockPipeline:
        """The pipeline of the model held, kept from block to block; without a network, that of the table alone."""
        if coding.window is None:
            alone = self._alone
            if alone is None or alone.coding != coding:
                alone = self._alone = BlockPipeline(None, coding, self._context_of(coding))
            return alone
        held = self._hold()
        if held.pipeline is None or held.pipeline.coding != coding:
            held.pipeline = BlockPipeline(held.session, coding, self._context_of(coding))
        return held.pipeline

    @contextlib.contextmanager
    def lent(
        self, ask: Callable[[], BlockPipeline], alone: Callable[[], bool], size: int = 0
    ) -> Iterator[BlockPipeline]:
        """The pipeline that `ask` gives, called with the lock held, for one block of so many bytes.

        Several threads may have one model at once, each with caches of its own, where it has lanes for them, or on a GPU one after the
        other; else the lock is held all the time. alone: whether no other block is in work, so that this one may use all lanes; asked
        again now and then.
        """
        with self.lock:
            self.place.borrow(bounded(self._settings.threads) or usable_cores())
            pipeline = ask()
            gpu = self._gpu(pipeline, size)
            if not gpu and (not (pipeline.network and pipeline.session.shared) or pipeline.coding.exact):
                yield pipeline
                return
            self.place.borrowers += 1
        try:
            with contextlib.ExitStack() as stack:
                session = stack.enter_context(gpu.lent()) if gpu else None
                yield pipeline.on(session or stack.enter_context(pipeline.session.branch(alone)))
        finally:
            self.place.give_back()

    def _gpu(self, pipeline: BlockPipeline, size: int) -> Gpu | None:
        """The GPU for a block of so many bytes, where the user leaves it open whether one is used."""
        held = self._held
        if held is None or self._settings.gpu_layers is not None or not pipeline.network or pipeline.coding.exact:
            return None
        if held.found is None or held.found.path:
            return None
        from llmzip.codec.gpu import Gpu

        held.gpu = held.gpu or Gpu()
        return held.gpu if held.gpu.serves(pipeline, size) else None

    def shares(self, identity: bytes) -> bool:
        """Whether several threads can have this model at once, as far as is known before it is loaded."""
        held, settings = self._held, self._settings
        if held and held.serves(identity, False):
            return held.session.shared
        if settings.loaded:
            its, lanes = settings.loaded.identity, getattr(settings.loaded, "lanes", 1)
        else:
            its, lanes = embedded.IDENTITY, 1 if settings.gpu_layers else bounded(settings.threads) or usable_cores()
        return its == identity and lanes > 1 and may_begin()

    def close(self) -> None:
        """Let go of the model, when all to whom it is lent are done; a later question loads one again."""
        self.place.await_borrowers()
        if self._held is None:
            return
        if self._held.gpu:
            self._held.gpu.close()
        if self._held.session.model is self._settings.loaded:
            self._held.session.release()
        else:
            self._held.session.close()
        self._held = None

    @property
    def context(self) -> Context | None:
        """The text that both sides have; None where none was given. Raises ContextError where it cannot be read."""
        if self._context is None and self._settings.context is not None:
            self._context = Context.of(self._settings.context)
        return self._context

    def _named(self) -> Named | None:
        """What new files say of the context."""
        context = self.context
        if context is None:
            return None
        if not context.text:
            warnings.warn("the context is empty: nothing builds on it", LlmzipWarning, stacklevel=2)
            return None
        if context.named.length > MOST_KEPT:
            message = f"of the context of {context.named.length:,} bytes only the last {MOST_KEPT >> 20} MiB are used"
            warnings.warn(message, LlmzipWarning, stacklevel=2)
        return context.named

    def _context_for(self, named: Named) -> Context:
        """The context that a file needs. Raises ContextError."""
        if (context := self.context) is None:
            raise ContextError(f"made with a context ({named}): give that text with --context FILE")
        context.require(named)
        return context

    def _context_of(self, coding: Coding) -> Context | None:
        return self._context_for(coding.context) if coding.context else None

    def _portable(self, window: Window, trained: int) -> Coding:
        """The coding of portable files; trained: tokens of context that the model was trained on, 0 if unknown."""
        context = self._settings.window
        if context and trained and context > trained:
            message = (
                f"a window of {context} tokens is more than the {trained} that the model was trained on: files may grow"
            )
            warnings.warn(message, LlmzipWarning, stacklevel=2)
        window = Window(context, window.parts) if context else window
        return Coding(window, PORTABLE_TOLERANCE, self._settings.mix, context=self._named())

    def _is_default(self, held: _Held) -> bool:
        """Whether a model that was loaded for a file is also what a new file takes."""
        settings = self._settings
        return settings.model is None and not settings.exact and held.serves(embedded.IDENTITY, False)

    def _hold(self, exact: bool | None = None) -> _Held:
        if self._held is None:
            from llmzip.codec import locate
            from llmzip.codec.evaluation import Session

            settings = self._settings
            if settings.loaded:
                self._held = _Held(Session(settings.loaded), chosen=True)
            else:
                found = locate.resolve(settings.named, progress=settings.show_downloads)
                model = self._load(found, settings.exact if exact is None else exact)
                self._held = _Held(Session(model), chosen=True, found=found)
        return self._held

    def _needed(self, header: Header) -> _Held:
        """What a file needs. Raises ModelError."""
        from llmzip.codec import locate
        from llmzip.codec.evaluation import Session

        settings = self._settings
        given = settings.loaded
        if given and (given.identity, given.exact) == (header.model, header.exact):
            return _Held(Session(given), chosen=True)
        found = locate.find(header.model, settings.named, header.name, progress=settings.show_downloads)
        held = _Held(Session(self._load(found, header.exact, cpu=self._needs_cpu(header))), chosen=False, found=found)
        have = held.session.model.identity
        if have != header.model:
            held.session.close()
            raise ModelError(
                f"{found.path} was registered as the model {header.model.hex()} and is now {have.hex()}; get the model again"
            )
        return held

    def _needs_cpu(self, header: Header) -> bool:
        """Whether a file may come back wrong from a GPU, and the user leaves it open whether one is used."""
        return self._settings.gpu_layers is None and not header.exact and header.tolerance < GPU_DRIFT

    def _drifts_too_far(self, held: _Held, header: Header) -> bool:
        """Whether a model that was loaded here is on a GPU, and a file needs it on the CPU."""
        model = held.session.model
        return model is not self._settings.loaded and model.on_gpu and self._needs_cpu(header)

    def _load(self, found: locate.Found, exact: bool | None, *, cpu: bool = False) -> LanguageModel:
        from llmzip.codec import locate

        threads, layers = self._settings.threads, 0 if cpu else self._settings.gpu_layers
        # With all cores as without a wish: how many threads of an evaluator help is measured.
        return locate.load(found, threads if threads < usable_cores() else 0, exact=exact, gpu_layers=layers)
