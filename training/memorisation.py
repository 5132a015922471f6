"""Whether a model repeats its training text: how far it would go on with it word for word, beside held-out text of the same source.

Greedy decoding repeats a text from a place on for as long as the likeliest token is the one that comes, so one evaluation of the text
tells the length of every such run (what Carlini et al., "Quantifying memorization across neural language models", 2023, call
extractable, for every length of the prompt at once). A model that had learnt texts by heart would show far more and longer runs in text
that it was trained on; runs in both are what anybody can guess: lists, tables, licences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from . import checkpoint
from .config import Config
from .model import Decoder
from .prepare import load_tokens, token_path

PROMPT = 50  # tokens before anything is counted
LONG = 20  # tokens of a run worth looking at


@dataclass(frozen=True)
class Found:
    """What was seen in one kind of text."""

    bits: float
    """Mean surprisal, bits a token."""
    guessed: float
    """Share of tokens that were the likeliest one."""
    long: float
    """Share of places from which at least LONG tokens in a row were."""
    longest: int
    """Tokens of the longest run."""
    text: NDArray[np.int64]
    """Its tokens."""


def runs(right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For every place of (rows, time) how many places in a row are right from it on."""
    result = np.zeros(right.shape, np.int64)
    following = np.zeros(right.shape[0], np.int64)
    for place in range(right.shape[1] - 1, -1, -1):
        following = np.where(right[:, place], following + 1, 0)
        result[:, place] = following
    return result


@torch.no_grad()
def look(model: Decoder, rows: NDArray[np.int64], batch: int = 4) -> Found:
    """What the model makes of rows (rows, time + 1)."""
    losses, right = [], []
    for part in torch.from_numpy(rows).split(batch):
        logits, targets = model(part[:, :-1]).float(), part[:, 1:]
        losses.append(F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").numpy()[:, PROMPT:])
        right.append((logits.argmax(-1) == targets).numpy()[:, PROMPT:])
    hits = np.concatenate(right)
    lengths = runs(hits)
    row, place = np.unravel_index(int(lengths.argmax()), lengths.shape)
    longest = int(lengths[row, place])
    first = PROMPT + 1 + int(place)
    bits = float(np.concatenate(losses).mean()) / math.log(2)
    return Found(bits, float(hits.mean()), float((lengths >= LONG).mean()), longest, rows[row, first : first + longest])


def drawn(tokens: NDArray[np.uint16], count: int, context: int, seed: int) -> NDArray[np.int64]:
    """Rows (count, context + 1) from evenly spaced places, moved a little by chance."""
    room = len(tokens) - context - 1
    if room < 0:
        raise ValueError(f"{len(tokens)} tokens are too few for rows of {context}")
    places = (np.arange(count) + np.random.default_rng(seed).random(count)) * room / count
    return np.stack([np.asarray(tokens[p : p + context + 1], np.int64) for p in places.astype(np.int64)])


def memorisation(config: Config, path: str, rows: int) -> list[str]:
    """A Markdown table, a source a line, and the longest run of each in training text."""
    from tokenizers import Tokenizer

    state = checkpoint.load(path)
    model = Decoder(state["model"], config.train.window)
    model.load_state_dict(state["weights"])
    torch.set_num_threads(config.train.threads)
    tokenizer = Tokenizer.from_file(config.paths.tokenizer)
    lines = [
        f"| source | text | bits a token | guessed | {LONG} in a row | longest run |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    told = []
    for source in config.prepare.sources:
        for part, name in (("train", "training"), ("validation", "held out")):
            if not token_path(config.paths.work, part, source).exists():
                continue
            tokens = load_tokens(config.paths.work, part, source)
            found = look(model, drawn(tokens, rows, config.train.context, config.train.seed))
            lines.append(
                f"| {source} | {name} | {found.bits:.3f} | {100 * found.guessed:.1f} % | {100 * found.long:.3f} % | {found.longest} |"
            )
            told.append(f"{source}, {name}: {tokenizer.decode(found.text.tolist())!r}")
    return [*lines, "", *told]
