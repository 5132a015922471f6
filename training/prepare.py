"""Text to tokens: one array of uint16 per source, and the leading part of each held-out source for validation.

A source's array is written to a temporary name and renamed when complete, with a manifest of what made it: a stopped
run goes on with the first source that is missing, and a changed recipe redoes what it touches.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from . import augment, corpus, records
from .config import Config, Source

BOS = "<|bos|>"
RECORDS = "records"
_BATCH_BYTES = 4_000_000
_PROSE = ("book", "wiki", "talk", "docs", "euro")


class HeldOutLeak(ValueError):
    """A held-out document was found in the training part of the corpora."""


def token_path(work: str | Path, part: str, source: str) -> Path:
    return Path(work) / "tokens" / f"{part}-{source}.bin"


def load_tokens(work: str | Path, part: str, source: str) -> np.ndarray:
    """A prepared source as a memory-mapped array of uint16 token ids, shape (tokens,)."""
    return np.memmap(token_path(work, part, source), dtype=np.uint16, mode="r")


def manifest(work: str | Path, part: str, source: str) -> dict:
    """What a prepared source is made of: recipe, documents, bytes, tokens."""
    return json.loads(token_path(work, part, source).with_suffix(".json").read_text())


def held_out_fingerprints(corpora: str | Path) -> set[bytes]:
    """Fingerprints of every held-out document."""
    return {
        corpus.fingerprint(document.text)
        for paths in corpus.shards(corpora, "heldout").values()
        for path in paths
        for document in corpus.documents(path)
    }


def excerpt(text: str, size: int, position: float) -> str:
    """At most `size` characters of `text`, from a line start; `position` in [0, 1) says where."""
    if len(text) <= size:
        return text
    start = int(position * (len(text) - size))
    if start:
        start = text.find("\n", start) + 1
    return text[start : start + size]


def training_texts(config: Config, source: str, paths: Iterable[Path], held_out: set[bytes]) -> Iterator[str]:
    """The texts of one source that training sees: kept documents, cut to excerpts, some in another shape.

    Raises HeldOutLeak if any document of the files, kept or not, is also held out.
    """
    settings, seed = config.prepare, config.prepare.seed
    plan = settings.sources.get(source, Source())
    for path in paths:
        for document in corpus.documents(path):
            if corpus.fingerprint(document.text) in held_out:
                raise HeldOutLeak(f"{path.name}: document {document.id!r} is also in the held-out part")
            if corpus.fraction(seed, "keep", document.id) >= plan.keep:
                continue
            text = excerpt(document.text, plan.excerpt_bytes, corpus.fraction(seed, "excerpt", document.id))
            shape = corpus.fraction(seed, "shape", document.id)
            if source in _PROSE and shape < settings.rewrap:
                text = augment.rewrap(text, random.Random(f"{seed} {document.id}"))
            elif source == "code" and shape < settings.retab:
                text = augment.retab(text)
            yield text


def record_texts(config: Config, shards: dict[str, list[Path]]) -> Iterator[str]:
    """Synthetic data files made of the words of training documents, about `records_bytes` in all."""
    rng = random.Random(f"records {config.prepare.seed}")
    streams = [corpus.documents(paths[0]) for source, paths in sorted(shards.items()) if source != "euro"]
    made = 0
    while made < config.prepare.records_bytes and streams:
        stream = rng.choice(streams)
        document = next(stream, None)
        if document is None:
            streams.remove(stream)
            continue
        for _ in range(2):
            text = records.records(document.text, rng)
            made += len(text.encode())
            yield text


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def write_tokens(path: Path, texts: Iterable[str], tokenizer: Tokenizer, recipe: dict) -> dict:
    """Tokenise texts, <|bos|> before each, into `path`; then write and return the manifest beside it."""
    bos = tokenizer.token_to_id(BOS)
    if bos is None or tokenizer.get_vocab_size() > 1 << 16:
        raise ValueError(f"the tokenizer must have {BOS} and at most 65,536 tokens")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    counts = {"documents": 0, "bytes": 0, "tokens": 0}
    with open(temporary, "wb") as out:
        for batch in _batches(texts):
            for text, encoding in zip(batch, tokenizer.encode_batch(batch, add_special_tokens=False), strict=False):
                ids = np.array([bos, *encoding.ids], dtype=np.uint16)
                out.write(ids.tobytes())
                counts["documents"] += 1
                counts["bytes"] += len(text.encode())
                counts["tokens"] += len(ids)
    os.replace(temporary, path)
    result = {"recipe": recipe, **counts}
    notes = path.with_suffix(".json.part")
    notes.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(notes, path.with_suffix(".json"))
    return result


def prepare(config: Config) -> None:
    """Prepare every source of the recipe that is not prepared yet, and the validation part."""
    paths = config.paths
    tokenizer = Tokenizer.from_file(paths.tokenizer)
    identity = hashlib.sha256(Path(paths.tokenizer).read_bytes()).hexdigest()
    train = corpus.shards(paths.corpora, "train")
    held_out = held_out_fingerprints(paths.corpora)
    settings = dataclasses.asdict(config.prepare)
    settings.pop("sources")

    def make(part: str, source: str, texts: Iterable[str], extra: dict) -> None:
        recipe = {"tokenizer": identity, **settings, **extra}
        path = token_path(paths.work, part, source)
        if (
            path.exists()
            and path.with_suffix(".json").exists()
            and manifest(paths.work, part, source)["recipe"] == recipe
        ):
            print(f"{part}-{source}: already prepared", file=sys.stderr)
            return
        path.with_suffix(".json").unlink(missing_ok=True)
        done = write_tokens(path, texts, tokenizer, recipe)
        print(
            f"{part}-{source}: {done['documents']} documents, {done['bytes']} bytes, {done['tokens']} tokens",
            file=sys.stderr,
        )

    for source, files in corpus.shards(paths.corpora, "heldout").items():
        text = corpus.leading_text(files[0], config.prepare.validation_bytes).decode("utf-8", "ignore")
        make("validation", source, [text], {})
    for source, plan in config.prepare.sources.items():
        # Shares steer the sampler, not the arrays: changing them must not redo an hour of tokenising.
        extra = {"keep": plan.keep, "excerpt_bytes": plan.excerpt_bytes}
        if source == RECORDS:
            make("train", source, record_texts(config, train), extra)
        elif source in train:
            make("train", source, training_texts(config, source, train[source], held_out), extra)
        else:
            raise FileNotFoundError(
                f"the recipe names source {source!r}, but {paths.corpora} has no train-{source}-*.jsonl.xz"
            )
