"""The `.llmz` file format: members of blocks, with checks, an index and a digest (see `docs/format.md`).

Payloads are opaque here: this package frames, checks and finds them. `classic` codes the blocks that need no model.
"""

from __future__ import annotations

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
