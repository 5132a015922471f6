"""A library imported by a thread while native code works: NumPy takes as long to import as a short file takes to code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading

_thread: threading.Thread | None = None


def import_meanwhile(name: str) -> None:
    """Begin to import a module, unless it is there; an `import` of it waits for the rest, and raises what it raises."""
    global _thread
    if name in sys.modules or _thread is not None:
        return
    _thread = threading.Thread(target=_import, args=(name,), name="import")
    try:
        _thread.start()
    except RuntimeError:  # the interpreter shuts down and has no more threads
        _thread = None


def _import(name: str) -> None:
    with contextlib.suppress(Exception):
        importlib.import_module(name)


def _settle() -> None:
    """Before a fork: in the new process nobody would go on with the import, and whoever wants the module would wait for ever."""
    if _thread and _thread.is_alive() and _thread is not threading.current_thread():
        _thread.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_settle)
