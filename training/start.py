"""What the mixer begins with where there is no network (docs/format.md, "The start"): a tree of few turns for the tokens of
texts of all traits, and weights learnt from stretches of the training text."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmzip.coding.mixing import Mixer
from llmzip.coding.packaged import identity_of
from llmzip.coding.start_file import Start
from llmzip.coding.table_file import embedded_table
from llmzip.coding.tree import VocabularyTree
from llmzip.text.embedded_vocabulary import digit_speller, pieces
from llmzip.text.tokens import TokenText

from .alphabetic import lengths
from .config import Config
from .prepare import token_path

DEPTH = 16
FLOOR = 2.0**-15  # added to each token's share: what the depth of the tree has room for
COUNTED = 3_000_000  # tokens of a source whose frequency is looked at
STRETCH = 30_000  # tokens learnt from at a time
VISITS = 1500  # what a row of weights counts as at most: the text at hand shall weigh more
OBSERVATIONS = 60  # and what a state of a map does
WEIGHT_STEP = 8  # of 2^-10: finer weights gain nothing
SEED = 1
MEAN_FROM = 31  # stretches, after which the weights count: what stays is their mean, which no single stretch has bent

# Shares of the tokens of each source, and how many stretches are learnt from. `records`, and a part of everything, are
# numbers digit by digit, as the codec spells them.
SHARES = {"book": 0.22, "wiki": 0.21, "talk": 0.03, "docs": 0.18, "code": 0.22, "euro": 0.04, "records": 0.06}
DIGITS = 0.1
STRETCHES = {"book": 14, "wiki": 12, "docs": 16, "code": 20, "talk": 6, "records": 20, "euro": 4}


def _tokens(config: Config, source: str) -> NDArray[np.int32]:
    """Prepared tokens of one source, without the control token."""
    tokens = np.memmap(token_path(config.paths.work, "train", source), np.uint16, "r")
    return tokens[tokens < len(pieces()) - 1].astype(np.int32)


def tree_lengths(config: Config, tree: VocabularyTree) -> bytes:
    """Turns on the way to each leaf."""
    weights = np.zeros(tree.leaves)
    for source, share in SHARES.items():
        ranks = tree.ranks[_tokens(config, source)[:COUNTED]]
        weights += share * np.bincount(ranks, minlength=tree.leaves) / max(1, len(ranks))
    for token, piece in enumerate(pieces()):
        if len(piece) == 1 and piece.isdigit():
            weights[tree.ranks[token]] += DIGITS / 10
    # Coarser steps where the tree would be too deep.
    floor = FLOOR
    while max(found := lengths(weights / weights.sum() + floor)) > DEPTH:
        floor *= 2
    return bytes(found)


def make_start(config: Config) -> bytes:
    """The file."""
    tree = VocabularyTree(pieces())
    start = Start.untaught(tree_lengths(config, tree))
    generator = np.random.default_rng(SEED)
    plan = [source for source, count in STRETCHES.items() for _ in range(count)]
    generator.shuffle(plan)
    total, last = np.zeros(0), len(plan) - MEAN_FROM
    for number, source in enumerate(plan):
        tokens = _tokens(config, source)
        first = int(generator.integers(0, max(1, len(tokens) - STRETCH)))
        stretch = tokens[first : first + STRETCH]
        if source == "records":
            data = b"".join(pieces()[token] for token in stretch)
            stretch = digit_speller().spell(TokenText(stretch, []), data).tokens
        start = _learnt(start, tree, tree.ranks[stretch])
        if number == MEAN_FROM:
            total = np.zeros(len(start.weights))
        if number >= MEAN_FROM:
            total += start.weights
    start = start.with_weights(np.rint(total / last).astype(np.int16))
    return zlib.compress(start.resting(VISITS, OBSERVATIONS, WEIGHT_STEP).data, 9)


def _learnt(start: Start, tree: VocabularyTree, ranks: NDArray[np.uint32]) -> Start:
    """A start that has seen one more stretch."""
    mixer = Mixer(tree.leaves, 1, len(ranks), flags=False, table=embedded_table(), traits=tree.traits, start=start)
    mixer.encode(ranks, np.zeros(len(ranks), np.uint8), None)
    return Start(mixer.learnt())


def write_start(config: Config, output: Path) -> None:
    """Make the file and say what it is."""
    data = make_start(config)
    output.write_bytes(data)
    print(f"{output}: {len(data)} bytes, identity {identity_of(data).hex()}")
