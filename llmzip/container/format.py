"""Constants and fields of the `.llmz` format, version 1, as written down in `docs/format.md`.

Every constant here is part of the format: changing one changes the files.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from zlib import crc32

from llmzip.container.fields import Fields, encode_varint
from llmzip.container.standards import STANDARDS, Standard
from llmzip.errors import CorruptError

Bytes = bytes | bytearray | memoryview

# format: a byte with the high bit set, letters, CR LF: stripping the eighth bit, converting line ends either way and
# re-encoding as UTF-8 all damage these five bytes, so a text-mode transfer shows at once.
MAGIC = b"\xecLZ\r\n"
VERSION = 1
CODER = 1
"""Version of the bitstream inside model blocks (tree, quantiser, mixer, range coder)."""

# format: the first byte of the short form, which no member and no UTF-8 text begins with (docs/format.md, "Short form").
SHORT_LEADS = range(0x80, 0xC0)
MAX_SHORT = 1 << 20
"""Largest original of the short form, in bytes."""


def is_short(start: bytes) -> bool:
    """Whether data that begins so is a message in the short form."""
    return bool(start) and start[0] in SHORT_LEADS


MAX_BLOCK = 64 << 20
"""Largest original length of a block, in bytes."""
MAX_EXPANSION = 1024
"""A payload is at most this many bytes longer than what it stands for."""
MAX_HEADER = 65536
"""Largest length of the header's fields, in bytes."""
MAX_CONTEXT = 1 << 20
"""Most positions of a window."""
MAX_TOLERANCE = 1 << 16
"""Largest tolerance, in units of 1e-6: beyond, no odds would lie safely within a cell."""

MODEL_ID_SIZE = 8
CONTEXT_ID_SIZE = 8
TABLE_ID_SIZE = 8
FINGERPRINT_SIZE = 8
MAX_ROWS = 64
"""Most rows of a step of exact arithmetic."""
DIGEST_SIZE = 8
CHECK_SIZE = 4

FEATURE_EXACT = 1
FEATURE_MIXING = 2
FEATURE_CONTINUED = 4
_STANDARD_SHIFT, _STANDARD_MASK = 3, 15 << 3
"""Bits of *features* that number the standard; 0: the fields are there."""
KNOWN_FEATURES = FEATURE_EXACT | FEATURE_MIXING | FEATURE_CONTINUED | _STANDARD_MASK

TAG_NAME = 2
"""Extra: name of the model or a hint where to find it, UTF-8."""
TAG_PROBE = 3
"""Extra: probe fingerprint of the arithmetic, for exact mode."""
TAG_TABLE = 5
"""Extra: identity of the table of n-grams, for members whose blocks use it."""
TAG_CONTEXT = 7
"""Extra: identity and length of the context, for members whose blocks build on one."""
NO_MODEL = bytes(MODEL_ID_SIZE)
"""In place of a model's identity: no block needs one."""
KNOWN_TAGS = frozenset({TAG_NAME, TAG_PROBE, TAG_TABLE, TAG_CONTEXT})

FOOTER_MARKER = 0
SHORT_FOOTER_MARKER = 0x80
FOOTER_MARKERS = FOOTER_MARKER, SHORT_FOOTER_MARKER
"""What stands where a block's type would, behind the last one."""
SHORT_FOOTER_SIZE = 1 + DIGEST_SIZE
"""Of a member of one block: its block says what an index would, so there is the digest alone."""
_LONGEST_NAME = 200

_U32 = struct.Struct("<I")


class BlockKind(IntEnum):
    """The type byte of a block."""

    MODEL = 1
    RAW = 2
    ZSTD = 3
    XZ = 4
    BROTLI = 5


def pack_u32(value: int) -> bytes:
    """Four bytes, little-endian."""
    return _U32.pack(value)


def unpack_u32(data: bytes) -> int:
    """The number in four little-endian bytes."""
    return int.from_bytes(data, "little")


@dataclass(frozen=True)
class Header:
    """What a reader has to know before the first block of a member.

    `tolerance` is a drift of log odds in units of 1e-6 (0 in exact mode), `context` the positions of a window in
    tokens; a full window drops its oldest `context // parts` positions. `model` is the 8-byte identity of the model.
    `continued`: the mixer's state runs on from block to block (else every block can be decoded alone).
    """

    exact: bool = False
    mixing: bool = True
    continued: bool = False
    coder: int = CODER
    tolerance: int = 0
    context: int = 0
    parts: int = 0
    model: bytes = bytes(MODEL_ID_SIZE)
    extras: Mapping[int, bytes] = field(default_factory=dict)

    def pack(self) -> bytes:
        """The header's bytes, from the magic to its check. Raises `ValueError` for a field outside its range."""
        if len(self.model) != MODEL_ID_SIZE:
            raise ValueError(f"a model identity has {MODEL_ID_SIZE} bytes, not {len(self.model)}")
        if self.exact and self.tolerance:
            raise ValueError("exact arithmetic has tolerance 0")
        if self.tolerance > MAX_TOLERANCE or self.context > MAX_CONTEXT:
            raise ValueError(f"tolerance {self.tolerance} or context {self.context} is out of range")
        if wrong := self._contradiction():
            raise ValueError(wrong)
        if self.coder != CODER:
            raise ValueError(f"this version writes coder {CODER}, not {self.coder}")
        features = FEATURE_EXACT * self.exact | FEATURE_MIXING * self.mixing | FEATURE_CONTINUED * self.continued
        standard, extras = self._standard(), dict(self.extras)
        fields = bytearray([features | standard << _STANDARD_SHIFT, self.coder])
        if standard:
            del extras[TAG_TABLE]
        else:
            for value in (self.tolerance, self.context, self.parts):
                fields += encode_varint(value)
            fields += self.model
        for tag, extra in sorted(extras.items()):
            if tag % 2 and tag not in KNOWN_TAGS:
                raise ValueError(f"unknown mandatory extra {tag}")
            fields += encode_varint(tag) + encode_varint(len(extra)) + extra
        if len(fields) > MAX_HEADER:
            raise ValueError(f"header of {len(fields)} bytes is longer than {MAX_HEADER}")
        packed = MAGIC + bytes([VERSION]) + encode_varint(len(fields)) + fields
        return packed + pack_u32(crc32(packed))

    @classmethod
    def unpack(cls, fields: bytes, offset: int = 0) -> Header:
        """A header from its fields (what the length counts), whose check has passed.

        Raises `CorruptError` for contradictions and for what only a newer version understands; `offset` (of the
        header in the file) is for the message.
        """
        where = f"header at byte {offset}"
        cursor = Fields(fields, f"{where}: a field runs over its end: the file is damaged")
        features, coder = cursor.take(2)
        if features & ~KNOWN_FEATURES:
            raise CorruptError(f"{where}: unknown features {features:#04x}; made by a newer llmzip: update this one")
        if coder != CODER:
            raise CorruptError(f"{where}: coder version {coder}, not {CODER}; made by a newer llmzip: update this one")
        standard = (features & _STANDARD_MASK) >> _STANDARD_SHIFT
        if standard > len(STANDARDS):
            raise CorruptError(f"{where}: unknown standard coding {standard}; made by a newer llmzip: update this one")
        if standard:
            tolerance, context, parts, model, table = STANDARDS[standard - 1]
        else:
            tolerance, context, parts = (cursor.varint(where) for _ in range(3))
        if tolerance > MAX_TOLERANCE or context > MAX_CONTEXT:
            raise CorruptError(
                f"{where}: claims a tolerance of {tolerance} and windows of {context} tokens (at most {MAX_TOLERANCE} and "
                f"{MAX_CONTEXT}): the file is damaged"
            )
        exact = bool(features & FEATURE_EXACT)
        if exact and tolerance:
            raise CorruptError(f"{where}: exact arithmetic with tolerance {tolerance}: the file is damaged")
        if not standard:
            model = cursor.take(MODEL_ID_SIZE)
        extras: dict[int, bytes] = {}
        last = -1
        while cursor.left:
            tag = cursor.varint(where)
            # format: tags ascend strictly, so that a header has one encoding and no tag twice.
            if tag <= last:
                raise CorruptError(f"{where}: extra {tag} out of order: the file is damaged")
            if tag % 2 and tag not in KNOWN_TAGS:
                raise CorruptError(f"{where}: needs the unknown extra {tag}; made by a newer llmzip: update this one")
            extras[tag] = cursor.take(cursor.varint(where))
            last = tag
        if standard and extras.setdefault(TAG_TABLE, table) is not table:
            raise CorruptError(f"{where}: names a table besides that of its standard coding: the file is damaged")
        header = cls(
            exact=exact,
            mixing=bool(features & FEATURE_MIXING),
            continued=bool(features & FEATURE_CONTINUED),
            coder=coder,
            tolerance=tolerance,
            context=context,
            parts=parts,
            model=model,
            extras=extras,
        )
        if wrong := header._contradiction():
            raise CorruptError(f"{where}: {wrong}: the file is damaged")
        return header

    def _standard(self) -> int:
        """The number of the standard that says the same as the fields; 0 where none does."""
        table = self.extras.get(TAG_TABLE, b"")
        fields = Standard(self.tolerance, self.context, self.parts, self.model, table)
        return STANDARDS.index(fields) + 1 if fields in STANDARDS else 0

    def _contradiction(self) -> str:
        """What fields say that cannot go together; empty where all is well."""
        if (self.context or self.parts) and not 2 <= 2 * self.parts <= self.context:
            return f"impossible window ({self.context} tokens in {self.parts} parts)"
        if self.exact and not _is_probe(self.extras.get(TAG_PROBE, b"")):
            return "exact arithmetic without a complete fingerprint of it"
        table = self.extras.get(TAG_TABLE)
        if table is not None and (len(table) != TABLE_ID_SIZE or not self.mixing):
            return "impossible table of n-grams"
        context = self.extras.get(TAG_CONTEXT)
        if context is not None and not _is_context(context):
            return "impossible context"
        return ""

    @property
    def name(self) -> str:
        """The model's name or source hint, safe to print; empty when the file has none."""
        return printable_text(self.extras.get(TAG_NAME, b""), _LONGEST_NAME)


def printable_text(stored: bytes, longest: int) -> str:
    """What a file says in words, at most so many characters of it: files are not trusted, and control characters would reach the
    user's terminal."""
    text = stored.decode("utf-8", "replace")
    if len(text) > longest:
        text = text[:longest] + "..."
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _is_probe(extra: bytes) -> bool:
    """Whether the extra of exact arithmetic holds rows within their limits and a fingerprint."""
    # Rows take one byte, since there are at most `MAX_ROWS`.
    return len(extra) > FINGERPRINT_SIZE and 1 <= extra[0] <= MAX_ROWS


def _is_context(extra: bytes) -> bool:
    """Whether the extra of a context holds an identity and a length, and nothing else."""
    fields = Fields(extra, "")
    try:
        fields.take(CONTEXT_ID_SIZE)
        return fields.varint("") > 0 and not fields.left
    except CorruptError:
        return False


def pack_block_head(kind: BlockKind, original: int, payload: int) -> bytes:
    """A block's type and its two lengths, in bytes."""
    return bytes([kind]) + encode_varint(original) + encode_varint(payload)


def block_check(head: bytes, payload: Bytes, original: Bytes) -> int:
    """CRC-32 over head, payload and original bytes.

    format: the payload counts too, since some damage to it decodes to the same bytes (padding bits).
    """
    return crc32(original, crc32(payload, crc32(head)))


def foreign_magic(start: bytes) -> str | None:
    """What the first bytes of a file that is no member look like, as advice to the user; None when unknown."""
    for prefix, advice in _FOREIGN:
        if start.startswith(prefix):
            return advice
    return None


_TEXT_MODE = "it was damaged by a text-mode transfer ({}): send the original again in binary mode"
_FOREIGN = (
    (b"\xecLZ\n", _TEXT_MODE.format("CR LF became LF")),
    (b"\xecLZ\r\r\n", _TEXT_MODE.format("LF became CR LF")),
    (b"\xecLZ\r\x01", _TEXT_MODE.format("LF was dropped")),
    (b"\x6cLZ\r\n", _TEXT_MODE.format("the eighth bit was stripped")),
    (b"\xc3\xacLZ", _TEXT_MODE.format("bytes were re-encoded as UTF-8")),
    (b"\xef\xbf\xbdLZ", _TEXT_MODE.format("bytes were replaced as invalid UTF-8")),
    (b"?LZ\r\n", _TEXT_MODE.format("bytes were replaced as invalid characters")),
    (b"\x1f\x8b", "it is gzip data: use gzip -d"),
    (b"\xfd7zXZ\x00", "it is xz data: use xz -d"),
    (b"\x28\xb5\x2f\xfd", "it is zstd data: use zstd -d"),
    (b"BZh", "it is bzip2 data: use bzip2 -d"),
    (b"\x04\x22\x4d\x18", "it is lz4 data: use lz4 -d"),
    (b"LZIP", "it is lzip data: use lzip -d"),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive: use 7z x"),
    (b"PK\x03\x04", "it is a zip archive: use unzip"),
    (b"GGUF", "it is a model; name it with --model"),
)
