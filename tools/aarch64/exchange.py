"""Two builds of llmzip write blocks and read those of each other, in pieces that can be stopped and gone on with.

    python exchange.py NAME OTHER FOLDER

FOLDER/pieces has the texts, one a file. NAME writes FOLDER/NAME/PIECE by the table alone (`.table`) and by the network (`.network`, with
the odds of its turns beside it), and reads what OTHER wrote there. Run it with both Pythons, in turn or at once, as often as one likes; each
line of FOLDER/NAME.tsv says what was read: piece, bytes, processor time, "ok" or what was wrong. FOLDER/stop ends it.

    python exchange.py --drift NAME OTHER FOLDER

compares the odds that both found, and adds up what was read.

    python exchange.py --pieces FOLDER TEXT...

cuts FOLDER/pieces from texts (JSON lines with a "text" in xz, or plain), in turn, so that whatever was done at a time is of all kinds.
"""

from __future__ import annotations

import json
import lzma
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from llmzip.codec import Codec
from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session
from llmzip.codec.head import BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.locate import load_model
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantising import Cells
from llmzip.model import embedded

STREAMS = (1, 4)
PIECE, PIECES = 2000, 17  # bytes of a piece, pieces of a text


def by_network(pipeline: BlockPipeline, data: bytes, streams: int, odds_file: Path) -> bytes:
    """The payload of a block, and the odds of its turns in a file."""
    text, crlf = pipeline.tokens_of(data)
    tokens = np.asarray(text.tokens, np.int32)
    layout = Layout(len(tokens), streams)
    odds = np.empty((layout.count, pipeline.tree.depth))
    pipeline.odds(tokens, pipeline.evaluate(tokens, layout), odds.__setitem__)
    np.save(odds_file, odds)
    found = Cells(np.empty(layout.count, np.uint8), np.empty(odds.shape, np.uint8))
    found.states[layout.rows], found.cells[layout.rows] = pipeline.cells(tokens, odds)
    words = pipeline.words(pipeline.turns(tokens, layout, found))
    return BlockHead(crlf, layout.count, streams, text.literals, spaced=text.spaced).payload(words)


def exchange(name: str, other: str, folder: Path) -> None:
    """Write and read all pieces that are not done."""
    own, log = folder / name, folder / f"{name}.tsv"
    kinds = len({piece.name.partition("-")[2] for piece in (folder / "pieces").iterdir()})
    own.mkdir(exist_ok=True)
    table, pipeline = Codec(level=1, threads=1), None
    read = {line.split("\t")[0] for line in log.read_text().splitlines()} if log.exists() else set()
    for kind in ("table", "network"):
        for number, piece in enumerate(sorted((folder / "pieces").iterdir())):
            if (folder / "stop").exists():
                return
            data, target = piece.read_bytes(), own / f"{piece.name}.{kind}"
            source = folder / other / target.name
            if kind == "network" and pipeline is None:
                session = Session(load_model(None, 1))
                pipeline = BlockPipeline(session, Coding(embedded.WINDOW, PORTABLE_TOLERANCE, True))
            if not target.exists():
                if kind == "table":
                    packed = table.compress(data)
                else:
                    # Of each kind, too, half the pieces have one stream.
                    streams = STREAMS[(number + number // kinds) % 2]
                    packed = by_network(pipeline, data, streams, own / f"{piece.name}.npy")
                target.with_suffix(".new").write_bytes(packed)
                target.with_suffix(".new").rename(target)
            if target.name in read or not source.exists():
                continue
            began, packed = time.process_time(), source.read_bytes()
            try:
                if kind == "table":
                    found = table.decompress(packed)
                else:
                    found = decode_block(pipeline, packed, len(data), data.__eq__, patience=0)[0]
                result = "ok" if found == data else "wrong bytes"
            except Exception as error:
                result = repr(error)
            with open(log, "a") as lines:
                lines.write(f"{target.name}\t{len(data)}\t{time.process_time() - began:.1f}\t{result}\n")


def drift(name: str, other: str, folder: Path) -> None:
    """How far the log odds of coded turns lie from each other."""
    apart = []
    for file in sorted((folder / name).glob("*.npy")):
        if (folder / other / file.name).exists():
            one, two = np.load(file), np.load(folder / other / file.name)
            coded = (one > 0) & (two > 0) & np.isfinite(one) & np.isfinite(two)
            z = np.log(one[coded].astype(np.float64)), np.log(two[coded].astype(np.float64))
            apart.append(np.abs(z[0] - z[1])[np.abs(z[0]) < 9.7])
    found = np.concatenate(apart)
    print(
        f"{len(apart)} pieces, {len(found)} turns: rms {np.sqrt((found**2).mean()):.2e}, largest {found.max():.2e}, {(found > 1e-5).sum()} > 1e-5"
    )
    for reader in (name, other):
        if not (folder / f"{reader}.tsv").exists():
            continue
        sums: Counter[tuple[str, str, str]] = Counter()
        for line in (folder / f"{reader}.tsv").read_text().splitlines():
            piece, size, _, result = line.split("\t")
            (stem, _, way), right = piece.partition("."), result if result == "ok" else "WRONG"
            for kind in (stem.partition("-")[2], "all"):
                sums[way, kind, right] += int(size)
        print(
            reader,
            "read",
            ", ".join(f"{size} bytes {way} {kind} {right}" for (way, kind, right), size in sorted(sums.items())),
        )


def cut(folder: Path, texts: list[Path]) -> None:
    """Pieces at even distances from each text, of whole characters."""
    (folder / "pieces").mkdir(parents=True, exist_ok=True)
    for kind, path in enumerate(texts):
        if path.name.endswith(".jsonl.xz"):
            with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
                text = "\n".join(json.loads(line)["text"] for line in lines).encode()
        else:
            text = path.read_bytes()
        name = path.name.partition(".")[0].rpartition("-")[2]
        for number in range(PIECES):
            start = len(text) * number // PIECES
            piece = text[start : start + PIECE].decode(errors="ignore").encode()
            (folder / "pieces" / f"{number * len(texts) + kind:03}-{name}").write_bytes(piece)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    if "--pieces" in sys.argv:
        cut(Path(arguments[0]), [Path(argument) for argument in arguments[1:]])
    else:
        (drift if "--drift" in sys.argv else exchange)(arguments[0], arguments[1], Path(arguments[2]))
