"""The tail of drift: a fit to the log odds that `drift_odds.py` saved, and what it means for files.

usage: drift_tail.py FOLDER [--tolerance MICRO...] [--peaks N]

Every two arithmetics (builds, shapes of batches) are compared, turn by turn. The largest drift of a token's turns is what is fitted, since
turns of a token drift together: peaks over a threshold with a generalised Pareto distribution, by maximum likelihood
(Coles, An Introduction to Statistical Modeling of Extreme Values, chapter 4), 95 % intervals by a bootstrap over stretches of text.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import numpy as np
from drift_odds import RESOLUTION, UNCODED
from numpy.typing import NDArray
from scipy.stats import genpareto

from llmzip.coding.cells import BASE_EDGES, UNIT

REACH = BASE_EDGES[-1] / UNIT + 1  # log odds: beyond, drift changes nothing
TAIL = (5e-6, 1e-5, 1.5e-5, 2e-5, 3e-5, 6e-5, 1.2e-4)
SWEPT = 1.5e-5  # log odds: beyond, the edges are counted that a drift sweeps over
BOOTSTRAPS = 200
STRETCH = 1200  # tokens; a stream of the usual pieces, whose drifts hang together
TERABYTE, BLOCK = 1e12, 4e6  # bytes
RATIOS = (20, 60, 150, 400, 1500)  # times the tolerance: how far repair may reach (docs/reliability.md)
PRODUCTS = (9, 40)


class Pair:
    """Two arithmetics, compared on the pieces that both have evaluated."""

    def __init__(self, one: Path, other: Path, tolerances: list[float], peaks: int) -> None:
        self.name = f"{one.name} / {other.name}"
        self.turns = self.tokens = 0
        self.squares = 0.0
        self.counts = np.zeros(len(TAIL), int)
        self.peaks: list[NDArray[np.float64]] = []  # of every stretch: the largest drifts of its tokens
        self.largest = 0.0
        self.swept = self.beyond = 0.0  # drifts beyond SWEPT: of turns, in edges, and the largest of each token
        self.counted = dict.fromkeys(tolerances, 0.0)  # turns that each tolerance would let be misread, as they drifted
        widths = np.diff(BASE_EDGES) / UNIT
        for file in sorted(one.glob("*.npy")):
            if not (other / file.name).exists():
                continue
            a, b = np.load(file), np.load(other / file.name)
            inside = (a != UNCODED) & (np.abs(a) < REACH / RESOLUTION)
            drift = np.where(inside, np.abs(a.astype(np.int64) - b) * RESOLUTION, 0)
            self.turns += int(inside.sum())
            self.tokens += len(a)
            self.squares += float((drift**2).sum())
            self.counts += [int((drift > limit).sum()) for limit in TAIL]
            tops = drift.max(axis=1)
            self.largest = max(self.largest, float(tops.max()))
            self.peaks += [np.sort(tops[at : at + STRETCH])[-peaks:] for at in range(0, len(tops), STRETCH)]
            place = np.searchsorted(np.array(BASE_EDGES) / UNIT, a[inside] * RESOLUTION) - 1
            in_a_cell = (place >= 0) & (place < len(widths))
            edges = 1 / widths[place[in_a_cell]]
            beside = drift[inside][in_a_cell]
            self.swept += float((edges * np.maximum(0, beside - SWEPT)).sum())
            self.beyond += float(np.maximum(0, tops - SWEPT).sum())
            for tolerance in tolerances:
                self.counted[tolerance] += float((edges * np.maximum(0, beside - tolerance)).sum())


class Tail:
    """What lies beyond a threshold: tokens' drifts d have P(d > x) = rate (1 + shape (x - threshold) / scale)^(-1 / shape)."""

    def __init__(self, peaks: NDArray[np.float64], threshold: float, tokens: float) -> None:
        beyond = peaks[peaks > threshold] - threshold
        unit = float(beyond.mean())  # the search for a fit takes numbers near 1 for granted
        self.shape, _, scale = genpareto.fit(beyond / unit, 0.1, floc=0, scale=1.0)
        self.scale = scale * unit
        self.threshold, self.rate = threshold, len(beyond) / tokens

    def survival(self, x: float) -> float:
        return float(self.rate * genpareto.sf(x - self.threshold, self.shape, scale=self.scale))

    def excess(self, x: float) -> float:
        """The mean of max(0, d - x)."""
        if self.shape >= 1:
            return math.inf
        rest = self.scale + self.shape * (x - self.threshold)
        return self.survival(x) * rest / (1 - self.shape) if rest > 0 else 0.0

    def misread(self, tolerance: float, reach: float, edges: float) -> float:
        """Turns in a token that are misread by a drift beyond `reach`; edges: that a token's turns sweep over as its drift grows by a unit."""
        return edges * (self.survival(reach) * (reach - tolerance) + self.excess(reach))

    def two(self, tolerance: float, product: float, tokens: float, edges: float) -> float:
        """Blocks with two misread turns, by chance, whose distances from their edges, in tolerances and one added to each, have such a
        product or a larger one."""
        steps = np.geomspace(1, product, 40)
        beyond = np.array([self.misread(tolerance, step * tolerance, edges) for step in steps])
        if not beyond[0]:
            return 0.0
        shares = beyond / beyond[0]
        # The first lies between two steps, the second as far as the product then asks for.
        chance = float(((shares[:-1] - shares[1:]) * shares[::-1][1:]).sum() + shares[-1])
        return (tokens * beyond[0]) ** 2 / (2 * TERABYTE / BLOCK) * chance


def interval(values: list[float]) -> str:
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return f"{low:.1e} to {high:.1e}"


def report(pair: Pair, tolerances: list[float], bytes_a_token: float, peaks: int) -> None:
    """Print what was counted, the fit, and what follows for a terabyte of text."""
    print(f"\n{pair.name}: {pair.tokens} tokens, {pair.turns} turns")
    rms = math.sqrt(pair.squares / pair.turns)
    counts = ", ".join(f"{count} > {limit:.1e}" for count, limit in zip(pair.counts, TAIL, strict=True))
    print(f"  rms {rms:.1e}, largest {pair.largest:.1e}; turns {counts}")
    merged = np.sort(np.concatenate(pair.peaks))
    if not pair.beyond or len(merged) < peaks:
        return
    threshold = float(merged[-peaks])
    tail = Tail(merged, threshold, pair.tokens)
    random = np.random.default_rng(1)
    others = []
    for _ in range(BOOTSTRAPS):
        chosen = random.integers(0, len(pair.peaks), len(pair.peaks))
        others.append(Tail(np.concatenate([pair.peaks[i] for i in chosen]), threshold, pair.tokens))
    print(
        f"  beyond {threshold:.2e}: shape {tail.shape:.3f} ({interval([t.shape for t in others])}), "
        f"scale {tail.scale:.2e} ({interval([t.scale for t in others])}), {pair.swept / pair.beyond:.2f} edges"
    )
    # Not all turns of a token drift as far as its largest one, and those that do often lie where no edges are.
    edges = pair.swept / pair.beyond
    tokens = TERABYTE / bytes_a_token
    for tolerance in tolerances:
        line = f"  tolerance {tolerance:.1e}:"
        for name, reach in (("misread", tolerance), *((f"by > {ratio} x", ratio * tolerance) for ratio in RATIOS)):
            expected = tokens * tail.misread(tolerance, reach, edges)
            spread = interval([tokens * t.misread(tolerance, reach, edges) for t in others])
            line += f" {name} {expected:.1e} ({spread});"
        for product in PRODUCTS:
            expected = tail.two(tolerance, product, tokens, edges)
            spread = interval([t.two(tolerance, product, tokens, edges) for t in others])
            line += f" two, product > {product}: {expected:.1e} ({spread});"
        counted = tokens * pair.counted[tolerance] / pair.tokens
        print(line, f"in a terabyte; by the turns that drifted so, without a fit: {counted:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tolerance", type=int, nargs="*", default=[30, 60, 120, 240], help="in units of 1e-6")
    parser.add_argument("--peaks", type=int, default=500, help="tokens beyond the threshold (500)")
    parser.add_argument("--bytes-a-token", type=float, default=3.5)
    options = parser.parse_args()
    turns = 0
    for one, other in itertools.combinations(sorted(path for path in options.folder.iterdir() if path.is_dir()), 2):
        tolerances = [t * 1e-6 for t in options.tolerance]
        pair = Pair(one, other, tolerances, options.peaks)
        if pair.turns:
            turns += pair.turns
            report(pair, tolerances, options.bytes_a_token, options.peaks)
    print(f"\n{turns} turns compared")


if __name__ == "__main__":
    main()
