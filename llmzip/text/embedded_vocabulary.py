"""The vocabulary of the model and the table inside the package, without llama.cpp: byte-level BPE by `tokenizers`.

The file holds nothing but the merges: pairs of tokens (uint16, little-endian), each of which makes the next token. The first tokens are the
256 bytes, in the order of the characters that byte-level BPE writes them as.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from llmzip.errors import ModelError
from llmzip.text.digits import DigitSpeller
from llmzip.text.tokens import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = Path(__file__).parent.parent / "data" / "vocabulary.bin"
CHECK = 0xF2EA76D0  # CRC-32 of the file
_CONTROL_TOKENS = 1  # <|bos|>, the last one, which stands for no text


def _bytes_of_characters() -> dict[str, int]:
    """The bytes that byte-level BPE writes as characters: printable ones as themselves, the others from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


def _merges() -> Iterator[tuple[int, int]]:
    """The pairs of tokens that become one, in the order of the tokens. Raises ModelError where they are missing or damaged."""
    try:
        data = FILE.read_bytes()
    except OSError as error:
        raise ModelError(f"the vocabulary cannot be read ({FILE}: {error.strerror}); reinstall llmzip") from None
    if crc32(data) != CHECK:
        raise ModelError(f"{FILE} is damaged; reinstall llmzip")
    numbers = array("H", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return zip(numbers[::2], numbers[1::2], strict=True)


@cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    names, merges = sorted(_bytes_of_characters()), []
    for left, right in _merges():
        merges.append((names[left], names[right]))
        names.append(names[left] + names[right])
    tokenizer = Tokenizer(BPE({name: token for token, name in enumerate(names)}, merges))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return tokenizer


def tokenize(text: bytes) -> array[int]:
    """Tokens of valid UTF-8, four bytes each."""
    return array("i", _tokenizer().encode(text.decode(), add_special_tokens=False).ids)


@cache
def pieces() -> tuple[bytes, ...]:
    """The bytes that each token stands for. Whoever decompresses needs these alone, so no tokenizer is loaded for them.

    Raises ModelError.
    """
    found = [bytes([byte]) for _, byte in sorted(_bytes_of_characters().items())]
    for left, right in _merges():
        found.append(found[left] + found[right])
    return (*found, *([b""] * _CONTROL_TOKENS))


@cache
def digit_speller() -> DigitSpeller:
    """Numbers of this vocabulary spelt digit by digit."""
    return DigitSpeller(pieces())


@cache
def embedded_vocabulary() -> Vocabulary:
    """Bytes to tokens and back."""
    return Vocabulary(pieces(), tokenize)
