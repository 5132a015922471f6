"""Log odds of millions of turns, by several builds and shapes of batches: what `drift_tail.py` fits the tail of drift to.

usage: drift_odds.py FOLDER --build NAME SHAPE... --texts TEXT...

SHAPE is prefill:STREAMS or steps:STREAMS. The texts (JSON lines with a "text", or plain; .xz of either) are taken in
pieces by turns, and every piece makes one file FOLDER/BUILD-SHAPE-STREAMS/NUMBER.npy: int32 (tokens, K), log odds in units of 1e-8,
and one FOLDER/tokens/NUMBER.npy: int32 (tokens,). What is there is not made again, so a run can be stopped and taken up; without a
SHAPE tokens alone are made. Another build of llama.cpp: set LLAMA_CPP_LIB_PATH.
"""

from __future__ import annotations

import argparse
import itertools
import json
import lzma
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.evaluation import Session, in_steps, prefill
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load_model
from llmzip.codec.pipeline import BlockPipeline
from llmzip.model import embedded

RESOLUTION = 1e-8
TOKENS = "tokens"  # the folder of the pieces' tokens, beside those of log odds
UNCODED = np.iinfo(np.int32).min  # a turn that is not coded
PIECE = 1 << 17  # bytes
NEAR = 32  # blocks of more streams have three quarters of the window


def text_of(path: Path) -> bytes:
    """The documents of a corpus, or a file as it is."""
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    if ".jsonl" not in path.suffixes:
        return data
    return "\n\n".join(json.loads(line)["text"] for line in data.splitlines()).encode()


def pieces(paths: list[Path]) -> Iterator[bytes]:
    """Pieces of all texts, by turns."""
    texts = [text_of(path) for path in paths]
    cut = ([text[at : at + PIECE] for at in range(0, len(text), PIECE)] for text in texts)
    for round_ in itertools.zip_longest(*cut):
        yield from (piece for piece in round_ if piece is not None)


def log_odds(pipeline: BlockPipeline, tokens: NDArray[np.int32], shape: str, streams: int) -> NDArray[np.int32]:
    """Of the turns to every token, (n, K), in units of `RESOLUTION`."""
    layout = Layout(len(tokens), streams)
    window = embedded.WINDOW.near if streams > NEAR else embedded.WINDOW
    if shape == "prefill":
        evaluations = prefill(pipeline.session, tokens, layout, window)
    else:
        evaluations = in_steps(pipeline.session, tokens, layout, window, 1)
    odds = np.empty((len(tokens), pipeline.tree.depth))
    pipeline.odds(tokens, evaluations, odds.__setitem__)
    coded = odds > 0
    found = np.full(odds.shape, UNCODED, np.int32)
    found[coded] = np.rint(np.clip(np.log(odds[coded]), -20, 20) / RESOLUTION).astype(np.int32)
    return found


def save(target: Path, values: NDArray[np.int32]) -> None:
    """Complete, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_suffix(".part"), "wb") as sink:
        np.save(sink, values)
    os.replace(target.with_suffix(".part"), target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--build", required=True)
    parser.add_argument("--most", type=int, help="pieces at most")
    parser.add_argument("--model")
    parser.add_argument("shapes", nargs="*", metavar="SHAPE")
    parser.add_argument("--texts", nargs="+", type=Path, required=True)
    options = parser.parse_args()
    pipeline = BlockPipeline(Session(load_model(options.model, 1)), Coding(embedded.WINDOW, PORTABLE_TOLERANCE, True))
    for number, piece in enumerate(itertools.islice(pieces(options.texts), options.most)):
        kept = options.folder / TOKENS / f"{number:04}.npy"
        if not kept.exists():
            save(kept, pipeline.tokens_of(piece)[0].tokens)
        for spec in options.shapes:
            shape, _, streams = spec.partition(":")
            target = options.folder / f"{options.build}-{shape}-{streams}" / kept.name
            if not target.exists():
                save(target, log_odds(pipeline, np.load(kept), shape, int(streams)))
        print(number, flush=True)


if __name__ == "__main__":
    main()
