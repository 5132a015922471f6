"""How far repair reaches in real blocks: turns misread on purpose, at a distance of one's choice from the edge.

usage: repair_real.py TEXT [--bytes N] [--streams S] [--distances D...] [--trials N]

A block is encoded with one turn in the cell beyond its nearest edge, as if this machine drifted by so much; what `repair_reach.py` simulates is
then done by the network and the mixer. Printed: the rows until the text was found, in decodings of the block, beside how many
rows behind the misread turn the reading showed its first violation.
"""

from __future__ import annotations

import argparse
import random
from functools import partial
from pathlib import Path

import numpy as np
from drift_odds import NEAR
from numpy.typing import NDArray

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.evaluation import Session
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load_model
from llmzip.codec.lockstep import LockStep
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantising import Cells
from llmzip.codec.repair import Astray, Doubts, Turn, readings
from llmzip.codec.rereading import Rereader
from llmzip.coding.cells import SAFE
from llmzip.container.standards import STANDARDS
from llmzip.model import embedded


class First(Rereader[NDArray[np.int32]]):
    """Notes where the first reading ended."""

    ended = 0

    def read(self, doubts: Doubts) -> NDArray[np.int32]:
        try:
            return super().read(doubts)
        finally:
            self.ended = self.ended or doubts.row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--bytes", type=int, default=200_000)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--distances", type=float, nargs="*", default=[1, 20, 60, 150], help="in tolerances")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--patience", type=float, default=20.0, help="given up after so many times one decoding")
    options = parser.parse_args()
    coding = Coding(embedded.WINDOW, PORTABLE_TOLERANCE, True, table=STANDARDS[-1].table)
    pipeline = BlockPipeline(Session(load_model(None, 1)), coding)
    pipeline = pipeline.near if options.streams > NEAR else pipeline
    text = options.text.read_bytes()[: options.bytes]
    tokens = pipeline.tokens_of(text)[0].tokens
    layout = Layout(len(tokens), options.streams)
    odds = np.empty((layout.count, pipeline.tree.depth))
    in_rows = layout.rows
    pipeline.odds(tokens, pipeline.evaluate(tokens, layout), lambda at, found: odds.__setitem__(in_rows[at], found))
    states, cells = pipeline.cells(layout.in_rows(tokens), odds)
    distances, beyond = pipeline.quantiser.nearest(odds, states, cells)
    print(f"{layout.count} tokens in {options.streams} streams")
    chance = random.Random(1)
    for distance in options.distances:
        near = (np.abs(distances / distance - 1) < 0.1) & (states == SAFE)[:, None]
        near[: layout.count // 4] = near[layout.count * 3 // 4 :] = False
        found = []
        for row, level in chance.sample(np.argwhere(near).tolist(), options.trials):
            changed = Cells(states, cells.copy())
            changed.cells[row, level] = beyond[row, level]
            words = pipeline.words(pipeline.turns(tokens, layout, changed))
            reader = First(
                partial(LockStep, pipeline, words, layout, keeping=True), layout, options.patience * layout.count
            )
            taken = "not found"
            try:
                for reading in readings(reader, pipeline.quantiser, options.streams):
                    if np.array_equal(reading, tokens):
                        taken = f"{options.patience - reader.left / layout.count:.2f}"
                        break
            except Astray:
                pass
            found.append(
                f"{taken} ({reader.ended - row} rows of noise, {Turn(row // options.streams, row % options.streams, level)})"
            )
        print(f"{distance:g} tolerances: " + "; ".join(found), flush=True)


if __name__ == "__main__":
    main()
