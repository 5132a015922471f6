"""Big files by parts: blocks of one member coded, or decoded, by several workers, then joined into what one would have made.

Parts lie under the target until they are joined, so that a run that is taken up again goes on from them.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from llmzip.codec.cutting import Cutter
from llmzip.codec.summary import Summary
from llmzip.container import MemberWriter, read_index, stored_block
from llmzip.container.streams import PIECE, read_full, read_piece
from llmzip.container.writer import original_digest
from llmzip.errors import CorruptError, LlmzipError
from llmzip.lake.manifest import Line, key_of
from llmzip.lake.places import HIDDEN, Stored, complete_file, join, read_from, store, told, write_complete
from llmzip.lake.planning import Item
from llmzip.lake.work import (
    Failure,
    Report,
    Way,
    check_size,
    check_version,
    codec_of,
    guarded,
    line_of,
    refuse_foreign,
    refuse_other,
)

_PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """The blocks of a file. lengths: bytes of each block's original; digest: of the whole original, in hexadecimal;
    compressed: bytes of the archive, 0 where it is yet to be made."""

    lengths: tuple[int, ...]
    digest: str
    characters: int | None
    compressed: int = 0


@dataclass(frozen=True)
class Part:
    """A range of blocks that is done, by their numbers."""

    start: int
    stop: int


def folder_of(way: Way, item: Item) -> str:
    """Where the parts of a file lie until they are joined."""
    return join(way.target, f"{HIDDEN}/parts/{_key(way, item).hex()}")


def _key(way: Way, item: Item) -> bytes:
    return key_of(item.entry.url, item.entry.stamp, item.target, way.label)


def plan(way: Way, item: Item) -> tuple[Plan, list[Part]] | Failure:
    """The blocks of a file, and which of them lie there from an earlier run. Raises `LlmzipError` for what concerns all files."""
    check_version(way)
    made: list[Plan] = []

    def step() -> Line:
        made.append(_known_plan(way, item) or _new_plan(way, item))
        return line_of(way, item, Summary(), "", time.monotonic())

    result = guarded(item.entry.url, step)
    return result if isinstance(result, Failure) else (made[0], _parts_there(way, item))


def _known_plan(way: Way, item: Item) -> Plan | None:
    url = join(folder_of(way, item), _PLAN)
    fs, path = store(url, way.writing)
    fs.invalidate_cache()
    if not fs.exists(path):
        return None
    with read_from(url, way.writing) as file:
        values = json.loads(file.read())
    return Plan(**values | {"lengths": tuple(values["lengths"])})


def _new_plan(way: Way, item: Item) -> Plan:
    if way.operation == "compress":
        refuse_foreign(way, item.target)
        made = _cut(way, item)
    else:
        made = _listed(way, item)
    write_complete(join(folder_of(way, item), _PLAN), way.writing, json.dumps(asdict(made)).encode())
    return made


def _cut(way: Way, item: Item) -> Plan:
    """The blocks that the original will be coded in: reads it once."""
    cutter = Cutter(codec_of(way).settings.block_bytes)
    digest, summary, lengths = original_digest(), Summary(), []

    def count(block: bytes) -> None:
        digest.update(block)
        summary.count_text(block)
        lengths.append(len(block))

    with read_from(item.entry.url, way.reading) as file:
        while piece := read_piece(file, PIECE):
            for block in cutter.feed(piece):
                count(block)
    for block in cutter.finish():
        count(block)
    check_size(item.entry, summary.original)
    return Plan(tuple(lengths), digest.hexdigest(), summary.characters)


def _listed(way: Way, item: Item) -> Plan:
    """The blocks that an archive has, by its index."""
    with read_from(item.entry.url, way.reading) as file:
        members = read_index(file)
        size = file.tell() if item.entry.size < 0 else item.entry.size
    lengths = tuple(block.original_length for member in members for block in member.blocks)
    return Plan(lengths, "", None, size)


def _parts_there(way: Way, item: Item) -> list[Part]:
    fs, path = store(folder_of(way, item), way.writing)
    names = [name.rpartition("/")[2] for name in fs.find(path)]
    return sorted((Part(*map(int, name.split("-"))) for name in names if name != _PLAN), key=lambda part: part.start)


def _part_url(way: Way, item: Item, part: Part) -> str:
    return join(folder_of(way, item), f"{part.start:08}-{part.stop:08}")


def do_part(way: Way, item: Item, plan: Plan, part: Part) -> Report:
    """Code or decode some blocks and leave them under the target. Raises `LlmzipError` for what concerns all files."""
    check_version(way)
    began, report = time.monotonic(), Report()

    def step() -> Line:
        done = _coded(way, item, plan, part) if way.operation == "compress" else _decoded(way, item, part)
        write_complete(_part_url(way, item, part), way.writing, done)
        return line_of(way, item, Summary(), "", began)

    result = guarded(item.entry.url, step)
    if isinstance(result, Failure):
        report.failures.append(result)
    report.seconds = time.monotonic() - began
    return report


def _coded(way: Way, item: Item, plan: Plan, part: Part) -> bytes:
    """The blocks as they stand in a member, behind a line with their lengths."""
    coder, stored = codec_of(way).block_coder(), []
    with read_from(item.entry.url, way.reading, sum(plan.lengths[: part.start])) as file:
        for length in plan.lengths[part.start : part.stop]:
            block = read_full(file, length)
            if len(block) != length:
                raise LlmzipError("became shorter while it was read")
            coded = coder.code(block)
            stored.append(stored_block(coded.kind, block, coded.payload))
    return b"".join([json.dumps([len(each) for each in stored]).encode(), b"\n", *stored])


def _decoded(way: Way, item: Item, part: Part) -> bytes:
    codec, number, originals = codec_of(way), 0, []
    with read_from(item.entry.url, way.reading) as file:
        for member in read_index(file):
            for at in range(len(member.blocks)):
                if part.start <= number < part.stop:
                    originals.append(codec.decode_indexed(file, member, at))
                number += 1
    return b"".join(originals)


def join_parts(way: Way, item: Item, plan: Plan, parts: list[Part]) -> Report:
    """One complete output from the parts, which are removed; its line in the manifest."""
    check_version(way)
    began, report = time.monotonic(), Report()

    def step() -> Line:
        try:
            summary, digest = (_archive if way.operation == "compress" else _original)(way, item, plan, parts)
        except (OSError, LlmzipError):
            # Done twice, where a worker or the scheduler died meanwhile: the parts go when the manifest has the line.
            known = way.manifest.find(_key(way, item))
            if known and item.target in Stored(way.writing):
                return known
            raise
        made = line_of(way, item, summary, digest, began)
        way.manifest.add([made])
        fs, path = store(folder_of(way, item), way.writing)
        with contextlib.suppress(FileNotFoundError):
            fs.rm(path, recursive=True)
        return made

    result = guarded(item.entry.url, step)
    if isinstance(result, Failure):
        report.failures.append(result)
    else:
        report.lines.append(result)
    return report


def _archive(way: Way, item: Item, plan: Plan, parts: list[Part]) -> tuple[Summary, str]:
    with complete_file(item.target, way.writing) as sink:
        writer = MemberWriter(sink, codec_of(way).member_header())
        number = 0
        for part in parts:
            with read_from(_part_url(way, item, part), way.writing) as file:
                for stored_length in json.loads(file.readline()):
                    writer.write_stored(read_full(file, stored_length), plan.lengths[number])
                    number += 1
        made = writer.finish(bytes.fromhex(plan.digest))
        if (made.original, number) != (sum(plan.lengths), len(plan.lengths)):
            raise LlmzipError("parts are missing: run it again")
    return Summary(made.original, made.compressed, plan.characters, made.blocks), plan.digest


def _original(way: Way, item: Item, plan: Plan, parts: list[Part]) -> tuple[Summary, str]:
    """The parts one after the other, where they are what the footers of the members say."""
    with read_from(item.entry.url, way.reading) as file:
        footers = [member.footer for member in read_index(file)]
    whole, summary = original_digest(), Summary()
    pieces = _pieces(way, item, plan, parts)
    with complete_file(item.target, way.writing) as sink:
        for footer in footers:
            digest, count = original_digest(), 0
            while count < footer.original:
                block = next(pieces, b"")
                if not block:
                    raise LlmzipError("parts are missing: run it again")
                sink.write(block)
                digest.update(block)
                whole.update(block)
                summary.count_text(block)
                count += len(block)
            if digest.digest() != footer.digest or count != footer.original:
                raise CorruptError("the restored text is not what the archive was made from: the file is damaged")
        summary.compressed = plan.compressed
        refuse_other(way, item.target, whole.digest())
    return summary, whole.hexdigest()


def _pieces(way: Way, item: Item, plan: Plan, parts: list[Part]) -> Iterator[bytes]:
    for part in parts:
        with read_from(_part_url(way, item, part), way.writing) as file, told(item.entry.url):
            for length in plan.lengths[part.start : part.stop]:
                yield read_full(file, length)
