"""Warm-up, stable, decay (WSD), counted in tokens so that pauses and slow machines do not matter.

The end can be planned anew at any time, also in the middle of the decay: the rate then falls on a new line from where
it is to the floor at the new end, without a jump.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Learning rate as a fraction of its peak, by tokens seen."""

    warmup: int
    decay_from: int
    """Tokens at which the decay begins."""
    decay_rate: float
    """Rate at that point."""
    budget: int
    """Tokens at which the rate has reached the floor."""
    floor: float

    @classmethod
    def plan(cls, warmup: int, budget: int, decay_share: float, floor: float) -> Schedule:
        """A fresh schedule whose last `decay_share` is decay. Raises ValueError if nothing is left to train."""
        if budget <= 0 or not 0 <= decay_share <= 1:
            raise ValueError(f"cannot plan a schedule of {budget} tokens with a decay share of {decay_share}")
        return cls(warmup, budget - int(budget * decay_share), 1.0, budget, floor)

    def replan(self, tokens: int, budget: int, decay_share: float) -> Schedule:
        """The same run with another end: `tokens` have been seen, `budget` shall be the new total.

        Raises ValueError if the new end has been passed.
        """
        if budget <= tokens:
            raise ValueError(f"a budget of {budget} tokens has been passed: {tokens} are done")
        if tokens < self.decay_from or self.rate(tokens) == 1.0:
            start = max(tokens, budget - int(budget * decay_share))
            return dataclasses.replace(self, decay_from=start, decay_rate=1.0, budget=budget)
        return dataclasses.replace(self, decay_from=tokens, decay_rate=self.rate(tokens), budget=budget)

    def decaying(self, tokens: int) -> bool:
        return tokens >= self.decay_from

    def rate(self, tokens: int) -> float:
        if tokens >= self.decay_from:
            left = (self.budget - tokens) / max(1, self.budget - self.decay_from)
            return self.floor + (self.decay_rate - self.floor) * max(0.0, left)
        return min(1.0, (tokens + 1) / self.warmup) if self.warmup else 1.0
