"""The tail of drift: a fit to the log odds that `drift_odds.py` saved, and what it means for files.

usage: drift_tail.py FOLDER [--tolerance MICRO...] [--peaks N] [--together]

Every two arithmetics (builds, shapes of batches) are compared, turn by turn, where they have as many streams. The largest drift of a token's
turns is what is fitted, since turns of a token drift together: peaks over a threshold with a generalised Pareto distribution, by maximum likelihood
(Coles, An Introduction to Statistical Modeling of Extreme Values, chapter 4), 95 % intervals by a bootstrap over stretches of text.
Line ends drift further than all other tokens, and encoders keep further away from edges with them, so each of the two has a fit of its own.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from drift_odds import RESOLUTION, TOKENS, UNCODED
from numpy.typing import NDArray
from scipy.stats import genpareto

from llmzip.codec.quantiser import LINE_END, LINE_MARGIN
from llmzip.coding.cells import BASE_EDGES, UNIT
from llmzip.text.embedded_vocabulary import embedded_vocabulary

REACH = BASE_EDGES[-1] / UNIT + 1  # log odds: beyond, drift changes nothing
COUNTED = (1e-5, 2e-5, 3e-5, 4e-5, 6e-5, 1.2e-4)
FLOOR = 4e-6  # log odds: drifts below are not kept, so thresholds lie above
BOOTSTRAPS = 200
STRETCH = 1200  # tokens; a stream of the usual pieces, whose drifts hang together
TERABYTE = 1e12  # bytes
DISTANCES = (0, 1, 20, 60, 150, 400, 1000)  # tolerances beyond an edge (docs/reliability.md)


@dataclass(frozen=True)
class Kind:
    """Tokens with a tail of their own; margin: how far from every edge an encoder keeps their turns, in tolerances."""

    name: str
    margin: int
    among: Callable[[NDArray[np.int32]], NDArray[np.bool_]]


def kinds(together: bool) -> list[Kind]:
    """All tokens alike, or line ends apart from the others."""
    if together:
        return [Kind("all tokens", 1, lambda tokens: np.ones(len(tokens), bool))]
    end = embedded_vocabulary().pieces.index(LINE_END)
    return [
        Kind("line ends", LINE_MARGIN, lambda tokens: tokens == end),
        Kind("other tokens", 1, lambda tokens: tokens != end),
    ]


class Tail:
    """What lies beyond a threshold: tokens' drifts d have P(d > x) = rate (1 + shape (x - threshold) / scale)^(-1 / shape).

    edges: that a token's turns sweep over as its drift grows by a unit. Not all of them drift as far as the largest one, and those
    that do often lie where no edges are.
    """

    def __init__(self, peaks: NDArray[np.float64], threshold: float, tokens: float, edges: float) -> None:
        beyond = peaks - threshold
        unit = float(beyond.mean())  # the search for a fit takes numbers near 1 for granted
        self.shape, _, scale = genpareto.fit(beyond / unit, 0.1, floc=0, scale=1.0)
        self.scale = scale * unit
        self.threshold, self.rate, self.edges = threshold, len(peaks) / tokens, edges

    def misread(self, x: float) -> float:
        """Turns in a token that drift over an edge which is x or more away: edges times the mean of max(0, d - x)."""
        rest = self.scale + self.shape * (x - self.threshold)
        if self.shape >= 1 or rest <= 0:
            return 0.0 if rest <= 0 else math.inf
        survival = self.rate * genpareto.sf(x - self.threshold, self.shape, scale=self.scale)
        return float(self.edges * survival * rest / (1 - self.shape))


class Drifts:
    """Of the tokens of a kind, for each stretch of text: the largest drifts of tokens, and of turns (n, 2) drifts and the edges in a
    unit where they lie; of both those beyond `FLOOR`.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.tops: list[NDArray[np.float64]] = []
        self.turns: list[NDArray[np.float64]] = []

    def add(self, tops: NDArray[np.float64], drift: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
        self.tops.append(tops[tops > FLOOR])
        self.turns.append(np.stack([drift, edges], axis=-1)[drift > FLOOR])

    def threshold(self, peaks: int) -> float | None:
        """That so many tokens lie beyond; None where too few are known."""
        tops = np.concatenate(self.tops)
        return float(np.partition(tops, -peaks - 1)[-peaks - 1]) if len(tops) > peaks else None

    def tails(self, threshold: float, tokens: NDArray[np.int64], choices: list[NDArray[np.intp]]) -> list[Tail]:
        """The fit to each choice of stretches, which have so many tokens of any kind."""
        peaks = [tops[tops > threshold] for tops in self.tops]
        swept = np.array([(turns[:, 1] * np.maximum(0, turns[:, 0] - threshold)).sum() for turns in self.turns])
        grown = np.array([(beyond - threshold).sum() for beyond in peaks])
        return [
            Tail(
                np.concatenate([peaks[i] for i in choice]),
                threshold,
                tokens[choice].sum(),
                swept[choice].sum() / grown[choice].sum(),
            )
            for choice in choices
        ]


class Pair:
    """Two arithmetics, compared on the pieces that both have evaluated."""

    def __init__(self, one: Path, other: Path, of: list[Kind]) -> None:
        self.name = f"{one.name} / {other.name}"
        self.turns = 0
        self.squares = self.largest = 0.0
        self.counts = np.zeros(len(COUNTED), int)
        self.lengths: list[int] = []  # of stretches, in tokens
        self.drifts = [Drifts(kind) for kind in of]
        limits = np.array(BASE_EDGES) / UNIT
        density = np.concatenate([[0], 1 / np.diff(limits), [0]])
        for file in sorted(one.glob("*.npy")):
            if not (other / file.name).exists():
                continue
            a, b = np.load(file), np.load(other / file.name)
            inside = (a != UNCODED) & (np.abs(a) < REACH / RESOLUTION)
            drift = np.where(inside, np.abs(a.astype(np.int64) - b) * RESOLUTION, 0)
            tops, edges = drift.max(axis=1), density[np.searchsorted(limits, a * RESOLUTION)]
            self.turns += int(inside.sum())
            self.squares += float((drift**2).sum())
            self.largest = max(self.largest, float(tops.max()))
            self.counts += [int((drift > limit).sum()) for limit in COUNTED]
            tokens = np.load(one.parent / TOKENS / file.name)
            among = [kind.among(tokens) for kind in of]
            for at in range(0, len(tokens), STRETCH):
                here = slice(at, at + STRETCH)
                self.lengths.append(len(tokens[here]))
                for drifts, chosen in zip(self.drifts, among, strict=True):
                    rows = chosen[here]
                    drifts.add(tops[here][rows], drift[here][rows], edges[here][rows])


class Expected:
    """Misread turns that a terabyte has by the fits to all kinds."""

    def __init__(self, tails: list[tuple[Kind, Tail]], tokens: float) -> None:
        self.tails, self.tokens = tails, tokens

    def beyond(self, tolerance: float, distance: float) -> float:
        """Those that lie so many tolerances or more beyond their edges."""
        return sum(self.of_kinds(tolerance, distance))

    def of_kinds(self, tolerance: float, distance: float) -> list[float]:
        return [self.tokens * tail.misread((kind.margin + distance) * tolerance) for kind, tail in self.tails]


def spread(values: list[float]) -> str:
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return f"{low:.1e} to {high:.1e}"


def report(pair: Pair, tolerances: list[float], bytes_a_token: float, peaks: int) -> None:
    """Print what was counted, the fits, and what follows for a terabyte of text."""
    tokens = np.array(pair.lengths)
    print(f"\n{pair.name}: {tokens.sum()} tokens, {pair.turns} turns")
    rms = math.sqrt(pair.squares / pair.turns)
    counts = ", ".join(f"{count} > {limit:.1e}" for count, limit in zip(pair.counts, COUNTED, strict=True))
    print(f"  rms {rms:.1e}, largest {pair.largest:.1e}; turns {counts}")
    random = np.random.default_rng(1)
    choices = [np.arange(len(tokens)), *random.integers(0, len(tokens), (BOOTSTRAPS, len(tokens)))]
    fits = []
    for drifts in pair.drifts:
        threshold = drifts.threshold(peaks)
        if threshold is None:
            return
        tail, *others = tails = drifts.tails(threshold, tokens, choices)
        fits.append([(drifts.kind, one) for one in tails])
        print(
            f"  {drifts.kind.name} beyond {threshold:.2e}: one token in {1 / tail.rate:.0f}, "
            f"shape {tail.shape:.3f} ({spread([t.shape for t in others])}), "
            f"scale {tail.scale:.2e} ({spread([t.scale for t in others])}), {tail.edges:.2f} edges"
        )
    expected, *others = (Expected(list(of), TERABYTE / bytes_a_token) for of in zip(*fits, strict=True))
    for tolerance in tolerances:
        print(f"  tolerance {tolerance:.1e}, in a terabyte:")
        for distance in DISTANCES:
            values = [one.beyond(tolerance, distance) for one in others]
            by = f"beyond {distance} tolerances" if distance else "misread turns"
            each = zip(expected.tails, expected.of_kinds(tolerance, distance), strict=True)
            of = ", ".join(f"{value:.1e} of {kind.name}" for (kind, _), value in each)
            print(f"    {by}: {expected.beyond(tolerance, distance):.1e} ({spread(values)}); {of}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tolerance", type=int, nargs="*", default=[120], help="in units of 1e-6 (120)")
    parser.add_argument("--peaks", type=int, default=500, help="tokens of a kind beyond its threshold (500)")
    parser.add_argument("--together", action="store_true", help="one fit to all tokens, with one margin")
    parser.add_argument("--bytes-a-token", type=float, default=3.5)
    options = parser.parse_args()
    turns = 0
    folders = sorted(path for path in options.folder.iterdir() if path.is_dir() and path.name != TOKENS)
    for one, other in itertools.combinations(folders, 2):
        if one.name.rpartition("-")[2] != other.name.rpartition("-")[2]:
            continue  # as many streams: what a token can look back on is the same
        pair = Pair(one, other, kinds(options.together))
        if pair.turns:
            turns += pair.turns
            report(pair, [t * 1e-6 for t in options.tolerance], options.bytes_a_token, options.peaks)
    print(f"\n{turns} turns compared")


if __name__ == "__main__":
    main()
