"""Language models whose probabilities are known in closed form, for reports."""

from __future__ import annotations

import math

import numpy as np
from fakes import FakeEvaluator, FakeModel, greedy

from llmzip.model.base import Window
from llmzip.report.measure.examine import Examiner

PIECES = [bytes([b]) for b in range(256)] + [b""]
IMPOSSIBLE = -70.0


class KnownModel(FakeModel):
    """`predict(context)` gives {token: probability}; context: the tokens in the cache of the stream, start first."""

    identity = b"known001"
    name = "known"

    def __init__(self, predict, window=None):
        super().__init__(window=window or Window(64, 4), pieces=PIECES, tokenize=greedy(PIECES))
        self.predict = predict
        self.on_evaluate = lambda: None

    def evaluator(self, streams, context, rows):
        return KnownEvaluator(self, streams, context, rows)


class KnownEvaluator(FakeEvaluator):
    def evaluate(self, tokens, positions, streams):
        self._model.on_evaluate()
        logits = np.full((len(tokens), len(PIECES)), IMPOSSIBLE, np.float32)
        for row, (token, position, stream) in enumerate(
            zip(tokens.tolist(), positions.tolist(), streams.tolist(), strict=True)
        ):
            held = self._held[stream]
            assert position == len(held) < self._context
            held.append(token)
            for next_token, p in self._model.predict(held).items():
                logits[row, next_token] = math.log(p)
        return logits


def independent(odds, window=None):
    """A model of independent bytes: {character: probability}."""
    table = {ord(character): p for character, p in odds.items()}
    return KnownModel(lambda held: table, window)


DYADIC = {"a": 1 / 2, "b": 1 / 4, "c": 1 / 8, " ": 1 / 8}
DYADIC_BITS = {"a": 1, "b": 2, "c": 3, " ": 3}


def dyadic_text(count, seed=1):
    """A text with exactly the frequencies of `DYADIC`, count a multiple of 8: its entropy is 1.75 bits a character."""
    characters = np.repeat(list("abc "), [count // 2, count // 4, count // 8, count // 8])
    return "".join(np.random.default_rng(seed).permutation(characters).tolist()).encode()


class KnownExaminer(Examiner):
    """An examiner over a known model."""

    def __init__(self, model, **options):
        super().__init__(model, **options)
        self.known = model
