"""What the benchmarks share: the text, the stages of one text's size, and peak memory of a command."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from llmzip.model._masses import Masses
from numpy.typing import NDArray

from llmzip.codec import policy
from llmzip.codec.block import BlockCodec, Coding, coding_order
from llmzip.codec.evaluation import Session
from llmzip.codec.head import BlockHead
from llmzip.codec.quantiser import PORTABLE_TOLERANCE, Quantiser
from llmzip.container import BlockKind, Header, MemberWriter
from llmzip.model import embedded

CORPORA = Path(__file__).parent.parent / "corpora"


def bench_text() -> bytes:
    """English prose of corpora/, about 200 kB."""
    names = (
        "the-lighthouse-ledger.txt",
        "the-glass-orchard.txt",
        "tides-and-timber.md",
        "field-notes.txt",
        "manual.rst",
    )
    text = b"".join((CORPORA / name).read_bytes() for name in names)
    return text + (CORPORA / "windows-letter.txt").read_bytes().replace(b"\r\n", b"\n")


@dataclass(frozen=True)
class Stages:
    """Bytes of one text after each stage, from one evaluation of the model.

    entropy: cross-entropy of the model alone. exact, portable: the range coder's words with mixing, at tolerance 0 and
    at the portable tolerance. plain_file, file: whole files, without and with mixing.
    """

    tokens: int
    streams: int
    entropy: float
    exact: int
    portable: int
    plain_file: int
    file: int


class _Watcher:
    """Sees the logits while they are quantised, and keeps cross-entropy and the cells of tolerance 0."""

    def __init__(self, codec: BlockCodec, tokens: NDArray[np.int32]) -> None:
        self._tree, self._tokens = codec._tree, tokens
        self._masses, self._quantiser = Masses(codec._tree.order, 1), Quantiser(0)
        self.cells = np.empty((len(tokens), codec._tree.depth), np.uint8)
        self.bits = 0.0

    def __call__(self, indices: NDArray[np.intp], logits: NDArray[np.float32]) -> None:
        tokens = self._tokens[indices]
        odds = np.empty((len(indices), self._tree.depth))
        self._masses.path_odds(logits, self._tree.ranks[tokens], odds)
        self.cells[indices] = self._quantiser.encode(odds)[1]
        wide = logits.astype(np.float64)
        wide -= wide.max(axis=1, keepdims=True)
        chosen = wide[np.arange(len(indices)), tokens]
        self.bits += float((np.log2(np.exp(wide).sum(axis=1)) - chosen / np.log(2)).sum())


def stages(session: Session, data: bytes, wanted_streams: int | None = None) -> Stages:
    """Evaluate a text once and code it in every way."""
    portable, exact = (BlockCodec(session, Coding(embedded.WINDOW, t, True)) for t in (PORTABLE_TOLERANCE, 0))
    text, crlf = portable.tokens_of(data)
    tokens = text.tokens
    streams = policy.streams_for(len(tokens), embedded.WINDOW, wanted_streams)
    watcher = _Watcher(exact, tokens)
    states, cells = portable._quantise(tokens, streams, lambda share: None, watcher)
    order = np.empty(len(tokens), np.intp)
    order[coding_order(len(tokens), streams)] = np.arange(len(tokens))
    exact_words = exact._code(exact._turns(tokens, streams, np.zeros_like(states), watcher.cells[order], True))
    plain, mixed = (portable._code(portable._turns(tokens, streams, states, cells, mixing)) for mixing in (False, True))
    head = BlockHead(crlf, len(tokens), streams, text.literals)

    def whole_file(words: bytes, mixing: bool) -> int:
        sink = io.BytesIO()
        window = embedded.WINDOW
        header = Header(
            mixing=mixing,
            tolerance=PORTABLE_TOLERANCE,
            context=window.context,
            parts=window.parts,
            model=embedded.IDENTITY,
        )
        writer = MemberWriter(sink, header)
        writer.write_block(BlockKind.MODEL, data, head.payload(words))
        return writer.finish().compressed

    return Stages(
        tokens=len(tokens),
        streams=streams,
        entropy=watcher.bits / 8,
        exact=len(exact_words),
        portable=len(mixed),
        plain_file=whole_file(plain, False),
        file=whole_file(mixed, True),
    )


def peak_memory(arguments: list[str], source: Path, sink: Path) -> float:
    """Peak resident memory, in MiB, of `llmzip arguments < source > sink`."""
    with open(source, "rb") as stdin, open(sink, "wb") as stdout:
        process = subprocess.Popen([sys.executable, "-m", "llmzip", *arguments], stdin=stdin, stdout=stdout)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"llmzip {' '.join(arguments)} failed with exit code {process.returncode}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20
