"""A deterministic stand-in for a language model: no GGUF, no floating-point arithmetic to speak of, easy to disturb."""

from __future__ import annotations

import pickle
import time

import numpy as np

from llmzip.model.base import Window

WORDS = b" the| and| of| to|ing|ed |er|th|in|  |    |\n\n| a|e |, |. |caf\xc3\xa9|\xe4\xb8\xad".split(b"|")
PIECES = [bytes([b]) for b in range(256)] + WORDS + [b""] * 3  # 277 tokens; the last three are control tokens


class FakeEvaluator:
    """Logits that depend on everything a stream's cache holds, so that a wrong slide or position changes them."""

    def __init__(self, model: FakeModel, streams: int, context: int, rows: int) -> None:
        self.rows, self._model, self._context = rows, model, context
        self._held: list[list[int]] = [[] for _ in range(streams)]
        self.largest_batch = 0

    def evaluate(self, tokens, positions, streams):
        assert 0 < len(tokens) == len(positions) == len(streams) <= self.rows
        self.largest_batch = max(self.largest_batch, len(tokens))
        self._model.evaluated += len(tokens)
        self._model.at_work += 1
        self._model.most_at_once = max(self._model.most_at_once, self._model.at_work)
        if self._model.pause:
            time.sleep(self._model.pause)
        self._model.at_work -= 1
        rows = []
        for token, position, stream in zip(tokens.tolist(), positions.tolist(), streams.tolist(), strict=True):
            held = self._held[stream]
            assert position == len(held) < self._context, "positions must follow on, within the context"
            held.append(token)
            rows.append(hash((len(held), held[0], *held[-3:])) % len(self._model.table))
        logits = self._model.table[rows]
        if self._model.noisiness:
            logits = logits + self._model.noise.uniform(-1, 1, logits.shape) * self._model.noisiness
        return logits.astype(np.float32)

    def slide(self, streams, drop):
        for held in self._held[:streams]:
            del held[:drop]

    def discard(self, streams, position):
        for held in self._held[:streams]:
            del held[position:]

    def copy(self, source, first, stop):
        for stream in range(first, stop):
            self._held[stream] = list(self._held[source])

    def save(self):
        return np.frombuffer(pickle.dumps(self._held), np.uint8)

    def restore(self, caches):
        self._held = pickle.loads(caches.tobytes())

    def save_stream(self, stream):
        return np.frombuffer(pickle.dumps(self._held[stream]), np.uint8)

    def restore_stream(self, stream, cache):
        self._held[stream] = pickle.loads(cache.tobytes())

    def clear(self):
        for held in self._held:
            held.clear()

    def close(self):
        self._model.open_evaluators -= 1


class FakeModel:
    """drift: each logit moves by up to this much, differently on every call, so log odds move by up to twice that.

    lanes: evaluators that may work at once; `most_at_once`: how many did. pause: seconds that a batch takes at least."""

    identity = b"fake0001"
    name = "fake"
    exact = False
    rewinds = True
    on_gpu = False
    weight_bytes = 1 << 20
    byte_tokens = frozenset()
    arithmetic = "fake arithmetic"

    def __init__(self, drift=0.0, seed=0, window=Window(32, 4), pieces=PIECES, tokenize=None, lanes=1, pause=0.0):
        self.lanes, self.pause, self.at_work, self.most_at_once = lanes, pause, 0, 0
        self.window, self.pieces, self.noisiness = window, list(pieces), drift
        self.trained = self.drift = 0
        self.start = len(self.pieces) - 1
        # Few distinct logits, exactly representable, so that sums are the same wherever the test runs.
        self.table = np.random.default_rng(7).integers(-24, 24, (61, len(self.pieces))).astype(np.float64) / 4
        self.noise = np.random.default_rng(seed)
        self.evaluated = self.open_evaluators = 0
        self._tokenize = tokenize or greedy(self.pieces)

    def tokenize(self, text):
        return self._tokenize(text)

    def evaluator(self, streams, context, rows, threads=0):
        self.open_evaluators += 1
        return FakeEvaluator(self, streams, context, rows)

    def stream_bytes(self, context):
        return context

    def close(self):
        pass


def greedy(pieces):
    """A tokenizer that takes the longest piece at every place."""
    ids = {piece: token for token, piece in reversed(list(enumerate(pieces))) if piece}
    longest = max(map(len, ids))

    def tokenize(text):
        tokens, at = [], 0
        while at < len(text):
            for length in range(min(longest, len(text) - at), 0, -1):
                if text[at : at + length] in ids:
                    tokens.append(ids[text[at : at + length]])
                    at += length
                    break
            else:
                at += 1  # like a tokenizer without byte tokens: it drops what it does not know
        return np.array(tokens, np.int32)

    return tokenize
