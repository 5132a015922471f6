"""The vocabulary of the model and the table inside the package, without llama.cpp: byte-level BPE by `tokenizers`."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llmzip.text.digits import DigitSpeller
from llmzip.text.tokens import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CONTROL_TOKENS = 1  # <|bos|>, the last one, which stands for no text


@cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_buffer((resources.files("llmzip") / "data" / "vocabulary.json").read_bytes())


def bytes_of_token(token: str) -> bytes:
    """The bytes that a token of byte-level BPE stands for."""
    meaning = _bytes_of_characters()
    return bytes(meaning[character] for character in token)


@cache
def _bytes_of_characters() -> dict[str, int]:
    """The bytes that byte-level BPE writes as characters: printable ones as themselves, the others from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


def tokenize(text: bytes) -> NDArray[np.int32]:
    """Tokens of valid UTF-8."""
    return np.array(_tokenizer().encode(text.decode(), add_special_tokens=False).ids, np.int32)


@cache
def pieces() -> tuple[bytes, ...]:
    """The bytes that each token stands for."""
    tokens = _tokenizer().get_vocab()
    ordered = sorted(tokens, key=tokens.__getitem__)
    return (*(bytes_of_token(token) for token in ordered), *([b""] * _CONTROL_TOKENS))


@cache
def digit_speller() -> DigitSpeller:
    """Numbers of this vocabulary spelt digit by digit."""
    return DigitSpeller(pieces())


@cache
def embedded_vocabulary() -> Vocabulary:
    """Bytes to tokens and back."""
    return Vocabulary(pieces(), tokenize)
