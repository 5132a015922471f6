"""A tiny corpus, tokenizer and recipe: the whole pipeline in seconds."""

from __future__ import annotations

import dataclasses
import json
import lzma
import random
from pathlib import Path

import pytest

from training import config as recipe

_WORDS = [
    "the",
    "a",
    "tide",
    "rises",
    "falls",
    "over",
    "grey",
    "stones",
    "and",
    "under",
    "bridges",
    "while",
    "small",
    "boats",
    "wait",
    "for",
    "light",
    "rain",
]


def text(seed: int, sentences: int) -> str:
    rng = random.Random(seed)
    lines = (" ".join(rng.choices(_WORDS, k=rng.randint(4, 11))).capitalize() + "." for _ in range(sentences))
    return "\n".join(lines) + "\n"


def write_shard(path: Path, documents: list[tuple[str, str, str]]) -> None:
    with lzma.open(path, "wt", encoding="utf-8") as out:
        for source, identity, body in documents:
            out.write(json.dumps({"source": source, "id": identity, "text": body}) + "\n")


@pytest.fixture
def config(tmp_path: Path) -> recipe.Config:
    """A recipe over two sources, 20 kB each, with a model of some thousand weights."""
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    for i, source in enumerate(("book", "code")):
        write_shard(
            corpora / f"train-{source}-0.jsonl.xz", [(source, f"{source}{n}", text(100 * i + n, 60)) for n in range(8)]
        )
        write_shard(
            corpora / f"heldout-{source}.jsonl.xz", [(source, f"held{n}", text(900 + 10 * i + n, 60)) for n in range(3)]
        )
    sources = {"book": recipe.Source(share=3.0), "code": recipe.Source(share=1.0)}
    return recipe.Config(
        paths=recipe.Paths(
            str(corpora), str(tmp_path / "work"), str(tmp_path / "tokenizer.json"), str(tmp_path / "export")
        ),
        prepare=recipe.Prepare(records_bytes=5_000, validation_bytes=6_000, sources=sources),
        tokenizer=recipe.TokenizerTraining(vocabulary=320, sample_bytes={"book": 100_000, "code": 100_000}),
        model=recipe.Model(vocabulary=320, width=64, layers=2, heads=4, kv_heads=2, head_width=16, ffn_width=96),
        train=recipe.Train(
            threads=1,
            compile=False,
            bf16=False,
            rows=4,
            context=32,
            budget_tokens=40 * 128,
            warmup_steps=2,
            muon_rate=0.02,
            adam_rate=0.01,
            validate_steps=1000,
            validate_rows=4,
            log_steps=4,
        ),
        export=recipe.Export(name="tiny", context=256),
        evaluate=recipe.Evaluate(bytes=3_000, context=64, shift=16, threads=1, speed_rounds=1, streams=(1, 4)),
    )


@pytest.fixture
def prepared(config: recipe.Config) -> recipe.Config:
    from training.prepare import prepare
    from training.tokenizer import train_tokenizer

    train_tokenizer(config)
    prepare(config)
    return config


@pytest.fixture
def replaced():
    """`replaced(config, "train", rows=2)`: the recipe with some settings of one section changed."""

    def change(config: recipe.Config, section: str, **values: object) -> recipe.Config:
        return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})

    return change
