"""Learning the byte-level BPE vocabulary from a sample of the training part."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from . import corpus
from .config import Config
from .prepare import BOS

_PIECE = 20_000


def sample(config: Config) -> Iterator[str]:
    """Text from which merges are learnt: up to the recipe's bytes of each source, documents chosen by hash."""
    settings = config.tokenizer
    for source, paths in corpus.shards(config.paths.corpora, "train").items():
        budget = settings.sample_bytes.get(source, 0)
        if not budget:
            continue
        total = sum(min(len(d.text), settings.longest_document) for path in paths for d in corpus.documents(path))
        for path in paths:
            for document in corpus.documents(path):
                if corpus.fraction(settings.seed, "tokenizer", document.id) * total < budget:
                    text = document.text[: settings.longest_document]
                    yield from (text[i : i + _PIECE] for i in range(0, len(text), _PIECE))


def learn(texts: Iterator[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE tokenizer of `vocabulary` tokens; the last one is <|bos|>.

    All 256 bytes are tokens of their own, so that any text can be written.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=vocabulary - 1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([BOS])
    return tokenizer


def train_tokenizer(config: Config) -> None:
    """Learn the recipe's tokenizer and write it; refuses to overwrite one that exists."""
    path = Path(config.paths.tokenizer)
    if path.exists():
        raise FileExistsError(f"{path} exists: token arrays and weights depend on it; remove it to learn another")
    tokenizer = learn(sample(config), config.tokenizer.vocabulary)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    tokenizer.save(str(temporary))
    os.replace(temporary, path)
    print(f"{path}: {tokenizer.get_vocab_size()} tokens", file=sys.stderr)
