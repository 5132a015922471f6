"""One TOML file describes a whole recipe; every number of a run stands there and nowhere else."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints


class ConfigError(ValueError):
    """A recipe that names an unknown setting or gives one a value of the wrong type."""


@dataclass(frozen=True)
class Paths:
    """Where things are, relative to the working directory unless absolute."""

    corpora: str = "corpora"
    """Folder of `train-*.jsonl.xz` and `heldout-*.jsonl.xz`."""
    work: str = "work"
    """Folder for token arrays, checkpoints and logs: large, and worth keeping between runs."""
    tokenizer: str = "work/tokenizer.json"
    """Hugging Face `tokenizers` file."""
    export: str = "work/export"
    """Folder for finished GGUF files."""


@dataclass(frozen=True)
class Source:
    """How much of one corpus source is prepared, and how often training draws from it."""

    share: float = 0.0
    """Relative share of training rows (normalised over the sources)."""
    keep: float = 1.0
    """Fraction of the documents kept, chosen by a hash of the document's id."""
    excerpt_bytes: int = 1_000_000
    """Longest contiguous excerpt taken from one document, at a place chosen by the same hash."""


@dataclass(frozen=True)
class Prepare:
    seed: int = 1
    rewrap: float = 0.05
    """Share of prose documents whose paragraphs are hard-wrapped at a random width, or unwrapped."""
    retab: float = 0.10
    """Share of code documents whose indentation changes between spaces and tabs."""
    records_bytes: int = 3_000_000
    """Size of the synthetic source `records`: data files, logs and markup made of words of training documents."""
    validation_bytes: int = 300_000
    """Leading bytes of each held-out source that are kept for validation."""
    sources: dict[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenizerTraining:
    vocabulary: int = 8192
    seed: int = 1
    sample_bytes: dict[str, int] = field(default_factory=dict)
    """Bytes of text per source from which merges are learnt."""
    longest_document: int = 200_000


@dataclass(frozen=True)
class Model:
    """A qwen3 decoder: QK-norm, rotary positions, SwiGLU; tied: the embedding is the output matrix as well."""

    vocabulary: int = 8192
    width: int = 256
    layers: int = 8
    heads: int = 4
    kv_heads: int = 4
    head_width: int = 64
    ffn_width: int = 768
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-6
    tied: bool = True


@dataclass(frozen=True)
class Train:
    seed: int = 0
    warm_start: str = ""
    """Checkpoint or GGUF whose weights the run begins with; empty = random weights."""
    device: str = "cpu"
    threads: int = 2
    compile: bool = True
    bf16: bool = True
    rows: int = 8
    """Rows a step; one row is `context` tokens and the one after."""
    context: int = 512
    window: int = 512
    """Tokens that attention sees; with rows longer than that it slides through them as it does in use."""
    budget_tokens: int = 10_000_000
    """Tokens after which the learning rate has come down to its floor. Can be planned anew on resuming."""
    decay_share: float = 0.35
    """Last part of the budget over which the learning rate falls linearly."""
    warmup_steps: int = 40
    floor: float = 0.02
    """Learning rate at the end, as a fraction of the peak."""
    muon: bool = True
    """Hidden matrices by Muon; if not, by AdamW at its rate."""
    muon_rate: float = 0.02
    muon_momentum: float = 0.95
    muon_weight_decay: float = 0.01
    adam_rate: float = 0.004
    clip: float = 1.0
    checkpoint_seconds: float = 300.0
    validate_steps: int = 200
    validate_rows: int = 16
    log_steps: int = 10


@dataclass(frozen=True)
class Export:
    name: str = "llmzip"
    context: int = 2048
    """Context length written into the GGUF (rotary positions have no hard end)."""


@dataclass(frozen=True)
class Evaluate:
    bytes: int = 300_000
    """Leading bytes of each held-out source that are measured."""
    context: int = 512
    shift: int = 128
    """Tokens dropped from the cache when it is full."""
    threads: int = 2
    speed_rounds: int = 5
    streams: tuple[int, ...] = (1, 4, 8, 32)


@dataclass(frozen=True)
class Config:
    paths: Paths = field(default_factory=Paths)
    prepare: Prepare = field(default_factory=Prepare)
    tokenizer: TokenizerTraining = field(default_factory=TokenizerTraining)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    export: Export = field(default_factory=Export)
    evaluate: Evaluate = field(default_factory=Evaluate)


def load(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Read a recipe; `overrides` are TOML assignments such as `train.rows=4` that win over the file.

    Raises ConfigError for unknown settings and wrong types, OSError if the file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            table = tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: not valid TOML: {error}") from error
    for assignment in overrides:
        try:
            _merge(table, tomllib.loads(assignment))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"--set {assignment}: not a TOML assignment (strings need quotes): {error}") from error
    return build(Config, table, "")


def _merge(into: dict[str, Any], table: dict[str, Any]) -> None:
    for key, value in table.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def build(kind: type, table: dict[str, Any], where: str) -> Any:
    """Make a dataclass of `kind` from a table, field by field, refusing what it does not know."""
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{where}{key}"
        if key not in hints:
            raise ConfigError(f"unknown setting {name}; known here: {', '.join(sorted(hints))}")
        hint = hints[key]
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            values[key] = build(hint, value, f"{name}.")
        elif hint == dict[str, Source] and isinstance(value, dict):
            values[key] = {k: build(Source, v, f"{name}.{k}.") for k, v in value.items()}
        elif hint == tuple[int, ...] and isinstance(value, list):
            values[key] = tuple(value)
        elif hint is float and isinstance(value, int) and not isinstance(value, bool):
            values[key] = float(value)
        elif hint in (int, float, str, bool) and type(value) is not hint:
            raise ConfigError(f"setting {name}: expected {hint.__name__}, got {value!r}")
        else:
            values[key] = value
    return kind(**values)
