"""Codecs for the whole process: every model is loaded once, whoever asks for it."""

from __future__ import annotations

import atexit
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from llmzip.codec.codec import Codec
from llmzip.codec.settings import Settings

_MOST = 4  # models held at once

_lock = threading.Lock()
_codecs: OrderedDict[tuple[object, ...], Codec] = OrderedDict()


def shared_codec(settings: Settings | None = None, **options: Any) -> Codec:
    """A codec of these settings (options as for `Settings`), which loads no model that another one has loaded.

    Codecs share what they load where model, threads, exact and gpu_layers are the same; so do threads. A model that is given
    loaded is the caller's. Raises UsageError.
    """
    settings = settings or Settings(**options)
    if settings.loaded:
        return Codec(settings=settings)
    model = settings.named
    if model is not None and Path(model).exists():
        model = os.path.abspath(model)  # the folder may change
    key = (str(model), settings.threads, settings.exact, settings.gpu_layers, settings.show_downloads)
    idle = None
    with _lock:
        if key in _codecs:
            _codecs.move_to_end(key)
        else:
            _codecs[key] = Codec(settings=settings)
            if len(_codecs) > _MOST:
                _, idle = _codecs.popitem(last=False)
        codec = Codec(settings=settings, sharing=_codecs[key])
    if idle:
        idle.close()
    return codec


@atexit.register
def _close() -> None:
    """Free the models while the libraries that own them are still there."""
    for codec in _codecs.values():
        if codec.choice.lock.acquire(blocking=False):  # else a thread that nobody waits for is at work
            if not codec.choice.place.borrowers:
                codec.close()
            codec.choice.lock.release()


def _forked() -> None:
    """In a forked process: the thread that held the lock is not there any more."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
