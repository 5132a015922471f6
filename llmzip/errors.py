"""The errors that llmzip raises on purpose, one class for each exit code of the command line.

Every message is one line for the user: what is wrong, where (block, offset) and what to do about it.
"""

from __future__ import annotations


class LlmzipError(Exception):
    """Base of all llmzip errors; on its own, a failure of the environment (unreadable file, full disk)."""

    exit_code = 1


class UsageError(LlmzipError, ValueError):
    """Options or arguments that contradict each other or lie outside their range."""

    exit_code = 2


class CorruptError(LlmzipError):
    """The compressed input is damaged, truncated, or not in a format that this version reads."""

    exit_code = 3


class TruncatedError(CorruptError, EOFError):
    """The compressed input ends too early. missing: bytes that it lacks at least."""

    def __init__(self, message: str, missing: int = 1) -> None:
        super().__init__(message)
        self.missing = missing


class ModelError(LlmzipError):
    """The model cannot be found or loaded, or is not the one that the file was made with."""

    exit_code = 4


class ContextError(LlmzipError):
    """The context that a file was made with is missing, cannot be read, or is another one."""

    exit_code = 4


class ArithmeticMismatchError(LlmzipError):
    """This machine's floating-point arithmetic cannot reproduce what the file needs."""

    exit_code = 5


class LlmzipWarning(UserWarning):
    """Something that the user should know and that stops nothing; the command line prints it as a notice."""


class UnusedModelWarning(LlmzipWarning):
    """The model that was named is not the one that the file needs, which was found elsewhere."""
