"""What a machine's arithmetic can be relied upon for: proofs and measurements on a few tokens, made at run time.

Exact files need the very bits of the machine that made them. A fingerprint of the logits of a short fixed sequence,
evaluated in the steps that the file uses, tells within a moment whether this machine computes them.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmzip.codec.agreement import LEAST_TOLERANCE
from llmzip.codec.evaluation import Disagreement, Session, in_steps, prefill
from llmzip.codec.layout import Layout
from llmzip.coding.cells import BASE_EDGES, UNIT
from llmzip.coding.tree import VocabularyTree
from llmzip.container import Fields
from llmzip.container.fields import encode_varint
from llmzip.container.format import FINGERPRINT_SIZE, MAX_ROWS, printable_text
from llmzip.errors import ArithmeticMismatchError, CorruptError
from llmzip.model._masses import Masses
from llmzip.model.base import Window

# format: the fingerprint. A short window, so that the cache slides several times (models that drop it as a whole do
# that here, too); one stream and two of unequal length.
_CONTEXT, _PARTS = 6, 3
_RUNS = ((1, 10), (2, 5))
_LONGEST_DESCRIPTION = 500

# The proof: runs of which every row is compared, in batches of more rows than a step has; and a long one, for kernels
# that begin at many rows, of which prefill itself compares the last rows.
_PROOF_CONTEXT, _PROOF_RUNS = 18, ((1, 22), (2, 25))
_LONG_CONTEXT, _LONG_RUN = 64, 72

PADDED_ROWS = (2, 8)
"""Rows of a step to try: two make llama.cpp use its kernels for many rows, of quantised weights some begin at eight."""
BARE = 1

_SAMPLE = 24  # tokens on which drift is measured
_MARGIN = 8  # the largest drift of a file exceeds that of a sample, that of another machine that of other batch shapes
_REACH = BASE_EDGES[-1] / UNIT + 1  # log odds; what drifts beyond the outermost edge changes nothing
MOST_TOLERANCE = 4000
"""In units of 1e-6: beyond, the flags cost more than portability is worth (docs/models.md)."""


@dataclass(frozen=True)
class Probe:
    """What an exact file says of the arithmetic it needs.

    rows: of a step at least (`BARE`: as many as streams); fingerprint: 8 bytes; arithmetic: for people.
    """

    rows: int
    fingerprint: bytes
    arithmetic: str

    def pack(self) -> bytes:
        """The bytes of the header's extra."""
        return encode_varint(self.rows) + self.fingerprint + self.arithmetic.encode()

    @classmethod
    def unpack(cls, extra: bytes | None) -> Probe:
        """From the header's extra. Raises CorruptError."""
        fields = Fields(extra or b"", "exact arithmetic without a complete fingerprint of it: the file is damaged")
        rows = fields.varint("the fingerprint of the arithmetic")
        if not 1 <= rows <= MAX_ROWS:
            raise CorruptError(f"impossible steps of {rows} rows: the file is damaged")
        fingerprint = fields.take(FINGERPRINT_SIZE)
        return cls(rows, fingerprint, printable_text(fields.rest(), _LONGEST_DESCRIPTION))


def probe(session: Session) -> Probe:
    """What a file made by this machine and model, in exact mode, needs."""
    rows = proven_rows(session)
    return Probe(rows, fingerprint(session, rows), session.model.arithmetic)


def probe_tokens(count: int, vocabulary: int) -> NDArray[np.int32]:
    """The tokens of the probe: multiples of 2^32 / golden ratio, scattered over the vocabulary."""
    scattered = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2654435769) % np.uint64(1 << 32)
    return (scattered * np.uint64(vocabulary) >> np.uint64(32)).astype(np.int32)


def _window(session: Session, context: int) -> Window:
    return Window(context, min(_PARTS, session.model.window.parts))


def fingerprint(session: Session, rows: int) -> bytes:
    """BLAKE2b, 8 bytes, over the logits of the probe as the decoder would evaluate it."""
    digest = hashlib.blake2b(digest_size=FINGERPRINT_SIZE)
    for streams, count in _RUNS:
        tokens = probe_tokens(count, len(session.model.pieces))
        for _, logits in in_steps(session, tokens, Layout(count, streams), _window(session, _CONTEXT), rows):
            digest.update(logits.astype("<f4", copy=False).tobytes())
    session.release()
    return digest.digest()


def proven_rows(session: Session) -> int:
    """The fewest rows of a step with which steps give the bits of prefill here; `BARE` if none do."""
    if not session.model.rewinds:
        return BARE
    for rows in PADDED_ROWS:
        if all(_agree(session, streams, count, rows) for streams, count in _PROOF_RUNS) and _agrees_at_length(
            session, rows
        ):
            return rows
    return BARE


def _agrees_at_length(session: Session, rows: int) -> bool:
    tokens = probe_tokens(_LONG_RUN, len(session.model.pieces))
    window = _window(session, min(_LONG_CONTEXT, session.model.window.context))
    try:
        for _ in prefill(session, tokens, Layout(_LONG_RUN, 1), window, rows):
            pass
    except Disagreement:
        return False
    finally:
        session.release()
    return True


def _agree(session: Session, streams: int, count: int, rows: int) -> bool:
    tokens = probe_tokens(count, len(session.model.pieces))
    window, layout = _window(session, _PROOF_CONTEXT), Layout(count, streams)
    by_prefill = np.empty((count, len(session.model.pieces)), np.float32)
    try:
        for indices, logits in prefill(session, tokens, layout, window, rows):
            by_prefill[indices] = logits
        for indices, logits in in_steps(session, tokens, layout, window, rows):
            if not np.array_equal(by_prefill[indices].view(np.uint32), logits.view(np.uint32)):
                return False
    except Disagreement:
        return False
    finally:
        session.release()
    return True


def require(session: Session, wanted: Probe) -> None:
    """Raises ArithmeticMismatchError unless this machine and model compute what the file needs."""
    if fingerprint(session, wanted.rows) == wanted.fingerprint:
        return
    raise ArithmeticMismatchError(
        "made in exact mode by arithmetic that this machine does not reproduce ("
        + _difference(wanted.arithmetic, session.model.arithmetic)
        + f"; steps of {wanted.rows} rows): decompress it with that build on such a machine, "
        "or make it anew there with --portable"
    )


def _difference(made: str, here: str) -> str:
    """What differs between two descriptions of arithmetic, part by part."""
    if made == here:
        return f"its description is the same, {here}, so another processor, compiler or library"
    found = []
    for there, local in zip(made.split("; "), here.split("; "), strict=False):
        if there != local:
            first, second = there.split(" "), local.split(" ")
            gone = [word for word in first if word not in second]
            come = [word for word in second if word not in first]
            if gone and come:
                found.append(f"made with {' '.join(gone)}, here {' '.join(come)}")
            else:
                found.append(
                    f"made with {' '.join(gone)}, which is missing here" if gone else f"made without {' '.join(come)}"
                )
    return "; ".join(found) or f"made with {made}, here {here}"


def measured_tolerance(session: Session, tree: VocabularyTree, tokens: NDArray[np.int32]) -> int:
    """The drift of log odds that a portable file must tolerate, in units of 1e-6: what is known of the kind of network, or more
    where batch shapes differ more here.

    tokens: of some text.
    """
    least = max(LEAST_TOLERANCE, session.model.drift)
    tokens = tokens[:_SAMPLE]
    if not len(tokens) or least > MOST_TOLERANCE:
        return least
    masses, layout = Masses(tree.order, 1), Layout(len(tokens), 1)
    found = []
    for evaluations in (
        prefill(session, tokens, layout, session.model.window),
        in_steps(session, tokens, layout, session.model.window, BARE),
    ):
        odds = np.empty((len(tokens), tree.depth))
        for indices, logits in evaluations:
            some = np.empty((len(indices), tree.depth))
            masses.path_odds(logits, tree.ranks[tokens[indices]], some)
            odds[indices] = some
        found.append(odds)
    session.release()
    drift = float(drifts(found[0], found[1]).max(initial=0))
    return max(least, math.ceil(_MARGIN * drift * 1e6))


def drifts(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the log odds of turns differ between two evaluations, (turns,), of those that lie within reach of an edge; odds (n, K)."""
    one, other = (np.log(np.maximum(odds, 1e-300)) for odds in (one, other))
    return np.abs(one - other)[np.abs(one) < _REACH]
