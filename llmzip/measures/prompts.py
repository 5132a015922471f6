"""Prompts made shorter without loss: repeated runs of tokens become meta-tokens, and a dictionary stands in front.

After Harvill et al., "Lossless Token Sequence Compression via Meta-Tokens" (arXiv 2506.00307). Two forms, both exactly
invertible. As ids, for a vocabulary of V tokens: V opens the dictionary, V + 1 closes it, V + 2 + k stands for run k:

    V  V+2 run 0  V+3 run 1 ...  V+1  body

As text, for people and for models whose vocabulary cannot grow, with markers that do not occur in the text:

    <|dict|><|0|>run 0<|1|>run 1<|/dict|>body

A sequence that would not get shorter stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmzip.measures.runs import Replaced, replace_runs

_DELIMITERS = 2
_HEAD = re.compile(rb"<(\|+)dict\1>")


@dataclass(frozen=True)
class Saved:
    """What a prompt saves. before, after: tokens, the dictionary and its delimiters included; entries: runs in the dictionary;
    dictionary: tokens of it with delimiters; bytes: of the text, None where only ids are known."""

    before: int
    after: int
    entries: int
    dictionary: int
    bytes: int | None = None

    @property
    def tokens(self) -> float:
        """Share of the tokens saved."""
        return 1 - self.after / self.before if self.before else 0.0

    @property
    def attention(self) -> float:
        """Share of the computation of attention saved, which grows with the square of the length (as the paper counts)."""
        return 1 - (self.after / self.before) ** 2 if self.before else 0.0


def _useful(sequence: NDArray[np.int64], longest: int | None) -> Replaced:
    found = replace_runs(sequence, longest)
    return found if found.length + _DELIMITERS < len(sequence) else Replaced([], sequence)


def shorten(
    tokens: Sequence[int] | NDArray[np.int64], vocabulary: int, longest: int | None = None
) -> NDArray[np.int64]:
    """Token ids (n,) with meta-tokens and the dictionary in front, (m,), m <= n. Raises ValueError for ids outside 0 .. vocabulary-1."""
    ids = np.asarray(tokens, np.int64)
    if len(ids) and not (ids.min() >= 0 and ids.max() < vocabulary):
        raise ValueError(f"token ids must be 0 to {vocabulary - 1}")
    found = _useful(ids, longest)
    if not found.runs:
        return ids
    parts = [np.array([vocabulary], np.int64)]
    for k, run in enumerate(found.runs):
        parts += [np.array([vocabulary + _DELIMITERS + k], np.int64), run]
    body = np.where(found.body < 0, vocabulary + _DELIMITERS - 1 - found.body, found.body)
    return np.concatenate([*parts, np.array([vocabulary + 1], np.int64), body])


def restore(ids: Sequence[int] | NDArray[np.int64], vocabulary: int) -> NDArray[np.int64]:
    """The tokens (n,) that `shorten` was given. Raises ValueError for ids that it does not give."""
    found = np.asarray(ids, np.int64)
    if not len(found) or found[0] != vocabulary:
        if len(found) and not (found.min() >= 0 and found.max() < vocabulary):
            raise ValueError("meta-tokens without a dictionary in front")
        return found
    closing = np.flatnonzero(found == vocabulary + 1)
    if len(closing) != 1 or (found == vocabulary).sum() != 1 or found.min() < 0:
        raise ValueError("the dictionary is not closed, or there are two")
    dictionary, body = found[1 : closing[0]], found[closing[0] + 1 :]
    first = vocabulary + _DELIMITERS
    starts = np.flatnonzero(dictionary >= first)
    if len(starts) == 0 or starts[0] != 0 or (dictionary[starts] != first + np.arange(len(starts))).any():
        raise ValueError("the dictionary's meta-tokens do not follow one another")
    if (body >= first + len(starts)).any():
        raise ValueError("a meta-token stands in no dictionary")
    stops = [*starts[1:].tolist(), len(dictionary)]
    runs = [dictionary[start + 1 : stop] for start, stop in zip(starts.tolist(), stops, strict=True)]
    return Replaced(runs, np.where(body >= first, first - 1 - body, body)).expand()


def saved(
    tokens: Sequence[int] | NDArray[np.int64], longest: int | None = None, text_bytes: int | None = None
) -> Saved:
    """What shortening these tokens saves."""
    found = _useful(np.asarray(tokens, np.int64), longest)
    dictionary = sum(len(run) + 1 for run in found.runs) + (_DELIMITERS if found.runs else 0)
    return Saved(len(tokens), dictionary + len(found.body), len(found.runs), dictionary, text_bytes)


def shorten_text(stretches: Sequence[bytes], longest: int | None = None) -> bytes:
    """A text, given as the stretches that its tokens stand for, in the text form. Equal stretches count as equal tokens."""
    text = b"".join(stretches)
    known = {stretch: number for number, stretch in enumerate(dict.fromkeys(stretches))}
    found = _useful(np.array([known[stretch] for stretch in stretches], np.int64), longest)
    if not found.runs and not _HEAD.match(text):
        return text
    bars = b"|"
    while b"<" + bars in text:
        bars += b"|"
    # Only marks of just so many bars are marks: a longer row of them cannot begin in the text, nor end in it.
    spelt = list(known)

    def written(numbers: NDArray[np.int64]) -> bytes:
        return b"".join([spelt[i] if i >= 0 else _mark(bars, b"%d" % (-1 - i)) for i in numbers.tolist()])

    entries = [_mark(bars, b"%d" % k) + written(run) for k, run in enumerate(found.runs)]
    return b"".join([_mark(bars, b"dict"), *entries, _mark(bars, b"/dict"), written(found.body)])


def restore_text(text: bytes) -> bytes:
    """The text that `shorten_text` was given. Raises ValueError for a text form that it does not give."""
    head = _HEAD.match(text)
    if not head:
        return text
    bars = head[1]
    dictionary, found, body = text[head.end() :].partition(_mark(bars, b"/dict"))
    if not found:
        raise ValueError("the dictionary is not closed")
    mark = re.compile(b"<" + re.escape(bars) + rb"(\d+)" + re.escape(bars) + b">")
    before, *entries = mark.split(dictionary)
    runs = entries[1::2]
    if before or [int(name) for name in entries[::2]] != list(range(len(runs))):
        raise ValueError("the dictionary's marks do not follow one another")

    def run(place: re.Match[bytes]) -> bytes:
        if int(place[1]) >= len(runs):
            raise ValueError(f"{place[0].decode()} stands in no dictionary")
        return runs[int(place[1])]

    return mark.sub(run, body)


def _mark(bars: bytes, name: bytes) -> bytes:
    return b"<" + bars + name + bars + b">"
