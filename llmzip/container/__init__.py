"""The `.llmz` file format: members of blocks, with checks, an index and a digest (see `docs/format.md`).

Payloads are opaque here: this package frames, checks and finds them. `classic` codes the blocks that need no model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmzip.container.fields import Fields
    from llmzip.container.format import (
        CODER,
        MAX_BLOCK,
        MAX_EXPANSION,
        NO_MODEL,
        TAG_CONTEXT,
        TAG_NAME,
        TAG_PROBE,
        TAG_TABLE,
        BlockKind,
        Header,
    )
    from llmzip.container.index import BlockEntry, BlockPlace, MemberEntry, read_index, read_indexed_block, read_places
    from llmzip.container.reader import Block, Footer, MemberReader, read_members
    from llmzip.container.streams import read_piece, write_all
    from llmzip.container.writer import MemberSummary, MemberWriter, original_digest, stored_block

__all__ = [
    "CODER",
    "MAX_BLOCK",
    "MAX_EXPANSION",
    "NO_MODEL",
    "TAG_CONTEXT",
    "TAG_NAME",
    "TAG_PROBE",
    "TAG_TABLE",
    "Block",
    "BlockEntry",
    "BlockKind",
    "BlockPlace",
    "Fields",
    "Footer",
    "Header",
    "MemberEntry",
    "MemberReader",
    "MemberSummary",
    "MemberWriter",
    "original_digest",
    "read_index",
    "read_indexed_block",
    "read_members",
    "read_piece",
    "read_places",
    "stored_block",
    "write_all",
]

_HOMES = {  # of the names, which load when they are first used: whoever writes needs no reader
    "Fields": "fields",
    "CODER": "format",
    "MAX_BLOCK": "format",
    "MAX_EXPANSION": "format",
    "NO_MODEL": "format",
    "TAG_CONTEXT": "format",
    "TAG_NAME": "format",
    "TAG_PROBE": "format",
    "TAG_TABLE": "format",
    "BlockKind": "format",
    "Header": "format",
    "BlockEntry": "index",
    "BlockPlace": "index",
    "MemberEntry": "index",
    "read_index": "index",
    "read_indexed_block": "index",
    "read_places": "index",
    "Block": "reader",
    "Footer": "reader",
    "MemberReader": "reader",
    "read_members": "reader",
    "read_piece": "streams",
    "write_all": "streams",
    "MemberSummary": "writer",
    "MemberWriter": "writer",
    "original_digest": "writer",
    "stored_block": "writer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
