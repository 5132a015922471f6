"""What ships is what is measured: bits per byte and rows a second of GGUF files, through the package's own evaluator.

Every model is expanded to F32 first, as the package does with its embedded model.

Bits per byte: the first `evaluate.bytes` bytes of a held-out source (documents in file order, joined by an empty line,
cut back to a whole character), tokenised as one text, evaluated after <|bos|> in a window that slides by dropping its
oldest tokens. The model alone: no mixing, no container.

Rows a second: `prefill` fills one window; `S streams` steps S streams together, a token each, through the second half
of a window. Rounds of all models alternate, so that a noisy machine is noisy for all; the best round counts, since
other work on a machine only ever slows a round down. With one thread the clock is the processor's, not the wall's:
then a busy machine can be measured on as well (llama.cpp's threads spin while they wait, so with more it cannot).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from llmzip.model.base import Window
from llmzip.model.llama import LlamaModel, expand
from llmzip.model.schedule import spans

from . import corpus
from .config import Config

_LOCK_STEPS = 48


def surprisal(logits: np.ndarray, tokens: np.ndarray) -> float:
    """Bits that coding `tokens` (rows,) with softmax of `logits` (rows, vocabulary) takes, in float64."""
    x = logits.astype(np.float64)
    peak = x.max(1)
    total = np.log(np.exp(x - peak[:, None]).sum(1)) + peak
    return float((total - x[np.arange(len(tokens)), tokens]).sum() / np.log(2))


def bits(model: LlamaModel, text: bytes, window: Window) -> float:
    """Ideal code length in bits of a text of valid UTF-8. Raises ValueError if its tokens do not spell it."""
    tokens = np.asarray(model.tokenize(text))
    if b"".join(model.pieces[token] for token in tokens) != text:
        raise ValueError("the tokens of a held-out text do not spell it: its bits per byte would mean nothing")
    rows = np.concatenate(([model.start], tokens[:-1])).astype(np.int32)
    evaluator = model.evaluator(1, window.context, window.context)
    try:
        result = 0.0
        for span in spans(len(rows), window, window.context):
            if span.slide:
                evaluator.slide(1, window.drop)
            count = span.stop - span.start
            positions = np.arange(span.position, span.position + count, dtype=np.int32)
            logits = evaluator.evaluate(rows[span.start : span.stop], positions, np.zeros(count, np.int32))
            result += surprisal(logits, tokens[span.start : span.stop])
        return result
    finally:
        evaluator.close()


def _clock(config: Config) -> Callable[[], float]:
    return time.process_time if config.evaluate.threads == 1 else time.perf_counter


def _prefill_rate(model: LlamaModel, tokens: np.ndarray, context: int, clock: Callable[[], float]) -> float:
    evaluator = model.evaluator(1, context, context)
    try:
        positions, streams = np.arange(context, dtype=np.int32), np.zeros(context, np.int32)
        evaluator.evaluate(tokens[:context], positions, streams)
        evaluator.clear()
        begun = clock()
        evaluator.evaluate(tokens[context : 2 * context], positions, streams)
        return context / (clock() - begun)
    finally:
        evaluator.close()


def _lock_step_rate(
    model: LlamaModel, tokens: np.ndarray, context: int, streams: int, clock: Callable[[], float]
) -> float:
    """Rows a second of steps of one token in each of `streams` streams, their caches half full."""
    evaluator = model.evaluator(streams, context, max(streams, context // 2))
    try:
        half = context // 2
        for stream in range(streams):
            filled = np.arange(half, dtype=np.int32)
            evaluator.evaluate(tokens[stream : stream + half], filled, np.full(half, stream, np.int32))
        every = np.arange(streams, dtype=np.int32)
        steps = min(_LOCK_STEPS, half - 1)
        begun = 0.0
        for step in range(steps + 1):
            if step == 1:  # the first step pays for building the graph
                begun = clock()
            evaluator.evaluate(
                tokens[half + step : half + step + streams], np.full(streams, half + step, np.int32), every
            )
        return streams * steps / (clock() - begun)
    finally:
        evaluator.close()


def speeds(models: list[LlamaModel], config: Config) -> list[dict[str, float]]:
    """Best rows a second over the rounds, for each model, by kind of work."""
    settings = config.evaluate
    result: list[dict[str, float]] = [{} for _ in models]
    rng, clock = np.random.default_rng(0), _clock(config)
    for _ in range(settings.speed_rounds):
        for model, best in zip(models, result, strict=False):
            tokens = rng.integers(0, len(model.pieces) - 1, 2 * settings.context, dtype=np.int32)
            rates = {"prefill": _prefill_rate(model, tokens, settings.context, clock)}
            for streams in settings.streams:
                name = f"{streams} stream" + "s" * (streams > 1)
                rates[name] = _lock_step_rate(model, tokens, settings.context, streams, clock)
            for name, rate in rates.items():
                best[name] = max(best.get(name, 0.0), rate)
    return result


def table(title: str, names: list[str], columns: list[dict[str, float]], digits: int) -> str:
    """A Markdown table: one row per measured thing, one column per model, then each model against the first."""
    against = [f"{name} against {names[0]}" for name in names[1:]]
    lines = ["| " + " | ".join([title, *names, *against]) + " |", "| --- |" + " ---: |" * (len(names) + len(against))]
    for key, reference in columns[0].items():
        values = [f"{column[key]:,.{digits}f}" for column in columns]
        changes = [f"{100 * (column[key] / reference - 1):+.1f} %" for column in columns[1:]]
        lines.append("| " + " | ".join([key, *values, *changes]) + " |")
    return "\n".join(lines)


def held_out_texts(config: Config) -> dict[str, bytes]:
    """The measured text of each held-out source, cut back to a whole character."""
    return {
        source: corpus.leading_text(paths[0], config.evaluate.bytes).decode("utf-8", "ignore").encode()
        for source, paths in corpus.shards(config.paths.corpora, "heldout").items()
    }


def bytes_per_token(model: LlamaModel, text: bytes) -> float:
    """What a row is worth: rows a second times this is bytes a second."""
    return len(text) / len(model.tokenize(text))


def evaluate(
    config: Config, paths: list[str], *, texts: list[str], speed: bool, quality: bool = True, json_path: str | None
) -> dict:
    """Print the tables of all models side by side; returns (and writes, if asked) the figures.

    Without `quality` only the speed, which does not need trained weights (`export.sketch`).
    """
    settings = config.evaluate
    if settings.context % settings.shift:
        raise ValueError(
            f"evaluate.context ({settings.context}) must be a multiple of evaluate.shift ({settings.shift})"
        )
    window = Window(settings.context, settings.context // settings.shift)
    inputs = held_out_texts(config)
    inputs |= {Path(path).name: Path(path).read_bytes() for path in texts}
    names = [Path(path).stem for path in paths]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evaluate-")))
        models = []
        for i, path in enumerate(paths):
            full = folder / f"{i}.gguf"
            expand(Path(path), full)
            models.append(LlamaModel(full, bytes(8), names[i], window, settings.threads))
            stack.callback(models[-1].close)
        result: dict = {"models": names}
        if quality:
            result["bits_per_byte"] = [{} for _ in models]
            for model, column in zip(models, result["bits_per_byte"], strict=False):
                for name, text in inputs.items():
                    column[name] = bits(model, text, window) / len(text)
                    print(f"{model.name} {name} {column[name]:.4f}", file=sys.stderr, flush=True)
            print(table("bits per byte", names, result["bits_per_byte"], 4))
        result["bytes_per_token"] = [{n: bytes_per_token(m, text) for n, text in inputs.items()} for m in models]
        print("\n" + table("bytes a token", names, result["bytes_per_token"], 2))
        if speed:
            result["rows_per_second"] = speeds(models, config)
            print("\n" + table("rows a second", names, result["rows_per_second"], 0))
    if json_path:
        Path(json_path).write_text(json.dumps(result, indent=1) + "\n")
    return result
