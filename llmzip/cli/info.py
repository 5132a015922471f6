"""`llmzip info`: what a compressed file holds, told from its headers, block heads and footers alone.

The JSON document is an object with the keys `llmzip` (version of the program) and `files`, a list with one object for
each file that could be read; its keys are described in `docs/cli.md` and come from `describe_file`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from llmzip.cli.files import Input, require_output
from llmzip.cli.run import Run, name_of
from llmzip.container import NO_MODEL, TAG_CONTEXT, TAG_TABLE
from llmzip.container.format import VERSION, BlockKind, Header
from llmzip.container.index import BlockEntry, MemberEntry, list_members, read_index
from llmzip.container.streams import Cursor
from llmzip.errors import LlmzipError
from llmzip.version import __version__


def show(files: Iterable[str], session: Run) -> int:
    """Print a table or a JSON document on `files`; the exit code. Raises `OSError` when stdout does not take it."""
    require_output()
    found: list[dict[str, Any]] = []

    def one(path: str | None) -> None:
        with Input(path, follow=True) as source:
            if source.terminal:
                raise LlmzipError("compressed data is not read from a terminal: name a file or redirect the input")
            described = describe_file(source.stream, seekable=source.size is not None)
        described = {"file": name_of(path) if path is None else path} | described
        found.append(described)
        if not session.options.json:
            session.writing_stdout = True  # where that breaks off, nobody wants the rest
            print(table(described, name_of(path)), flush=True)

    code = session.for_each(files, one)
    if session.options.json:
        print(json.dumps({"llmzip": __version__, "files": found}, indent=2))
    return code


def describe_file(source: BinaryIO, *, seekable: bool) -> dict[str, Any]:
    """The facts on one compressed file, as they go into the JSON document. Raises `CorruptError`, `OSError`."""
    members = read_index(source) if seekable else list_members(source)
    original = sum(member.footer.original for member in members)
    compressed = sum(member.size for member in members)
    return {
        "format": VERSION,
        "original": original,
        "compressed": compressed,
        "ratio": round(original / compressed, 4) if original else None,
        "bits_per_byte": round(8 * compressed / original, 4) if original else None,
        "blocks": _blocks([block for member in members for block in member.blocks]),
        "members": [_member(member, source if seekable else None) for member in members],
    }


def _member(member: MemberEntry[BlockEntry], source: BinaryIO | None) -> dict[str, Any]:
    header = member.header
    return {
        "offset": member.offset,
        "compressed": member.size,
        "original": member.footer.original,
        "digest": member.footer.digest.hex(),
        "model": _model(header),
        "table": _table(header),
        "shared": _shared(header),
        "mode": "exact" if header.exact else "portable",
        "mixing": header.mixing,
        "continued": header.continued,
        "coder": header.coder,
        "tolerance": header.tolerance / 1e6,
        "context": header.context,
        "parts": header.parts,
        "coding": _coding_facts(source, member.blocks) if source else None,
        "blocks": _blocks(member.blocks),
    }


def _model(header: Header) -> dict[str, Any] | None:
    if header.model == NO_MODEL:
        return None
    return {"identity": header.model.hex(), "name": header.name or None, "at_hand": model_at_hand(header)}


def _table(header: Header) -> dict[str, Any] | None:
    """The table of n-grams that the member's mixer uses."""
    from llmzip.codec.locate import table_at_hand

    identity = header.extras.get(TAG_TABLE)
    return {"identity": identity.hex(), "at_hand": table_at_hand(identity)} if identity else None


def _shared(header: Header) -> dict[str, Any] | None:
    """The text that the member builds on."""
    from llmzip.codec.context import Named

    extra = header.extras.get(TAG_CONTEXT)
    if extra is None:
        return None
    named = Named.unpack(extra)
    return {"identity": named.identity.hex(), "length": named.length}


def _blocks(blocks: Sequence[BlockEntry]) -> dict[str, dict[str, int]]:
    """Number and sizes of the blocks of each kind that occurs."""
    kinds: dict[str, dict[str, int]] = {}
    for block in blocks:
        totals = kinds.setdefault(block.kind.name.lower(), {"count": 0, "original": 0, "compressed": 0})
        totals["count"] += 1
        totals["original"] += block.original_length
        totals["compressed"] += block.stored_length
    return kinds


def model_at_hand(header: Header) -> bool:
    """Whether the model that a file needs can be found without being named; loads no model."""
    from llmzip.codec.locate import at_hand

    return at_hand(header.model)


def _coding_facts(source: BinaryIO, blocks: Sequence[BlockEntry]) -> dict[str, int] | None:
    """Tokens of all model blocks, the most streams of one, and how many rest on the network and how many on the table alone;
    None without such blocks. Raises `CorruptError`."""
    from llmzip.codec.head import BlockHead

    tokens, streams = 0, 0
    by = {True: 0, False: 0}
    for block in blocks:
        if block.kind is BlockKind.MODEL:
            source.seek(block.payload_offset)
            payload = Cursor(source, block.payload_offset, f"the model block at byte {block.offset}")
            its_tokens, its_streams, network = BlockHead.counts(payload.take, payload.place)
            tokens += its_tokens
            streams = max(streams, its_streams)
            by[network] += 1
    return {"tokens": tokens, "streams": streams, "network": by[True], "table": by[False]} if streams else None


def table(described: dict[str, Any], name: str) -> str:
    """The facts of `describe_file` for reading; members that share their settings are told together."""
    members = described["members"]
    lines = [f"{name}:"]

    def line(label: str, text: str) -> None:
        lines.append(f"  {label:<11}{text}")

    line("format", f"{described['format']}, {_count(len(members), 'member')}")
    line("original", f"{described['original']} bytes")
    sizes = f"{described['compressed']} bytes"
    if described["original"]:
        original, compressed = described["original"], described["compressed"]
        sizes += f", ratio {original / compressed:.3f}, {8 * compressed / original:.3f} bits/byte"
    line("compressed", sizes)
    kinds = [f"{totals['count']} {kind}" for kind, totals in described["blocks"].items()]
    line("blocks", ", ".join(kinds) or "none")
    settings: dict[tuple[tuple[str, str], ...], None] = {}  # in the order of the file, each once
    for member in members:
        mode = [member["mode"]]
        if member["tolerance"]:
            mode.append(f"tolerance {member['tolerance']:g}")
        mode.append("mixing" if member["mixing"] else "no mixing")
        if member["continued"]:
            mode.append("blocks build on each other")
        text = [("model", _named(member["model"], "--model"))]
        if member["table"]:
            text.append(("table", _named(member["table"], "")))
        if member["shared"]:
            shared = member["shared"]
            text.append(
                ("context", f"{shared['identity']}, a text of {shared['length']} bytes: give it with --context")
            )
        text.append(("mode", ", ".join(mode)))
        if member["parts"]:
            text.append(("window", f"{member['context']} tokens, drops 1/{member['parts']} when full"))
        if member["coding"]:
            coding = member["coding"]
            by = [f"{coding[each]} by the {each}" for each in ("network", "table") if coding[each]]
            text.append(
                ("coding", f"{coding['tokens']} tokens, up to {_count(coding['streams'], 'stream')}; {', '.join(by)}")
            )
        settings[tuple(text)] = None
    for facts in settings:
        for label, value in facts:
            line(label, value)
    return "\n".join(lines)


def _named(needed: dict[str, Any] | None, option: str) -> str:
    """A model or a table that a file needs, for people."""
    if needed is None:
        return "none"
    if needed["at_hand"]:
        return f"{needed.get('name') or 'built-in'} ({needed['identity']}), at hand"
    remedy = f": name it with {option}" if option else ": use the llmzip that made the file"
    return f"{needed.get('name') or 'unnamed'} ({needed['identity']}), not at hand{remedy}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
