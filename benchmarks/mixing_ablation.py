"""What each part of the mixer is worth: bytes of turns with all parts, and how much more they take without each one.

usage: mixing_ablation.py [--streams N] [--cells FOLDER | --alone] [FILE...]

Without files the texts of corpora/. Texts are evaluated in one stream. --cells keeps what the model said of each text in
FOLDER (NAME.npz: ranks, cells, leaves, bytes) and takes it from there next time; without files, all of FOLDER is
measured. --streams N lays the same turns out in N streams. --alone: without the network, as at level 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from texts import texts

from llmzip.codec.agreement import Coding
from llmzip.codec.codec import Codec
from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.coding import _mixer
from llmzip.coding.cells import CENTRES
from llmzip.coding.mixing import memory_for
from llmzip.coding.start_file import embedded_start
from llmzip.coding.table_file import embedded_table
from llmzip.coding.tree import VocabularyTree
from llmzip.model import embedded
from llmzip.text.embedded_vocabulary import pieces

PARTS = {name: 1 << bit for bit, name in enumerate(_mixer.PARTS)}
ALL = sum(PARTS.values())


@dataclass(frozen=True)
class Turns:
    """A text as the mixer sees it: ranks (n,), cells (n, depth) or None without a network, in the order of the text; leaves
    of the vocabulary."""

    name: str
    length: int
    leaves: int
    ranks: NDArray[np.uint32]
    cells: NDArray[np.uint8] | None

    @classmethod
    def load(cls, path: Path) -> Turns:
        """From a file of --cells."""
        with np.load(path) as kept:
            return cls(path.stem, int(kept["bytes"]), int(kept["leaves"]), kept["ranks"], kept["cells"])

    def save(self, path: Path) -> None:
        """To a file of --cells."""
        np.savez_compressed(path, ranks=self.ranks, cells=self.cells, leaves=self.leaves, bytes=self.length)


def evaluate(pipeline: BlockPipeline, path: Path) -> Turns:
    """What the model says of a file, at tolerance 0."""
    data = path.read_bytes()
    tokens = pipeline.tokens_of(data)[0].tokens
    cells = pipeline.quantise(tokens, Layout(len(tokens), 1)).cells
    return Turns(path.name, len(data), pipeline.tree.leaves, pipeline.tree.ranks[tokens], cells)


def turns_of(files: list[Path], folder: Path | None) -> Iterator[Turns]:
    """The turns of each file, or of everything kept where there are no files."""
    if folder and not files:
        yield from (Turns.load(path) for path in sorted(folder.glob("*.npz")))
        return
    if not files:
        files = texts()
    with Codec() as codec:
        pipeline = BlockPipeline(codec.session, Coding(embedded.WINDOW, 0, True))
        for path in files:
            kept = folder / f"{path.name}.npz" if folder else None
            if kept and kept.exists():
                yield Turns.load(kept)
                continue
            turns = evaluate(pipeline, path)
            if kept:
                folder.mkdir(parents=True, exist_ok=True)
                turns.save(kept)
            yield turns


def alone(path: Path) -> Turns:
    """A file as level 1 codes it."""
    with Codec(level=1) as codec:
        pipeline = codec.choice.pipeline(codec.choice.for_writing().coding)
        data = path.read_bytes()
        tokens = pipeline.tokens_of(data)[0].tokens
    return Turns(path.name, len(data), pipeline.tree.leaves, pipeline.tree.ranks[tokens], None)


def size(turns: Turns, streams: int, mix: bool, parts: int = ALL) -> float:
    """Ideal length of the coded turns in bytes."""
    count = len(turns.ranks)
    streams = max(1, min(streams, count))
    ranks, layout = np.empty_like(turns.ranks), Layout(count, streams)
    ranks[layout.rows] = turns.ranks
    cells = None if turns.cells is None else np.empty_like(turns.cells)
    if cells is not None:
        cells[layout.rows] = turns.cells
    states = np.zeros(count, np.uint8)
    mixer = _mixer.Mixer(
        turns.leaves,
        CENTRES,
        streams,
        count,
        mix=mix,
        flags=False,
        parts=parts,
        memory=memory_for(count),
        table=embedded_table() if mix else None,
        traits=VocabularyTree(pieces()).traits,
        start=embedded_start().data if cells is None else None,
    )
    total = 0.0
    for start, stop in layout.runs():
        of_rows = None if cells is None else cells[start:stop]
        bits, probabilities = mixer.encode(ranks[start:stop], states[start:stop], of_rows)
        bit, chance = np.frombuffer(bits, np.uint8), np.frombuffer(probabilities, np.uint16) / 65536
        total -= float(np.log2(np.where(bit == 1, chance, 1 - chance)).sum())
    return total / 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--cells", type=Path)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("files", type=Path, nargs="*")
    options = parser.parse_args()
    print("bytes of the turns without and with mixing; then what they grow by without one part\n")
    print(f"| {'text':24} | {'bytes':>7} | no mixing | mixing | gain | " + " | ".join(PARTS) + " |")
    print("| --- " * (5 + len(PARTS)) + "|")
    every = map(alone, options.files or texts()) if options.alone else turns_of(options.files, options.cells)
    for turns in every:
        mixed = size(turns, options.streams, True)
        plain = mixed if turns.cells is None else size(turns, options.streams, False)
        without = (size(turns, options.streams, True, ALL & ~part) / mixed - 1 for part in PARTS.values())
        print(
            f"| {turns.name:24} | {turns.length:7,} | {plain:,.0f} | {mixed:,.0f} | {1 - mixed / plain:.1%} | "
            + " | ".join(f"{share:+.2%}" for share in without)
            + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
