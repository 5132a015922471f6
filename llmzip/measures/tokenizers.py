"""Tokenizers for prompts: that of the embedded model, of any GGUF, or a file of the library `tokenizers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import ModelError
from llmzip.model.base import LanguageModel
from llmzip.text.tokens import Vocabulary


@dataclass(frozen=True)
class PromptTokenizer:
    """name: for people; size: tokens of the vocabulary. encode: text to ids (n,), and whether the tokenizer put a blank before
    it. stretches: text to what its tokens stand for, which joined are the text, bytes that no token stands for included.
    decode: the way back from `encode`."""

    name: str
    size: int
    encode: Callable[[bytes], tuple[NDArray[np.int64], bool]]
    stretches: Callable[[bytes], list[bytes]]
    decode: Callable[[NDArray[np.int64], bool], bytes]


def of_vocabulary(name: str, vocabulary: Vocabulary) -> PromptTokenizer:
    """A vocabulary of byte strings."""
    pieces = vocabulary.pieces

    def stretches(text: bytes) -> list[bytes]:
        coded = vocabulary.encode(text)
        found = [pieces[token] for token in coded.tokens.tolist()]
        if coded.spaced:
            found[0] = found[0][1:]
        for position, literal in reversed(coded.literals):
            found.insert(position, literal)
        return found

    def encode(text: bytes) -> tuple[NDArray[np.int64], bool]:
        coded = vocabulary.encode(text)
        if coded.literals:
            raise ModelError(f"{name} has no tokens for some bytes of the text: use the text form")
        return coded.tokens.astype(np.int64), coded.spaced

    def decode(ids: NDArray[np.int64], spaced: bool) -> bytes:
        return b"".join([pieces[token] for token in ids.tolist()])[spaced:]

    return PromptTokenizer(name, len(pieces), encode, stretches, decode)


def embedded() -> PromptTokenizer:
    """That of the embedded model, without the model."""
    from llmzip.text.embedded_vocabulary import embedded_vocabulary

    return of_vocabulary("built-in", embedded_vocabulary())


def of_model(model: LanguageModel) -> PromptTokenizer:
    """A loaded model's own."""
    return of_vocabulary(model.name, Vocabulary(model.pieces, model.tokenize, model.byte_tokens))


def of_file(path: str | Path) -> PromptTokenizer:
    """A tokenizer.json. Raises ModelError where it is none."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(f"{path} is no file of tokenizers: {error}") from None

    def text_of(data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ModelError("the text is not UTF-8, which this tokenizer takes alone") from None

    def encode(data: bytes) -> tuple[NDArray[np.int64], bool]:
        return np.array(tokenizer.encode(text_of(data), add_special_tokens=False).ids, np.int64), False

    def stretches(data: bytes) -> list[bytes]:
        text = text_of(data)
        # Where a token begins in the text; what lies between tokens goes with the one before.
        begins = [start for start, _ in tokenizer.encode(text, add_special_tokens=False).offsets]
        places = np.maximum.accumulate(np.array([0, *begins[1:], len(text)], np.int64))
        return [text[a:b].encode() for a, b in zip(places[:-1].tolist(), places[1:].tolist(), strict=True)]

    def decode(ids: NDArray[np.int64], spaced: bool) -> bytes:
        return str(tokenizer.decode(ids.tolist(), skip_special_tokens=False)).encode()

    return PromptTokenizer(Path(path).name, tokenizer.get_vocab_size(), encode, stretches, decode)
