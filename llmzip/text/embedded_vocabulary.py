"""The vocabulary of the model and the table inside the package, without llama.cpp: byte-level BPE by `tokenizers`."""

from __future__ import annotations

import gzip
import json
from array import array
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from llmzip.text.digits import DigitSpeller
from llmzip.text.tokens import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FILE = Path(__file__).parent.parent / "data" / "vocabulary.json.gz"
_CONTROL_TOKENS = 1  # <|bos|>, the last one, which stands for no text


def _document() -> bytes:
    """The vocabulary as `tokenizers` keeps it."""
    return gzip.decompress(_FILE.read_bytes())


@cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_buffer(_document())


def bytes_of_token(token: str) -> bytes:
    """The bytes that a token of byte-level BPE stands for."""
    return bytes(map(_bytes_of_characters().__getitem__, token))


@cache
def _bytes_of_characters() -> dict[str, int]:
    """The bytes that byte-level BPE writes as characters: printable ones as themselves, the others from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


def tokenize(text: bytes) -> array[int]:
    """Tokens of valid UTF-8, four bytes each."""
    return array("i", _tokenizer().encode(text.decode(), add_special_tokens=False).ids)


@cache
def pieces() -> tuple[bytes, ...]:
    """The bytes that each token stands for. Whoever decompresses needs these alone, so no tokenizer is loaded for them."""
    tokens = json.loads(_document())["model"]["vocab"]
    ordered = sorted(tokens, key=tokens.__getitem__)
    joined, ends = bytes_of_token("".join(ordered)), accumulate(map(len, ordered), initial=0)
    return (*(joined[start:end] for start, end in pairwise(ends)), *([b""] * _CONTROL_TOKENS))


@cache
def digit_speller() -> DigitSpeller:
    """Numbers of this vocabulary spelt digit by digit."""
    return DigitSpeller(pieces())


@cache
def embedded_vocabulary() -> Vocabulary:
    """Bytes to tokens and back."""
    return Vocabulary(pieces(), tokenize)
