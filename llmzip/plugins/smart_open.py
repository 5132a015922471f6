"""smart_open: files that end in .llmz are read and written as what they stand for, once this module is imported.

smart_open has no entry points for compressors.
"""

from __future__ import annotations

from typing import IO, Any

from smart_open import register_compressor

from llmzip.files.file import LlmzipFile


def open_llmz(file: IO[bytes], mode: str, **options: Any) -> Any:
    """What smart_open calls; options (its `compression_kwargs`) as for `LlmzipFile`."""
    return LlmzipFile(file, mode.replace("t", ""), **options)  # type: ignore[arg-type]


register_compressor(".llmz", open_llmz)
