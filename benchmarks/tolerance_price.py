"""What a tolerance costs: the same log odds, as `drift_odds.py` saved them, coded with several tolerances.

usage: tolerance_price.py ODDS... --texts TEXT... [--tolerance MICRO...]

ODDS are files NUMBER.npy of a folder that drift_odds.py made from the same texts. Printed: the range coder's bytes for each tolerance, and the
tokens that are coded by the second grid, or without the network's opinion.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from drift_odds import RESOLUTION, UNCODED, pieces

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.evaluation import Session
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load_model
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantising import Cells
from llmzip.model import embedded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("odds", nargs="+", type=Path)
    parser.add_argument("--texts", nargs="+", type=Path, required=True)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--tolerance", type=int, nargs="*", default=[0, 30, 60, PORTABLE_TOLERANCE, 240])
    options = parser.parse_args()
    session = Session(load_model(None, 1))
    for file in options.odds:
        data = next(itertools.islice(pieces(options.texts), int(file.stem), None))
        saved, first = np.load(file), 0
        odds = np.where(saved == UNCODED, 0.0, np.exp(saved * RESOLUTION))
        layout = Layout(len(odds), options.streams)
        for tolerance in options.tolerance:
            pipeline = BlockPipeline(session, Coding(embedded.WINDOW, tolerance, True))
            tokens = pipeline.tokens_of(data)[0].tokens
            found = Cells(np.zeros(layout.count, np.uint8), np.empty(odds.shape, np.uint8))
            states, found.cells[layout.rows] = pipeline.cells(tokens, odds)
            if tolerance:
                found.states[layout.rows] = states
            size = len(pipeline.words(pipeline.turns(tokens, layout, found)))
            first = first or size
            shares = ", ".join(f"{(found.states == state).mean():.2%}" for state in (1, 2))
            print(
                f"{file.name} {len(data)} bytes, {tolerance}e-6: {size} ({size / first - 1:+.2%}); {shares}", flush=True
            )


if __name__ == "__main__":
    main()
