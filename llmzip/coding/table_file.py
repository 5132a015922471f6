"""The table of n-grams inside the package: mapped, so that all processes share it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from llmzip.coding import _mixer, packaged, start_file
from llmzip.errors import ModelError

Table = _mixer.Table

FILE = packaged.TABLE

TABLE_IDENTITY = bytes.fromhex("0f267dba32ed31a1")

# format: what files name, the table and the mixer's start together (docs/format.md).
IDENTITY = packaged.identity_of(TABLE_IDENTITY + start_file.IDENTITY)


def open_table(path: Path, identity: bytes) -> Table:
    """A table from its file. Raises ModelError where it is missing, damaged, of another version or another one."""
    try:
        data, found = packaged.read(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the table of n-grams {identity.hex()} cannot be read ({path}: {error}); reinstall llmzip"
        ) from None
    if found != identity:
        raise ModelError(f"{path} is not the table of n-grams {identity.hex()}, or is damaged; reinstall llmzip")
    try:
        return Table(data)
    except ValueError as error:
        raise ModelError(f"{path}: the table of n-grams {identity.hex()} {error}; reinstall llmzip") from None


@cache
def embedded_table() -> Table:
    """The table inside the package, opened once. Raises ModelError."""
    return open_table(FILE, TABLE_IDENTITY)


def find_table(identity: bytes) -> Table:
    """The table that a file needs. Raises ModelError, naming its identity."""
    if identity != IDENTITY:
        raise ModelError(
            f"made with the table of n-grams {identity.hex()}, which this llmzip does not have (its own is {IDENTITY.hex()}): "
            "use the version of llmzip that made the file"
        )
    return embedded_table()
