"""Settings as a configuration in JSON, as numcodecs and zarr store it beside the data."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from llmzip.codec.codec import Codec
from llmzip.codec.settings import Settings
from llmzip.files.shared import shared_codec

STORED = ("level", "model", "mix", "streams", "window", "exact", "block_size")
"""Settings that decide the bytes; the others are a machine's affair."""


class Configured:
    """A codec whose settings are a configuration. model: by name or path, not loaded. Raises UsageError, TypeError."""

    def __init__(self, options: dict[str, Any]) -> None:
        unknown = options.keys() - set(STORED)
        if unknown:
            raise TypeError(f"no setting of a file: {', '.join(sorted(unknown))}; there are {', '.join(STORED)}")
        if options.get("model") is not None:
            options = {**options, "model": str(options["model"])}
        self._settings = Settings(**options)

    @property
    def configuration(self) -> dict[str, Any]:
        """The level, and what is not as by default; all JSON."""
        unchanged = {field.name: field.default for field in fields(Settings)}
        values = {name: getattr(self._settings, name) for name in STORED}
        return {name: value for name, value in values.items() if name == "level" or value != unchanged[name]}

    @property
    def codec(self) -> Codec:
        """The process's codec of these settings; safe in several threads."""
        return shared_codec(self._settings)
