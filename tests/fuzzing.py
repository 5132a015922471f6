"""What is fuzzed (`tools/fuzz.py`, `test_fuzz.py`): functions of bytes that must end well or with an error made for it.

Checks are made to hold first, since random bytes hardly ever pass one: what is behind them is what has to be tried.
"""

from __future__ import annotations

import io
import random
import struct
from binascii import crc_hqx
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
from fakes import FakeModel
from numpy.typing import NDArray

from llmzip.codec.agreement import Coding
from llmzip.codec.codec import Codec
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session
from llmzip.codec.head import BlockHead
from llmzip.codec.pipeline import BlockPipeline
from llmzip.container import Block, BlockKind, Header, MemberWriter, classic, read_index, read_members
from llmzip.container.fields import encode_reversed, encode_varint
from llmzip.container.format import MAGIC, is_short
from llmzip.container.index import claimed_length
from llmzip.container.reader import read_header
from llmzip.container.streams import Cursor
from llmzip.errors import ArithmeticMismatchError, CorruptError, ModelError
from llmzip.model.base import Window

Target = Callable[[bytes], None]

TEXT = b"The harbour of the town and the ships of the sea, the old men and the weather. "
LONGEST = 4096  # bytes that a decoder may be asked for: time beyond that is honest work


def with_crc(data: bytes) -> bytes:
    return data + struct.pack("<I", crc32(data))


def header(data: bytes) -> None:
    """Fields of a header, in a header whose check holds."""
    found = read_header(Cursor(io.BytesIO(with_crc(MAGIC + b"\1" + encode_varint(len(data)) + data))))
    assert found is not None
    assert found.name.isprintable()
    packed = Header.unpack(data).pack()
    assert read_header(Cursor(io.BytesIO(packed))) == found


class _Bytes:
    """Takes numbers and stretches from the front of the fuzzer's bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def stretch(self, most: int) -> bytes:
        start = self.at
        self.at = min(len(self.data), start + most)
        return self.data[start : self.at]

    def varint(self) -> bytes:
        """A number near a limit as often as any, now and then malformed."""
        kind = self.byte()
        if kind < 128:
            return encode_varint(kind)
        if kind < 224:
            return encode_varint(max(0, (1 << (kind - 128) % 64) + self.byte() - 128))
        return self.stretch(kind - 223)

    @property
    def left(self) -> bool:
        return self.at < len(self.data)


def structure(data: bytes) -> None:
    """Members of blocks, an index and a footer whose checks hold and whose numbers lie."""
    take = _Bytes(data)
    file = b""
    while take.left and len(file) < 1 << 16:
        start = b"" if take.byte() == 255 else Header(tolerance=30, context=512, parts=4).pack()
        member, index, count, total = start, [], 0, 0
        while take.left and take.byte() % 4:
            payload = take.stretch(take.byte() % 32 + 1)
            lie = take.byte()
            original = encode_varint(len(payload)) if lie < 200 else take.varint()
            length = encode_varint(len(payload)) if lie % 8 else take.varint()
            block = bytes([2 if lie % 16 else take.byte()]) + original + length + payload
            block += struct.pack("<I", crc32(payload, crc32(block)))
            member += block
            index.append(encode_varint(len(block)) + original)
            count, total = count + 1, total + len(payload)
        lies = take.byte()
        footer = b"\0" + (take.varint() if lies & 1 else encode_varint(count))
        footer += take.stretch(take.byte()) if lies & 2 else b"".join(index[:-1])
        footer += (take.varint() if lies & 4 else encode_varint(total)) + take.stretch(8).ljust(8, b"\0")
        footer = b"\x80" + take.stretch(8).ljust(8, b"\0") if lies & 32 else with_crc(footer)
        sizes = [len(member) + len(footer), len(footer)]
        file += member + footer
        file += b"".join(
            take.varint()[::-1] if lies & 8 << i else encode_reversed(size) for i, size in enumerate(sizes)
        )
    _read_all(file)


def whole(data: bytes) -> None:
    """Anything as a file."""
    _read_all(data)
    _read_all(MAGIC + b"\1" + data)


def _read_all(file: bytes) -> None:
    """Both ways of reading; where the index tells members, they are those that reading forwards tells."""
    forwards = backwards = None
    try:
        members = read_members(io.BytesIO(file))
        forwards = []
        for event in members:
            if isinstance(event, Block):
                assert event.payload_length <= len(file)
                members.accept(event, _decoded(event))
            elif not isinstance(event, Header):
                forwards.append((event.offset, event.end, event.blocks, event.original))
    except CorruptError:
        forwards = None
    try:
        backwards = [
            (member.footer.offset, member.footer.end, member.footer.blocks, member.footer.original)
            for member in read_index(io.BytesIO(file))
        ]
    except CorruptError:
        pass
    assert forwards is None or forwards == backwards
    try:
        claimed = claimed_length(io.BytesIO(file))
        assert forwards is None or claimed == sum(original for *_, original in forwards)
    except CorruptError:
        assert forwards is None


def _decoded(block: Block) -> bytes:
    if block.kind is BlockKind.MODEL:
        raise CorruptError("a model block")
    if block.original_length > 1 << 20:
        raise CorruptError("too much for a fuzzer")
    return classic.decode(block.kind, block.payload, block.original_length)


def payloads(data: bytes) -> None:
    """Payloads of the classic codecs."""
    if len(data) < 3:
        return
    kind = classic.CLASSIC[data[0] % len(classic.CLASSIC)]
    length = int.from_bytes(data[1:3], "little") + 1
    assert len(classic.decode(kind, data[3:], length)) == length


def head(data: bytes) -> None:
    """The head of a model block, its check made to hold."""
    if not data:
        return
    stored = data[1:]
    payload = crc_hqx(stored, 0).to_bytes(2, "little") + stored
    length = LONGEST << data[0] % 15
    found, words = BlockHead.unpack(payload, length)
    assert found.tokens <= length + 1 and sum(len(literal) for _, literal in found.literals) <= len(data)
    again = found.payload(words)
    assert BlockHead.unpack(again, length) == (found, words)


class QuickEvaluator:
    """Logits from a table of 32 rows, by token, position and stream."""

    def __init__(self, table: NDArray[np.float32], context: int, rows: int) -> None:
        self.rows, self._table, self._context = rows, table, context

    def evaluate(self, tokens, positions, streams):  # type: ignore[no-untyped-def]
        assert len(tokens) <= self.rows and positions[-1] < self._context
        return self._table.take((tokens * 5 + positions * 3 + streams) & 31, axis=0)

    def slide(self, streams: int, drop: int) -> None: ...

    def copy(self, source: int, first: int, stop: int) -> None: ...

    def clear(self) -> None: ...

    def save(self) -> NDArray[np.uint8]:
        return np.empty(0, np.uint8)

    def restore(self, caches: NDArray[np.uint8]) -> None: ...

    def close(self) -> None: ...


class QuickModel(FakeModel):
    """Of few tokens, with next to nothing to do for a step: the decoder's own time is what counts."""

    def __init__(
        self,
        pieces: Sequence[bytes] = (b"a", b"the ", b"b", b" ", b"of ", b"\n", b"\xc3", b"\xa9", b"", b""),
        tokenize: Callable[[bytes], NDArray[np.int32]] | None = None,
    ) -> None:
        super().__init__(pieces=pieces, window=Window(8, 2), tokenize=tokenize)
        self.rows = self.table[:32].astype(np.float32)

    def evaluator(self, streams, context, rows, threads=0):  # type: ignore[no-untyped-def]
        return QuickEvaluator(self.rows, context, rows)


class LongModel(QuickModel):
    """Of tokens of 256 bytes, so that much text goes through in little time. texts: what its tokens stand for."""

    def __init__(self) -> None:
        chance, length = random.Random(5), 256
        self.texts = [b" " + bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=length - 1)) for _ in range(30)]
        ids = {text: token for token, text in enumerate(self.texts)}

        def tokenize(text: bytes) -> NDArray[np.int32]:
            parts = (text[at : at + length] for at in range(0, len(text), length))
            return np.array([ids.get(part, 0) for part in parts], np.int32)

        super().__init__([*self.texts, b"", b""], tokenize)


class Decoder:
    """Small model blocks through the decoder with a fake model, most of them without mixing, all without repair.

    reached: how many inputs got how far: "head" refused before anything is decoded, "coder" at a contradiction of the range coder's,
    "end" read to the end of their tokens and refused by the check, "text" accepted.
    """

    original = b"the a\n\xc3\xa9?"

    def __init__(self) -> None:
        session = Session(QuickModel())  # type: ignore[arg-type]
        shapes = [(Window(8, 2), 30, False), (Window(4, 1), 0, False), (Window(16, 4), 4000, False)]
        mixed = [(Window(8, 2), 30, True)]
        self._pipelines = [BlockPipeline(session, Coding(*shape)) for shape in shapes * 5 + mixed]
        self.reached: Counter[str] = Counter()

    def seed(self) -> list[bytes]:
        """Sound blocks of one and of three streams; few with mixing, which takes most of the time."""
        found = []
        for number in (*(0, 1, 2) * 5, 15):
            pipeline = self._pipelines[number]
            text = pipeline.tokens_of(self.original)
            stored = [pipeline.encode(*text, streams)[2:] for streams in (1, 3)]
            found += [bytes([number, each[0], each[1], each[2] - 1]) + each[3:] for each in stored]
        return found

    def __call__(self, data: bytes) -> None:
        if len(data) < 4:
            return
        pipeline = self._pipelines[data[0] % 16]
        stored = bytes([data[1] & 0x0B]) + encode_varint(data[2] % 12) + encode_varint(data[3] % 4 + 1) + data[4:]
        payload = crc_hqx(stored, 0).to_bytes(2, "little") + stored
        how = "head"

        def told(share: float) -> None:
            nonlocal how
            how = "coder"

        def fits(found: bytes) -> bool:
            nonlocal how
            assert len(found) <= LONGEST
            how = "end"
            return found == self.original

        try:
            decode_block(pipeline, payload, LONGEST, fits, told, patience=0)
            how = "text"
        finally:
            self.reached[how] += 1


class Repair:
    """Model blocks through the decoder with the tests' fake model, mixing and repair included."""

    def __init__(self) -> None:
        self._pipelines = [
            BlockPipeline(Session(FakeModel()), Coding(Window(context, parts), tolerance, mixing))
            for context, parts, tolerance, mixing in ((32, 4, 30, True), (8, 2, 30, False), (64, 1, 4000, True))
        ]

    def __call__(self, data: bytes) -> None:
        if len(data) < 4:
            return
        pipeline = self._pipelines[data[0] % len(self._pipelines)]
        stored = bytes([data[1] & 0x0B]) + encode_varint(data[2] % 48) + encode_varint(data[3] % 8 + 1) + data[4:]
        payload = crc_hqx(stored, 0).to_bytes(2, "little") + stored
        seen = []
        try:
            decode_block(pipeline, payload, LONGEST, lambda found: bool(seen.append(len(found))))
        finally:
            assert all(length <= LONGEST for length in seen)


class Files:
    """Whole files through the codec with the fake model: what is accepted is what was compressed."""

    def __init__(self) -> None:
        self._codec = Codec(FakeModel(), threads=1)
        self._originals = {TEXT * 3, TEXT * 6, b"raw", TEXT + b"raw", b""}

    def seed(self) -> list[bytes]:
        """Sound files."""
        packed = [Codec(FakeModel(), streams=streams).compress(TEXT * 3) for streams in (1, 3)]
        sink = io.BytesIO()
        writer = MemberWriter(sink, Header())
        for kind, data in ((BlockKind.ZSTD, TEXT), (BlockKind.RAW, b"raw")):
            writer.write_block(kind, data, classic.encode(kind, data))
        writer.finish()
        return [*packed, sink.getvalue()]

    def __call__(self, data: bytes) -> None:
        if is_short(data[:1]):
            return  # most need the embedded model: `Real` has them
        found = self._codec.decompress(data)
        assert found in self._originals, "bytes that nobody compressed"


class Real:
    """Whole files through the codec with the embedded model, half of them with the check of the stored bytes made to hold."""

    def __init__(self) -> None:
        self._codec = Codec(threads=1)
        self._texts = [b"An old man and the sea.", b"int main(void) { return 0; }\r\n", TEXT[:30] + b"\xff"]

    def seed(self) -> list[bytes]:
        """Sound files."""
        return [
            Codec(threads=1, level=level, short=short).compress(text)
            for text in self._texts
            for level in (1, 6)
            for short in (False, True)
        ]

    def __call__(self, data: bytes) -> None:
        if len(data) % 2:
            data = _with_stored_check(data)
        # The check of a message has two bytes: by chance it holds.
        assert self._codec.decompress(data) in self._texts or is_short(data[:1]), "bytes that nobody compressed"


def _with_stored_check(file: bytes) -> bytes:
    """A file whose first block, if it is a model block, has a check that holds for its stored bytes."""
    changed = bytearray(file)
    try:
        for event in read_members(io.BytesIO(file)):
            if isinstance(event, Block):
                if event.kind is BlockKind.MODEL and len(event.payload) > 2:
                    at = file.index(event.payload, event.offset)
                    changed[at : at + 2] = crc_hqx(event.payload[2:], 0).to_bytes(2, "little")
                break
    except CorruptError:
        pass
    return bytes(changed)


EXPECTED = (CorruptError, ArithmeticMismatchError, ModelError)


def targets() -> dict[str, Target]:
    """All of them by name."""
    return {
        "header": header,
        "structure": structure,
        "whole": whole,
        "payloads": payloads,
        "head": head,
        "decoder": Decoder(),
        "repair": Repair(),
        "files": Files(),
    }


def target(name: str) -> Target:
    """One of them, or the real model, which takes a while to begin."""
    return Real() if name == "real" else targets()[name]


def run(target: Target, data: bytes) -> bool:
    """One input; whether it was accepted. Raises what must not be raised."""
    try:
        target(data)
    except EXPECTED:
        return False
    return True


def seeds(name: str) -> list[bytes]:
    """Inputs to start from."""
    golden = Path(__file__).parent / "golden"
    files = [path.read_bytes() for path in sorted(golden.rglob("*.llmz")) if path.stat().st_size < 2000]
    sample = Header(tolerance=30, context=512, parts=4, extras={2: b"name", 5: bytes(8)}).pack()
    if name == "header":
        exact = Header(exact=True, extras={3: b"\2" + bytes(8) + b"words"}).pack()
        return [sample[7:-4], exact[7:-4]]
    if name == "payloads":
        text = TEXT * 9
        return [
            bytes([i]) + (len(text) - 1).to_bytes(2, "little") + classic.encode(kind, text)
            for i, kind in enumerate(classic.CLASSIC)
        ]
    if name == "decoder":
        return Decoder().seed()
    if name in ("head", "repair"):
        pipeline = BlockPipeline(Session(FakeModel()), Coding(Window(32, 4), 30, True))
        stored = [pipeline.encode(*pipeline.tokens_of(TEXT + b"\xff\xfe"), streams)[2:] for streams in (1, 3)]
        if name == "head":
            return [b"\0" + each for each in stored]
        return [bytes([0, each[0], each[1], each[2] - 1]) + each[3:] for each in stored]
    if name == "files":
        return Files().seed()
    if name == "real":
        return Real().seed()
    if name == "structure":
        return [random.Random(number).randbytes(80) for number in range(8)]
    return files


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few changes of the kinds that damage makes: bits, bytes, cuts, copies, numbers at their limits."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        if not changed:
            return chance.randbytes(8)
        at = chance.randrange(len(changed))
        way = chance.randrange(6)
        if way == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            changed[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif way == 2:
            del changed[at : at + chance.randrange(1, 9)]
        elif way == 3:
            changed[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif way == 4:
            start = chance.randrange(len(changed))
            changed[at:at] = changed[start : start + chance.randrange(1, 33)]
        else:
            changed[at : at + 1] = encode_varint(max(0, (1 << chance.randrange(64)) + chance.randrange(-2, 3)))
    return bytes(changed)
