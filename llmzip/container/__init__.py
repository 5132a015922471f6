"""The `.llmz` file format: members of blocks, with checks, an index and a digest (see `docs/format.md`).

Payloads are opaque here: this package frames, checks and finds them. `classic` codes the blocks that need no model.
"""

from __future__ import annotations

from llmzip.container.format import (
    CODER,
    MAX_BLOCK,
    MAX_EXPANSION,
    TAG_NAME,
    TAG_PROBE,
    BlockKind,
    Header,
)
from llmzip.container.index import BlockEntry, MemberEntry, read_index
from llmzip.container.reader import Block, Footer, read_members
from llmzip.container.streams import read_piece, write_all
from llmzip.container.writer import MemberSummary, MemberWriter

__all__ = [
    "CODER",
    "MAX_BLOCK",
    "MAX_EXPANSION",
    "TAG_NAME",
    "TAG_PROBE",
    "Block",
    "BlockEntry",
    "BlockKind",
    "Footer",
    "Header",
    "MemberEntry",
    "MemberSummary",
    "MemberWriter",
    "read_index",
    "read_members",
    "read_piece",
    "write_all",
]
