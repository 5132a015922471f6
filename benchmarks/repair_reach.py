"""How far repair reaches: the search of `llmzip.codec.repair` on simulated blocks, with no network to wait for.

usage: repair_reach.py [--tokens N] [--streams S] [--distances D...] [--apart TOKENS] [--trials N]

The search sees nothing of a block but how far turns lie from edges. Of a right reading these distances are drawn evenly (as the turns of
text lie, docs/portability.md), none below one tolerance; of a reading that has gone astray evenly as well, with none spared. Turns that
are misread lie where they are told to. So the search itself, its order, its marks and its allowance are those of a real block; steps are counted, not
waited for. What lies far from the misread turn is read once and left out of the simulation. Printed: how many decodings of the block it
took until all misread turns were found, and the share of blocks for which the usual patience is enough. `repair_real.py` does the same with real blocks.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterable

import numpy as np
from drift_odds import NEAR
from numpy.typing import NDArray

from llmzip.codec.agreement import PORTABLE_TOLERANCE
from llmzip.codec.layout import Layout
from llmzip.codec.lockstep import RESTORED
from llmzip.codec.repair import DOUBTFUL, RATE, Astray, Doubts, Turn, readings
from llmzip.codec.rereading import Copies, Mark, Rereader
from llmzip.codec.settings import DEFAULT_PATIENCE
from llmzip.model import embedded
from llmzip.model.schedule import slid

LEVELS = 13
FARTHEST = LEVELS * DOUBTFUL / (RATE * PORTABLE_TOLERANCE * 1e-6)  # tolerances: turns lie evenly up to here
CHUNK = 64
STRETCH = 30_000  # tokens of a block that are simulated: marks, and the copy far behind, lie as they would


class Simulated:
    """Stands in for a `LockStep` and for the quantiser: turns of a block that lie at random, but for those that are misread: {turn: distance}."""

    def __init__(self, layout: Layout, misread: dict[Turn, float], seed: int) -> None:
        self.layout, self.misread, self.seed = layout, misread, seed
        self.tolerance = PORTABLE_TOLERANCE
        self.step, self.taken = 0, set[Turn]()
        self._window = embedded.WINDOW.near if layout.streams > NEAR else embedded.WINDOW
        self._copies: Copies[None] = Copies(layout.streams)
        self._chunks: dict[tuple[object, int], NDArray[np.float32]] = {}
        self._order = sorted(misread)

    def _key(self, doubts: Doubts) -> tuple[object, Turn | None]:
        """Of the reading at the present step: what tells its noise from that of others, and where it goes astray."""
        flips = sorted(doubts.misread)
        for at, turn in enumerate(self._order):
            if at >= len(flips) or flips[at] != turn:
                astray = min(turn, flips[at]) if at < len(flips) else turn
                return tuple(flips[at:]), astray
        if len(flips) > len(self._order):
            return tuple(flips[len(self._order) :]), flips[len(self._order)]
        return (), None

    def _distances(self, key: object, step: int) -> NDArray[np.float32]:
        """(streams, LEVELS) of a step."""
        chunk = step // CHUNK
        if (key, chunk) not in self._chunks:
            if len(self._chunks) > 64:
                self._chunks.clear()
            generator = np.random.default_rng([self.seed, chunk, *self._number(key)])
            shape = CHUNK, self.layout.streams, LEVELS
            self._chunks[key, chunk] = generator.random(shape, np.float32) * np.float32(FARTHEST)
        return self._chunks[key, chunk][step % CHUNK]

    @staticmethod
    def _number(key: object) -> Iterable[int]:
        if key == "right":
            return (0,)
        return (1, *(number for turn in key for number in turn))

    def nearest(self, odds: NDArray[np.float64], states: object, cells: NDArray[np.uint8]) -> tuple[object, object]:
        return odds, cells + np.uint8(1)

    def advance(self, doubts: Doubts) -> None:
        step, active, self.taken = self.step, self.layout.active(self.step), set(doubts.misread)
        key, astray = self._key(doubts)
        right = self._distances("right", step)
        noise = self._distances(key, step) if astray and astray.step <= step else None
        found = 1 + right * np.float32(1 - 1 / FARTHEST)
        if noise is not None:
            # What is in front of the turn is still right.
            first = astray.stream * LEVELS + astray.level + 1 if astray.step == step else 0
            found.ravel()[first:] = noise.ravel()[first:]
        for turn, distance in self.misread.items():
            if turn.step == step and (not astray or turn <= astray):
                found[turn.stream, turn.level] = distance
        self.step += 1
        cells = np.zeros((active, LEVELS), np.uint8)
        doubts.see(step, found[:active].astype(np.float64), cells[:, 0], cells, np.zeros(active, np.bool_))

    @property
    def tokens(self) -> set[Turn]:
        """Stands in for tokens: which turns were taken the other way."""
        return self.taken

    room, fewest_marks = 192 << 20, 3

    def mark(self) -> Mark:
        return Mark(self.step, np.empty(4 << 20, np.uint8))

    def back(self, step: int, mark: Mark | None, *, again: bool) -> float:
        """As `LockStep.back`."""
        if step == self.step:
            return 0
        work = 0.0
        if slid(self.step, self._window) >= step:
            step = mark.step if mark else 0
            work += RESTORED * self.layout.streams
        self.step = step
        return work + self._copies.to(step, self, again=again)

    def begin(self) -> float:
        return 0

    def save(self) -> None: ...

    def restore(self, saved: None) -> None: ...

    def replay(self, start: int, stop: int) -> None: ...


def work(tokens: int, streams: int, misread: dict[Turn, float], seed: int, most: float) -> float | None:
    """Rows of the search, without those of reading the block once, until all is found; None: not within `most`."""
    layout = Layout(tokens, streams)
    simulated = Simulated(layout, misread, seed)
    reader = Rereader(lambda: simulated, layout, most + tokens)
    wanted = set(misread)
    try:
        for taken in readings(reader, simulated, streams):
            if taken == wanted:
                return most - reader.left
    except Astray:
        pass
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_200_000, help="of the block (1200000, some 4 MB)")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument(
        "--distances", type=float, nargs="*", default=[1, 20, 60, 150, 400], help="in tolerances beyond an edge"
    )
    parser.add_argument(
        "--apart",
        type=int,
        help="tokens to a second misread turn, at the same distance from an edge; 0: in the same token",
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--patience", type=float, default=20.0, help="given up after so many times one decoding")
    options = parser.parse_args()
    apart, streams = options.apart or 0, options.streams
    stretch = min(options.tokens, STRETCH + 2 * apart)
    steps = -(-stretch // streams)
    print(f"{options.tokens} tokens in {streams} streams: decodings of the block until all is found")
    for distance in options.distances:
        found = []
        for seed in range(options.trials):
            place = random.Random(seed)
            turn = Turn(
                place.randrange(steps // 4, max(steps // 4 + 1, steps * 3 // 4 - apart // streams)),
                place.randrange(streams),
                place.randrange(LEVELS),
            )
            misread = {turn: distance}
            if options.apart is not None:
                other = place.choice([level for level in range(LEVELS) if apart or level != turn.level])
                misread[Turn(turn.step + apart // streams, turn.stream, other)] = distance
            taken = work(stretch, streams, misread, seed, options.patience * options.tokens)
            found.append(math.inf if taken is None else 1 + taken / options.tokens)
        found.sort()
        enough = sum(times <= DEFAULT_PATIENCE for times in found) / len(found)
        print(
            f"{distance:g} tolerances: {found[len(found) // 2]:.2f} in the median, {found[0]:.2f} to {found[-1]:.2f}; "
            f"{enough:.0%} within {DEFAULT_PATIENCE}",
            flush=True,
        )


if __name__ == "__main__":
    main()
