"""Files for pictures and pages: whether they can be written is checked before the work begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from llmzip.errors import LlmzipError, UsageError


def check_target(path: str | None, suffixes: Sequence[str], *, force: bool) -> None:
    """Find out before an hour of work whether a file can be written. Raises UsageError, LlmzipError."""
    if path is None:
        return
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: the name must end in {' or '.join(suffixes)}")
    if not target.parent.is_dir():
        raise LlmzipError(f"{path}: there is no folder {target.parent}")
    if target.is_dir() or (target.exists() and not target.is_file()):
        raise LlmzipError(f"{path} is no regular file: name another")
    if os.path.lexists(target) and not force:
        raise LlmzipError(f"{path} already exists: nothing done; use -f to overwrite it")
    if not os.access(target.parent, os.W_OK):
        raise LlmzipError(f"{path}: no permission to write to {target.parent}")


def require_matplotlib() -> None:
    """Raises LlmzipError where pictures cannot be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise LlmzipError("--plot needs matplotlib: pip install 'llmzip[plot]'") from None
