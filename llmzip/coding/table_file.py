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
        data, found, _ = packaged.read(path)
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


EARLIER = FILE.parent / "earlier"
"""Tables of earlier versions with the starts that go with them, each pair in a folder that is named by its identity."""


def find_table(identity: bytes) -> Table:
    """The table that a file needs. Raises ModelError, naming its identity."""
    return embedded_table() if identity == IDENTITY else _earlier(identity)[0]


def find_start(identity: bytes) -> start_file.Start:
    """The start that goes with the table that a file needs. Raises ModelError."""
    return start_file.embedded_start() if identity == IDENTITY else _earlier(identity)[1]


@cache
def _earlier(identity: bytes) -> tuple[Table, start_file.Start]:
    folder = EARLIER / identity.hex()
    files = folder / FILE.name, folder / start_file.FILE.name
    if not all(file.is_file() for file in files):
        raise ModelError(
            f"made with the table of n-grams {identity.hex()}, which this llmzip does not have (its own is {IDENTITY.hex()}): "
            "use the version of llmzip that made the file"
        )
    table, start = (packaged.read(file).identity for file in files)
    if packaged.identity_of(table + start) != identity:
        raise ModelError(f"{folder} is not the table of n-grams {identity.hex()}, or is damaged; reinstall llmzip")
    return open_table(files[0], table), start_file.open_start(files[1], start)
