"""What the benchmarks share: the text, the stages of one text's size, and peak memory of a command."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from texts import CORPORA

from llmzip.codec import policy
from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.evaluation import Session
from llmzip.codec.head import BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.observer import Observer
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantising import Cells
from llmzip.container import BlockKind, Header, MemberWriter
from llmzip.model import embedded


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


class _Watcher(Observer):
    """Sees the logits while they are quantised, and keeps cross-entropy and the cells of tolerance 0."""

    def __init__(self, exact: BlockPipeline, tokens: NDArray[np.int32], layout: Layout) -> None:
        self._exact, self._tokens, self._rows = exact, tokens, layout.rows
        count = len(tokens)
        self.cells = Cells(np.zeros(count, np.uint8), np.empty((count, exact.tree.depth), np.uint8))
        self.bits = 0.0

    def logits(self, indices: NDArray[np.intp], logits: NDArray[np.float32]) -> None:
        tokens = self._tokens[indices]
        self._exact.odds(self._tokens, [(indices, logits)], self._keep)
        wide = logits.astype(np.float64)
        wide -= wide.max(axis=1, keepdims=True)
        chosen = wide[np.arange(len(indices)), tokens]
        self.bits += float((np.log2(np.exp(wide).sum(axis=1)) - chosen / np.log(2)).sum())

    def _keep(self, indices: NDArray[np.intp], odds: NDArray[np.float64]) -> None:
        self.cells.cells[self._rows[indices]] = self._exact.quantiser.encode(odds)[1]


def stages(session: Session, data: bytes, wanted_streams: int | None = None) -> Stages:
    """Evaluate a text once and code it in every way."""
    portable, exact = (BlockPipeline(session, Coding(embedded.WINDOW, t, True)) for t in (PORTABLE_TOLERANCE, 0))
    text, crlf = portable.tokens_of(data)
    tokens = text.tokens
    streams = policy.streams_for(len(tokens), wanted_streams)
    layout = Layout(len(tokens), streams)
    watcher = _Watcher(exact, tokens, layout)
    cells = portable.quantise(tokens, layout, observer=watcher)
    exact_words = exact.words(exact.turns(tokens, layout, watcher.cells))
    plain, mixed = (portable.words(portable.turns(tokens, layout, cells, mixing=mixing)) for mixing in (False, True))
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
