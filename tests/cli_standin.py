"""The command with a stand-in for the codec: the real container, classic blocks only, no model.

Run as a program with a JSON object of settings (see `StandIn`) before the arguments of llmzip.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from llmzip.container import Block, BlockKind, Footer, Header, MemberWriter, classic, read_members, write_all
from llmzip.container.streams import read_full
from llmzip.errors import ArithmeticMismatchError, CorruptError, ModelError

HEADER = Header(tolerance=30, context=512, parts=4, model=b"stand-in", extras={2: b"stand-in"})
Report = Callable[[int], None] | None


class StandIn:
    """Same methods as the real codec. Settings: `delay` (seconds a block), `fail` (what to raise), `ready` (a file to
    create once the first block is through), `log` (a file that gets a line for every codec made), `unverified` (blocks
    that did not come back), `repaired` (blocks that were put right)."""

    def __init__(self, block_size: int = 1 << 16, **settings: Any) -> None:
        self.block_size = block_size
        self.settings = settings
        if "log" in settings:
            with open(settings["log"], "a") as log:
                log.write("made\n")
        if settings.get("fail") == "make":
            raise ModelError("no such model: name one with --model")

    def _pause(self) -> None:
        if "ready" in self.settings:
            Path(self.settings["ready"]).touch()
        time.sleep(self.settings.get("delay", 0))
        fail = self.settings.get("fail")
        if fail == "memory":
            raise MemoryError
        if fail == "bug":
            raise ZeroDivisionError("a bug\nin two lines")
        if fail == "arithmetic":
            raise ArithmeticMismatchError("this machine computes otherwise")

    def compress_stream(self, source: BinaryIO, sink: BinaryIO, progress: Report = None) -> SimpleNamespace:
        start = time.monotonic()
        writer = MemberWriter(sink, HEADER)
        ended = False
        while not ended and (data := read_full(source, self.block_size)):
            ended = len(data) < self.block_size
            writer.write_block(BlockKind.ZSTD, data, classic.encode(BlockKind.ZSTD, data))
            if progress:
                progress(len(data))
            self._pause()
        made = writer.finish()
        return self._summary(made.original, made.compressed, made.blocks, start)

    def decompress_stream(self, source: BinaryIO, sink: BinaryIO, progress: Report = None) -> SimpleNamespace:
        start = time.monotonic()
        original = blocks = compressed = 0
        members = read_members(source)
        for event in members:
            if isinstance(event, Block):
                if event.kind not in classic.CLASSIC:
                    raise CorruptError(f"{event.where}: a model block")
                try:
                    data = classic.decode(event.kind, event.payload, event.original_length)
                except CorruptError as error:
                    raise CorruptError(f"{event.where}: {error}") from None
                members.accept(event, data)
                write_all(sink, data)
                original += len(data)
                blocks += 1
                if progress:
                    progress(len(data))
                self._pause()
            elif isinstance(event, Footer):
                compressed = event.end
        return self._summary(original, compressed, blocks, start)

    def member_header(self) -> Header:
        return HEADER

    def decode_block(self, header: Header, block: Block, progress: Report = None) -> tuple[bytes, bool]:
        try:
            data = classic.decode(block.kind, block.payload, block.original_length)
        except CorruptError as error:
            raise CorruptError(f"{block.where}: {error}") from None
        block.verify(data)
        return data, False

    def _summary(self, original: int, compressed: int, blocks: int, start: float) -> SimpleNamespace:
        seconds = time.monotonic() - start
        return SimpleNamespace(
            original=original,
            compressed=compressed,
            characters=original,
            blocks=blocks,
            tokens=0,
            unverified=self.settings.get("unverified", 0),
            repaired=self.settings.get("repaired", 0),
            seconds=seconds,
        )


def command(*arguments: str | os.PathLike[str], **settings: Any) -> list[str]:
    """The command line that runs llmzip with the stand-in."""
    return [sys.executable, __file__, json.dumps(settings), *map(os.fspath, arguments)]


if __name__ == "__main__":
    from llmzip.cli import main, run

    chosen = json.loads(sys.argv[1])
    run.make_codec = lambda options: StandIn(**chosen)
    main.main(sys.argv[2:])
