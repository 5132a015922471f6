"""Values for made-up records: words, sentences, names, numbers and times around the words of one training document."""

from __future__ import annotations

import datetime
import random
import re

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")
_PASSAGE = 20_000


class Facts:
    """Draws plausible field values around the words of one document."""

    def __init__(self, text: str, rng: random.Random) -> None:
        self.rng = rng
        start = rng.randrange(max(1, len(text) - _PASSAGE))
        self.passage = text[start : start + _PASSAGE]
        self.words = _WORD.findall(self.passage) or ["item"]
        self.sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", self.passage) if 10 < len(s) < 200]
        self.clock = rng.randrange(946_684_800, 1_900_000_000)

    def word(self) -> str:
        return self.rng.choice(self.words)

    def name(self) -> str:
        return "_".join(self.word().lower() for _ in range(self.rng.choice((1, 1, 2))))

    def sentence(self) -> str:
        if self.sentences and self.rng.random() < 0.7:
            return " ".join(self.rng.choice(self.sentences).split())
        return " ".join(self.word() for _ in range(self.rng.randint(3, 9)))

    def time(self, shape: str) -> str:
        """The next moment, as ISO 8601 ("iso"), space-separated ("plain") or syslog ("syslog")."""
        self.clock += int(self.rng.expovariate(1 / 40.0))
        moment = datetime.datetime.fromtimestamp(self.clock, datetime.UTC)
        if shape == "iso":
            return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{self.rng.randrange(1000):03d}Z"
        if shape == "plain":
            return moment.strftime("%Y-%m-%d %H:%M:%S") + f",{self.rng.randrange(1000):03d}"
        return moment.strftime("%b %e %H:%M:%S")

    def value(self) -> object:
        kind = self.rng.random()
        if kind < 0.25:
            return self.rng.randrange(10 ** self.rng.randint(1, 7))
        if kind < 0.4:
            return round(self.rng.uniform(-100, 1000), self.rng.randint(1, 4))
        if kind < 0.5:
            return self.rng.choice((True, False, None))
        if kind < 0.6:
            return f"{self.rng.getrandbits(64):016x}"
        if kind < 0.75:
            return self.sentence()
        return self.word()
